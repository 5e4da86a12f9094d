"""The bank's working keys: what it has given, what it takes, and what a message proves itself by.

Terminals of a dialect whose sign-on brings keys have a set each; a host has one for all of us.
Independent of the channel: it never asks what the switch holds.
"""

from collections.abc import Mapping
from random import Random

from msgspec import Struct

from channels.iso8583.dialect import Dialect, KeyField, KeyLayout, Span
from channels.iso8583.mac import MacMaker
from channels.iso8583.message import Message
from switch.model.chip import encode
from tests.sim.clock import SimClock
from tests.sim.key_service import kcv_of, mac_of
from tests.sim.mix import Mix

_KEPT = 8
"""Generations of keys a patient bank still takes."""
_GRACE_S = 45.0
"""So long a strict bank takes what was made under the keys before; longer than its own time."""
PIK, MAK = "PIK", "MAK"


class Key(Struct, kw_only=True):
    """One working key. ``number`` counts what was given, ``text`` is its name at the HSM."""

    name: str
    digits: str
    number: int
    text: str
    pin: str
    """What a PIN block looks like under it."""
    replaced_at: float | None = None


class BankKeys:
    """``bad``: keys that were sent wrongly, and which nobody may use; ``misused``: who did."""

    def __init__(self, dialect: Dialect, clock: SimClock, random: Random, mix: Mix) -> None:
        self.macs = MacMaker(dialect)
        self.shared = not dialect.sign_on.brings_keys
        self.bad: dict[str, list[Key]] = {PIK: [], MAK: []}
        self.misused: list[str] = []
        self._mac_field = dialect.mac.field
        self._layout = None if self.shared else _double_length(dialect.keys)
        self._clock = clock
        self._random = random
        self._mix = mix
        self._held: dict[tuple[str, str], list[Key]] = {}
        """(owner, name) → keys in force, newest first."""
        self._number = 0

    def fresh(self, name: str) -> Key:
        """A key that nobody has yet."""
        self._number += 1
        digits = f"{self._random.getrandbits(128):032X}"
        text = "U" + digits
        return Key(name=name, digits=digits, number=self._number, text=text, pin=kcv_of(text))

    def adopt(self, owner: str, key: Key) -> None:
        """It is in force from here on; one that was given before the newest changes nothing."""
        held = self._held.setdefault((owner, key.name), [])
        if held and held[0].number >= key.number:
            return
        if held:
            held[0].replaced_at = self._clock.rightNow
        held.insert(0, key)
        del held[_KEPT:]

    def sign_on(self, terminal: str) -> dict[str, str]:
        """The fields of a sign-on's answer that bring two new keys, in force at once."""
        assert self._layout is not None
        field, layout = self._layout
        block = bytearray(layout.length)
        for name, place, check in (
            (PIK, layout.pik, layout.pik_kcv),
            (MAK, layout.mak, layout.mak_kcv),
        ):
            key = self.fresh(name)
            self.adopt(terminal, key)
            _lay(block, place, bytes.fromhex(key.digits))
            _lay(block, check, bytes.fromhex(kcv_of(key.digits)))
        value = encode([(field.tag, bytes(block))]) if field.tag else bytes(block)
        return {field.field: value.hex().upper()}

    def proven(self, message: Message) -> str:
        """The key under which the request's MAC is right, or nothing."""
        data = self.macs.input(message.mti, message.fields, message.mab)
        mac = message.fields.get(self._mac_field, "").encode()
        for key in self._in_force(MAK, message.fields):
            if mac_of(key.text, data, self.macs.form) == mac:
                return key.text
        if any(mac_of(key.text, data, self.macs.form) == mac for key in self.bad[MAK]):
            self.misused.append(f"{message.mti} {message.fields.get('11')}: under a bad MAC key")
        return ""

    def knows_pin(self, message: Message) -> bool:
        """Whether the PIN block is under a key in force, where the bank looks at it."""
        block = message.fields.get("52", "")
        if not block or not self.shared:
            return True
        if any(key.pin == block for key in self.bad[PIK]):
            self.misused.append(f"{message.mti} {message.fields.get('11')}: under a bad PIN key")
        return any(key.pin == block for key in self._in_force(PIK, message.fields))

    def to_answer(self, terminal: str, proven: str) -> str:
        """The key that an answer is made under: a bank that has new ones by then may use them."""
        held = self._held.get((self._owner(terminal), MAK))
        return held[0].text if held and proven and self._mix.bank_newest_mac else proven

    def seal(
        self, encoded: bytes, mti: str, fields: Mapping[str, str], mab: bytes, by: str
    ) -> bytes:
        """The encoded message with its MAC in the blank's place."""
        data = self.macs.input(mti, fields, mab)
        return self.macs.sealed(encoded, mac_of(by, data, self.macs.form))

    def _in_force(self, name: str, fields: Mapping[str, str]) -> list[Key]:
        held = self._held.get((self._owner(fields.get("41", "")), name), [])
        if not self._mix.bank_strict_keys:
            return held
        oldest = self._clock.rightNow - _GRACE_S
        return [key for key in held if key.replaced_at is None or key.replaced_at > oldest]

    def _owner(self, terminal: str) -> str:
        return "" if self.shared else terminal


def _double_length(fields: tuple[KeyField, ...]) -> tuple[KeyField, KeyLayout]:
    """The layout that brings two keys of 16 bytes."""
    return next(
        (field, layout)
        for field in fields
        for layout in field.layouts
        if layout.pik is not None and layout.mak is not None and layout.mak.size == 16
    )


def _lay(block: bytearray, place: Span | None, value: bytes) -> None:
    if place is not None:
        block[place.at : place.at + place.size] = value[: place.size]
