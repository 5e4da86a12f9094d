"""The key store as the switch and its officers use it: the ring of a node, and ``yyt key``.

The rows are in switch.store.key_store. No clear key ever comes here: what is kept, moved and shown
are cryptograms under an LMK of the HSM.
"""
