"""What a bank that began a payment has heard of it, where its silence matters (rule 11)."""

from collections import OrderedDict

from switch.model.answer import Answer, AnswerState
from switch.observe.logs import get_logger

_log = get_logger("inbound.bank_origin")

_NOT_BOOKED = frozenset({AnswerState.DECLINED, AnswerState.RETURNED})


class Hearing:
    """``stands``: the bank keeps the money of what it hears nothing of; that such a payment is not
    booked is called then, whoever finds it out and when (I1).

    Held are the keys that somebody waits for or was answered about, ``limit`` of them: what is not
    held, after a restart too, counts as unheard. So whatever is forgotten can only be called once
    too often."""

    def __init__(self, limit: int, *, stands: bool) -> None:
        self._limit = limit
        self._stands = stands
        self._heard: OrderedDict[str, None] = OrderedDict()

    def asked(self, key: str) -> None:
        """The bank waits for an answer about ``key``."""
        self._heard[key] = None
        self._heard.move_to_end(key)
        if len(self._heard) > self._limit:
            self._heard.popitem(last=False)

    def silent(self, key: str) -> None:
        """The hospital has not said in time: what follows is the bank's rule."""
        self._heard.pop(key, None)
        silence = "stands" if self._stands else "reverse"
        _log.error("booking_unknown", key=key, silence=silence, invariant="I6")

    def unheard(self, *, certain: bool, terminal: str, stan: str) -> None:
        """A payment was refused and the refusal did not reach the bank (``certain``), or nobody
        could look whether there is one."""
        where = {"terminal": terminal, "stan": stan, "silence": "stands"}
        if self._stands and certain:
            _log.error("taken_and_not_booked", invariant="I1", **where)
        elif self._stands:
            _log.error("booking_unknown", invariant="I6", **where)

    def told(self, answer: Answer) -> None:
        """The end of a payment, by the engine's watch."""
        if self._stands and answer.state in _NOT_BOOKED and answer.key not in self._heard:
            _log.error("taken_and_not_booked", key=answer.key, invariant="I1")
