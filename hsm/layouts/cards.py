"""Tables of the card and EMV commands."""
