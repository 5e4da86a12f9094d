"""What a card's request is made of: the part the journal keeps and the part it must never see.

The dialect's template is split in two. Fields of rule 18 of docs/payment-law.md are made before the
commit and journaled; the others (track, PIN block, chip data, and F2 in clear) are made from the
card's secrets when the message is built, and live no longer than that (I12).
"""

from collections.abc import Mapping

from channels.iso8583.dialogue import Template
from channels.iso8583.template import compiled, filled
from switch.model.chip import journaled
from switch.model.secret import Secret, masked_pan
from switch.ports import CardSecrets

JOURNALED = frozenset(
    ["3", "4", "11", "12", "13", "14", "15", "22", "23", "25", "38", "41", "42", "49", "60", "61"]
)
"""Rule 18; F2 is journaled too, protected by the vault."""

_ENTRY_DIGITS = 3


class Split:
    """A request template in its two parts."""

    def __init__(self, template: Template) -> None:
        fills = compiled(template)
        self.mti = template.mti
        self._kept = {number: fill for number, fill in fills.items() if number in JOURNALED}
        self._secret = {number: fill for number, fill in fills.items() if number not in JOURNALED}

    def kept(self, values: Mapping[str, str]) -> dict[str, str]:
        """Facts to journal: ``F`` + number → value."""
        return {f"F{number}": value for number, value in filled(self._kept, values).items()}

    def whole(self, facts: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
        """All fields of the message: those journaled as they were journaled, and the others."""
        fields = {n: facts[f"F{n}"] for n in self._kept if facts.get(f"F{n}")}
        fields.update(filled(self._secret, values))
        return fields


def card_values(card: CardSecrets) -> dict[str, str]:
    """What templates may take of a card without its secrets: expiry, sequence, entry mode."""
    entry = card.entry_mode
    if card.pin_block is None and len(entry) == _ENTRY_DIGITS:
        entry = entry[:2] + "2"  # third digit: 1 with PIN, 2 without
    return {
        "expiry": card.expiry,
        "card_sequence": card.card_sequence.zfill(_ENTRY_DIGITS) if card.card_sequence else "",
        "entry_mode": entry,
    }


def secret_values(card: CardSecrets, pin_block: Secret[str] | None) -> dict[str, str]:
    """The card's secrets as templates take them. ``pin_block`` is under the bank's PIK."""
    return {
        "pan": card.pan.reveal(),
        "track2": card.track2.reveal().replace("=", "D") if card.track2 else "",
        "pin_block": pin_block.reveal() if pin_block else "",
        "chip": card.chip.reveal().hex().upper() if card.chip else "",
        "qr_code": card.qr_code.reveal() if card.qr_code else "",
    }


def card_facts(card: CardSecrets) -> dict[str, str]:
    """What a slip may show of the card."""
    return {"masked_pan": masked_pan(card.pan.reveal())}


def chip_facts(card: CardSecrets) -> dict[str, str]:
    """What of the chip a reversal may need (rule 18), and nothing else of field 55. Raises
    ChipError."""
    kept = journaled(card.chip.reveal()) if card.chip else ""
    return {"chip": kept} if kept else {}


def account12(card: CardSecrets) -> Secret[str]:
    """The account part of a PIN block: the rightmost 12 digits without the check digit."""
    return Secret(card.pan.reveal()[-13:-1])
