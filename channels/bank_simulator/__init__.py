"""A bank host to rehearse against: true sign-on, MAC, PIN, durable ledger, and bad habits.

``host`` is sans-IO (frames in, frames and delays out), ``ledger`` what it remembers, ``world`` the
cards and terminal keys it knows, ``habits`` how it misbehaves, ``service`` sockets and HTTP.
"""
