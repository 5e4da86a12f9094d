"""The officers' socket: its messages and a client; the daemon's side is hsm.daemon.admin."""
