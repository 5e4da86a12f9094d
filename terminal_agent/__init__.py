"""The kiosk: devices, journal, link, flow, slips. Stands alone; shares only ``protocol``."""
