"""CW, CY, KQ, KW: card verification values and EMV cryptograms."""
