"""A bank's own kiosks and counters: they ask for bills, pay them with money that the bank has taken
already, and take it back."""

from channels.inbound.bank_origin.plugin import plugin

__all__ = ["plugin"]
