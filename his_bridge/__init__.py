"""The bridge to hospital information systems: profiles as data, one careful client."""

from his_bridge.plugin import plugin

__all__ = ["plugin"]
