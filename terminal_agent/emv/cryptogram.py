"""GENERATE AC: what is asked, and what the card gives (EMV book 3, 6.5.5 and 10.8)."""

from enum import IntEnum
from typing import Final

from terminal_agent.emv import apdu, dol
from terminal_agent.emv.actions import Flow, Stop
from terminal_agent.emv.context import Context, Tsi
from terminal_agent.emv.tlv import TlvError, find, parse

_KIND_BITS: Final = 0xC0


class Cryptogram(IntEnum):
    """The two upper bits of 9F27, and of P1 when it is asked for."""

    AAC = 0x00
    TC = 0x40
    ARQC = 0x80
    OTHER = 0xC0


def generate(context: Context, asked: Cryptogram, list_tag: str) -> Flow[Cryptogram]:
    """Ask for a cryptogram over the data of CDOL1 (8C) or CDOL2 (8D). 9F27, 9F36, 9F26 and 9F10
    become card data. Raises Stop when the card gives none that can be read."""
    step = "first_ac" if list_tag == "8C" else "second_ac"
    try:
        data = dol.fill(context.card[list_tag], context.get)
    except TlvError:
        raise Stop(f"wrong_{list_tag}") from None
    answer = yield from context.say(apdu.generate_ac(asked, data))
    context.done(Tsi.CARD_RISK)
    if answer.sw != apdu.OK:
        context.note(step, f"{asked.name} {answer.sw:04X}")
        raise Stop(f"{step}_refused")
    given = _given(answer.data)
    if given is None:
        context.note(step, f"{asked.name} {answer.sw:04X}")
        raise Stop(f"{step}_unreadable")
    context.card.update(given)
    kind = Cryptogram(given["9F27"][0] & _KIND_BITS)
    context.note(step, f"{asked.name} {kind.name}")
    return kind


def _given(data: bytes) -> dict[str, bytes] | None:
    """The four data objects of either format (80 or 77); 9F10 may be missing."""
    try:
        found = parse(data)
    except TlvError:
        return None
    plain = find(found, "80")
    if plain is not None:
        value = plain.value
        given = {"9F27": value[:1], "9F36": value[1:3], "9F26": value[3:11], "9F10": value[11:]}
    else:
        tags = ("9F27", "9F36", "9F26", "9F10")
        parts = {tag: find(found, "77", tag) for tag in tags}
        given = {tag: part.value if part else b"" for tag, part in parts.items()}
    lengths = len(given["9F27"]), len(given["9F36"]), len(given["9F26"])
    return given if lengths == (1, 2, 8) and len(given["9F10"]) <= 32 else None
