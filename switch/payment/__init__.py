"""The payment machine: pure, a table, and the law of money in it (docs/payment-machine.md)."""

from switch.payment.answers import answer_of
from switch.payment.machine import SENDING_MS, begin, decide, recover

__all__ = ["SENDING_MS", "answer_of", "begin", "decide", "recover"]
