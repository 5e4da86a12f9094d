"""Counter POS and doctors' stations: they sign on with us, pay by bank card, take payments back and
settle their batches as they would with a bank."""

from channels.inbound.pos.plugin import plugin

__all__ = ["plugin"]
