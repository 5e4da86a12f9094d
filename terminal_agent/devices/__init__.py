"""Devices by role: small interfaces, drivers that fill them, simulators that need no hardware."""
