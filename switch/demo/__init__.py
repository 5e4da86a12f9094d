"""``yyt demo``: the whole system on one machine, as real processes with real sockets.

The demo starts everything as ``yyt …`` and supervises it as systemd would; it imports no plugin.
"""
