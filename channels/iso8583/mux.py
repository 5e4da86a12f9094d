"""The MUX: which answer belongs to which request (sans-IO).

An answer is matched by the fields its message type names in the dialect (``match``), never by
order and never by link: it may come on another link than its request went out on. What does not
match anything in flight is looked up among the exchanges that have ended: an answer to an expired
one is *late* and goes to the machine (I5), an answer to an answered one is a duplicate and changes
nothing. Both tables are bounded (I11): the one in flight by refusing, the ended one by forgetting
the oldest.
"""

from collections import OrderedDict
from collections.abc import Mapping
from enum import StrEnum
from typing import Generic, TypeVar

from channels.iso8583.dialect import Dialect
from channels.iso8583.errors import LocalError, RemoteError

Key = tuple[str, ...]
E = TypeVar("E")
V = TypeVar("V")


class Match(StrEnum):
    """What an incoming answer is to us."""

    WAITED = "waited"
    LATE = "late"
    DUPLICATE = "duplicate"
    UNMATCHED = "unmatched"


class Mux(Generic[E]):
    """Exchanges of one bank, by key. ``E`` is whatever the channel keeps for an exchange."""

    def __init__(self, dialect: Dialect, ended_limit: int) -> None:
        self._by_answer = {rule.answer: rule.match for rule in dialect.mtis.values() if rule.answer}
        self._answer_of = {mti: rule.answer for mti, rule in dialect.mtis.items() if rule.answer}
        self._ended_limit = ended_limit
        self._waiting: dict[Key, E] = {}
        self._answered: OrderedDict[Key, None] = OrderedDict()
        self._expired: OrderedDict[Key, E] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def waiting(self) -> list[E]:
        """The exchanges in flight, oldest first."""
        return list(self._waiting.values())

    def expect(self, mti: str, fields: Mapping[str, str], exchange: E) -> Key:
        """Wait for the answer to a request about to be sent.

        Raises LocalError when another exchange waits under the same key: two requests that the
        bank's answers could not tell apart must not be in flight together.
        """
        key = self._answered_by(mti, fields)
        if key in self._waiting:
            raise LocalError("mux", f"an exchange with key {shown(key)} is in flight already")
        self._answered.pop(key, None)
        self._expired.pop(key, None)
        self._waiting[key] = exchange
        return key

    def remember(self, mti: str, fields: Mapping[str, str], exchange: E) -> Key:
        """A request that another process sent has ended: an answer to it that still comes is late.
        What this process knows of the key itself stays."""
        key = self._answered_by(mti, fields)
        if self.find(key)[0] is Match.UNMATCHED:
            self._remember(self._expired, key, exchange)
        return key

    def key_of(self, mti: str, fields: Mapping[str, str]) -> Key:
        """The key an answer carries. Raises RemoteError for a type that answers nothing."""
        match = self._by_answer.get(mti)
        if match is None:
            raise RemoteError("mti", f"{mti} is not an answer to anything we send")
        return (mti, *(fields.get(number, "") for number in match))

    def find(self, key: Key) -> tuple[Match, E | None]:
        """What waits under a key, or what it is otherwise. Changes nothing (I10: the answer has
        not proved itself yet)."""
        if key in self._waiting:
            return Match.WAITED, self._waiting[key]
        if key in self._expired:
            return Match.LATE, self._expired[key]
        return (Match.DUPLICATE if key in self._answered else Match.UNMATCHED), None

    def answered(self, key: Key) -> None:
        """An authentic answer was taken for this key; another one will be a duplicate."""
        self._waiting.pop(key, None)
        self._expired.pop(key, None)
        self._remember(self._answered, key, None)

    def expired(self, key: Key) -> None:
        """Nobody waits any longer; an answer that still comes is late."""
        exchange = self._waiting.pop(key, None)
        if exchange is not None:
            self._remember(self._expired, key, exchange)

    def forget(self, key: Key) -> None:
        """The request never left."""
        self._waiting.pop(key, None)

    def _answered_by(self, mti: str, fields: Mapping[str, str]) -> Key:
        answer = self._answer_of[mti]
        return (answer, *(fields.get(number, "") for number in self._by_answer[answer]))

    def _remember(self, table: "OrderedDict[Key, V]", key: Key, value: V) -> None:
        """Answered ones are many and expired ones few: each has its own table, so that a busy
        hour does not push out the sale whose approval is still to come (I5)."""
        table[key] = value
        table.move_to_end(key)
        if len(table) > self._ended_limit:
            table.popitem(last=False)


def shown(key: Key) -> str:
    """A key for people; none of its fields is secret (type, terminal, STAN).

    >>> shown(("0210", "00000001", "000042"))
    '0210/00000001/000042'
    """
    return "/".join(key)
