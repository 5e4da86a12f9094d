"""What the bank sends of its own accord: new keys, the turn of its day, a sign of life.

Keys of a reset are the bank's only when the switch has taken them: until its answer comes, and for
a little while after it, the old ones hold. The MAC key goes first; the PIN key follows its answer.
"""

from collections.abc import Callable, Mapping

from msgspec import Struct, structs

from channels.bank_simulator.entries import WorkingKeys
from channels.bank_simulator.keyring import Keyring, Owner, Reset
from channels.bank_simulator.wire import Answers, Wire
from channels.iso8583.dialect import Dialect
from channels.iso8583.message import Message
from channels.iso8583.rules import approves
from channels.iso8583.template import compiled, filled

KEY_RESET = "key_reset"
DAY_CUT_START = "day_cut_start"
PUSHED = (KEY_RESET, DAY_CUT_START, "day_cut_end", "echo")
"""Kinds of messages that a bank may begin, by their names in a dialect."""
_STANS = 999_999
_PENDING_MAX = 1_000


class _Pending(Struct, frozen=True):
    owner: Owner
    reset: Reset
    rest: list[Reset]
    """The messages that follow it."""


class Pushes:
    """See the module. ``date_time`` gives YYYYMMDD and hhmmss."""

    def __init__(
        self,
        dialect: Dialect,
        wire: Wire,
        keyring: Keyring,
        date_time: Callable[[], tuple[str, str]],
    ) -> None:
        self._dialect = dialect
        self._wire = wire
        self._keyring = keyring
        self._date_time = date_time
        self._pending: dict[str, _Pending] = {}
        self._stan = 0
        self._fills = {
            kind: compiled(dialect.network[kind]) for kind in PUSHED if kind in dialect.network
        }

    def has(self, kind: str) -> bool:
        """Whether the dialect knows it."""
        return kind in self._fills

    def send(self, kind: str, owner: Owner) -> Answers:
        """One message of this kind. Nothing where the dialect has none."""
        if kind == KEY_RESET:
            return self.keys(owner)
        if kind not in self._fills:
            return []
        keys = self._keyring.newest(owner)
        return [(0, self._encoded(kind, self._values(owner, self._next_stan()), {}, keys))]

    def keys(self, owner: Owner, *, wrong: bool = False) -> Answers:
        """A key reset. ``wrong``: with a check value that is not the key's."""
        if KEY_RESET not in self._fills:
            return []
        return self._begin(owner, self._keyring.resets(owner, wrong=wrong))

    def answered(self, kind: str, message: Message) -> Answers:
        """The switch's answer; what follows it. One that does not prove itself changes nothing."""
        if kind != KEY_RESET:
            return []
        pending = self._pending.pop(message.fields.get("11", ""), None)
        if pending is None or not approves(self._dialect, message.code):
            return []
        keys = pending.reset.keys
        maced = self._dialect.mtis[message.mti].maced
        proof = structs.replace(keys, mak=pending.reset.proof)
        if maced and not self._wire.is_proven(message, proof):
            return []
        self._keyring.adopt(pending.owner, keys, reset=True)
        return self._begin(pending.owner, pending.rest)

    def _begin(self, owner: Owner, resets: list[Reset]) -> Answers:
        if not resets:
            return []
        reset, *rest = resets
        stan = self._next_stan()
        if len(self._pending) >= _PENDING_MAX:
            del self._pending[next(iter(self._pending))]
        self._pending[stan] = _Pending(owner, reset, rest)
        values = self._values(owner, stan) | reset.values
        keys = structs.replace(reset.keys, mak=reset.proof)
        return [(0, self._encoded(KEY_RESET, values, reset.fields, keys))]

    def _encoded(
        self,
        kind: str,
        values: Mapping[str, str],
        fields: Mapping[str, str],
        keys: WorkingKeys | None,
    ) -> bytes:
        whole = {**fields, **filled(self._fills[kind], values)}
        return self._wire.push(self._dialect.network[kind].mti, whole, keys)

    def _values(self, owner: Owner, stan: str) -> dict[str, str]:
        date, time = self._date_time()
        keys = self._keyring.newest(owner)
        return {
            "merchant": owner[0],
            "terminal": owner[1],
            "batch": keys.batch if keys else "",
            "stan": stan,
            "date": date[4:],
            "time": time,
            "sent_date": date[4:],
            "sent_time": time,
            "currency": self._dialect.currency,
        }

    def _next_stan(self) -> str:
        self._stan = self._stan % _STANS + 1
        return f"{self._stan:06d}"
