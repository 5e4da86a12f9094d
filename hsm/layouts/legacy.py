"""Tables of the older key translations between ZMK and LMK."""
