"""``yyt agent bench`` and ``yyt agent soak``: what a kiosk costs, measured without a switch.

The devices are the emulated ones, the switch is a stand-in that answers at once. Nothing of the
agent imports this package.
"""
