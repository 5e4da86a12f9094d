"""The bank's side of the wire: answers and pushes encoded, MACed, and spoilt when told to."""

from collections.abc import Mapping

from channels.bank_simulator.entries import WorkingKeys
from channels.bank_simulator.habits import Habit, Name
from channels.bank_simulator.macs import keyed
from channels.iso8583.codec import Codec
from channels.iso8583.dialect import Dialect
from channels.iso8583.mac import MacMaker
from channels.iso8583.message import Message
from switch.net.frames import framed

Answers = list[tuple[int, bytes]]
"""(delay in ms, bytes for the wire with their length prefix), in order."""

_FEN_MAX = 10**12
_STANS = 1_000_000
_WRONG_STAN = 500_000


class Wire:
    """See the module. ``hangs_up`` after :meth:`spoilt`: the link must be dropped afterwards."""

    def __init__(self, dialect: Dialect) -> None:
        self.hangs_up = False
        self.codec = Codec(dialect)
        self._dialect = dialect
        self._macs = MacMaker(dialect)
        self._prefix = dialect.length_prefix
        self._towards_us = Message(mti="", fields={}, tpdu=dialect.tpdu, header=dialect.header)

    def is_proven(self, message: Message, keys: WorkingKeys) -> bool:
        """Whether its MAC was made with these keys."""
        mac = message.fields.get(self._dialect.mac.field, "").encode()
        data = self._macs.input(message.mti, message.fields, message.mab)
        return mac == keyed(keys.mak, data, self._macs.form)

    def answer(
        self,
        to: Message,
        fields: dict[str, str],
        keys: WorkingKeys | None,
        habit: Habit | None,
    ) -> bytes:
        """The answer to a request, with a MAC where there are keys and the type has one."""
        name = habit.habit if habit is not None else None
        if name is Name.WRONG_AMOUNT_ECHO and "4" in fields:
            fields["4"] = f"{(int(fields['4']) + 1) % _FEN_MAX:012d}"
        if name is Name.WRONG_STAN and "11" in fields:
            fields["11"] = f"{(int(fields['11']) + _WRONG_STAN) % _STANS:06d}"
        rule = self._dialect.mtis[to.mti]
        data = self._sealed(to, rule.answer, fields, keys if rule.maced else None)
        if name is Name.WRONG_MAC:
            data = data[:-1] + (b"0" if data[-1:] != b"0" else b"1")
        return framed(data, self._prefix)

    def push(self, mti: str, fields: Mapping[str, str], keys: WorkingKeys | None) -> bytes:
        """A message of our own: its headers are those of an answer."""
        maced = self._dialect.mtis[mti].maced
        data = self._sealed(self._towards_us, mti, dict(fields), keys if maced else None)
        return framed(data, self._prefix)

    def request(self, mti: str, fields: Mapping[str, str], keys: WorkingKeys | None) -> bytes:
        """A request as a terminal makes it."""
        maced = self._dialect.mtis[mti].maced
        data = self._sealed(None, mti, dict(fields), keys if maced else None)
        return framed(data, self._prefix)

    def spoilt(self, data: bytes, habit: Habit | None) -> Answers:
        """When and in which pieces it leaves."""
        if habit is None:
            return [(0, data)]
        match habit.habit:
            case Name.SILENT:
                return []
            case Name.LATE:
                return [(habit.delay_ms, data)]
            case Name.DUPLICATE:
                return [(0, data), (habit.delay_ms, data)]
            case Name.HALF_FRAME:
                self.hangs_up = True
                return [(0, data[: len(data) // 2])]
            case Name.DROP_LINK:
                self.hangs_up = True
                return []
            case Name.SLOW_DRIP:
                return [(at * habit.delay_ms, data[at : at + 1]) for at in range(len(data))]
            case _:
                return [(0, data)]

    def _sealed(
        self, to: Message | None, mti: str, fields: dict[str, str], keys: WorkingKeys | None
    ) -> bytes:
        if keys is not None:
            fields[self._dialect.mac.field] = self._macs.blank
        codec = self.codec
        encoded = codec.encode(mti, fields) if to is None else codec.answer(to, mti, fields)
        if keys is None:
            return encoded
        data = self._macs.input(mti, fields, self.codec.mab(encoded))
        return self._macs.sealed(encoded, keyed(keys.mak, data, self._macs.form))
