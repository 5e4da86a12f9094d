"""The key service's own process: sockets, hardening, logs and metrics around hsm.processor."""
