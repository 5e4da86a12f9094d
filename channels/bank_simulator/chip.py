"""The issuer of the simulated bank's chip cards: checks their cryptograms, answers with its own.

It knows the issuer's published test keys from the keys file; each card's own are derived from its
number and sequence number, as on a real card.
"""

from collections.abc import Mapping

from channels.bank_simulator.habits import Habit, Name
from channels.bank_simulator.world import Holder, World
from channels.iso8583.message import Message
from hsm.primitives import CardKeys
from switch.model.chip import ChipError, encode, parse

CHIP_ENTRY = "05"
"""Field 22 of a read chip begins so."""
APPROVED, WRONG, UNREADABLE = "00", "05", "30"

_SCRIPT_ID = ("9F18", bytes.fromhex("00000001"))


class ChipIssuer:
    """One bank's issuer. ``judge`` before money moves, ``answer`` when the code is known."""

    def __init__(self, world: World) -> None:
        self._keys: CardKeys | None = None
        if world.issuer is not None:
            self._keys = CardKeys(
                bytes.fromhex(world.issuer.cryptogram_key), bytes.fromhex(world.issuer.script_key)
            )

    def judge(self, message: Message, holder: Holder | None) -> str:
        """``00`` for whatever is no read chip of ours; a chip needs the right cryptogram over the
        amount of the message."""
        if not _is_read(message, holder):
            return APPROVED
        objects = _objects(message)
        try:
            over_this = objects["9F02"].hex() == message.fields["4"]
            genuine = self._of(message).is_genuine(objects)
        except (KeyError, ValueError):
            return UNREADABLE
        return APPROVED if genuine and over_this else WRONG

    def answer(
        self, message: Message, holder: Holder | None, code: str, habit: Habit | None
    ) -> dict[str, str]:
        """Field 55 of the answer: 91, and a script when told to. Nothing for a card whose own
        cryptogram was wrong: there is nobody to talk to."""
        name = habit.habit if habit is not None else None
        silent = name is Name.NO_ISSUER_DATA or self.judge(message, holder) != APPROVED
        if silent or not _is_read(message, holder):
            return {}
        keys, objects = self._of(message), _objects(message)
        counter, arqc = objects["9F36"], objects["9F26"]
        arpc = keys.issuer_answer(counter, arqc, code.encode())
        if name is Name.WRONG_ARPC:
            arpc = bytes(byte ^ 0xFF for byte in arpc)
        data = [("91", arpc + code.encode())]
        if habit is not None and name is Name.SCRIPT:
            command = bytes.fromhex(habit.code) + b"\x04"
            whole = command + keys.script_mac(counter, arqc, command)
            data.append(("72", encode([_SCRIPT_ID, ("86", whole)])))
        return {"55": encode(data).hex().upper()}

    def _of(self, message: Message) -> CardKeys:
        """The keys of the card in the message, by its number and sequence number (F23)."""
        if self._keys is None:
            raise ValueError("no issuer")
        return self._keys.derived(message.fields["2"], message.fields.get("23", "000")[-2:])


def _is_read(message: Message, holder: Holder | None) -> bool:
    is_chip = holder is not None and holder.chip
    return is_chip and message.fields.get("22", "").startswith(CHIP_ENTRY)


def _objects(message: Message) -> Mapping[str, bytes]:
    """Field 55, tag → value; empty when it is none."""
    try:
        return dict(parse(bytes.fromhex(message.fields.get("55", ""))))
    except ChipError:
        return {}
