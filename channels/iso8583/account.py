"""Whose money an operation moves: a card that is here, a payment code, or the card of an original.

A void, a refund or a completion may come without its card: then the number is the original's, as
the vault kept it, and the entry mode says that nobody read a card.
"""

from collections.abc import Mapping

from channels.iso8583 import sale
from channels.iso8583.dialogue import OperationTemplate
from switch.model.secret import Secret
from switch.ports import CardSecrets, KeyService

WITHOUT_CARD = "012"
"""Field 22 when the card is not here: keyed in, no PIN."""


def usable(
    template: OperationTemplate,
    facts: Mapping[str, str],
    card: CardSecrets | None,
    *,
    pin_required: bool,
) -> bool:
    """Whether the operation can be sent for this account. A card that pays for something new needs
    its PIN where the bank requires one; what refers to an original needs no card."""
    if "2" not in template.fields:
        return (card is not None and card.qr_code is not None) or "original_F11" in facts
    if "original_F11" in facts:
        return bool(facts.get("original_F2") or (card is not None and card.pan.reveal()))
    return card is not None and (card.pin_block is not None or not pin_required)


def values(facts: Mapping[str, str], card: CardSecrets | None) -> dict[str, str]:
    """What templates may take of the account without its secrets."""
    if card is not None and card.pan.reveal():
        return sale.card_values(card)
    return {"expiry": facts.get("original_F14", ""), "entry_mode": WITHOUT_CARD}


async def vaulted(
    service: KeyService, facts: Mapping[str, str], card: CardSecrets | None
) -> dict[str, str]:
    """F2 for the journal, as the vault protects it; nothing for a payment code. Raises
    KeyServiceError."""
    if card is not None and card.pan.reveal():
        return {"F2": await service.protect(card.pan)} | sale.card_facts(card)
    kept = facts.get("original_F2", "")
    masked = facts.get("original_masked_pan", "")
    return ({"F2": kept} if kept else {}) | ({"masked_pan": masked} if masked else {})


async def secrets(
    service: KeyService, facts: Mapping[str, str], card: CardSecrets | None
) -> CardSecrets:
    """The account to send. Raises KeyServiceError."""
    if card is not None and (card.pan.reveal() or card.qr_code is not None):
        return card
    kept = facts.get("original_F2", "")
    return CardSecrets(pan=await service.reveal(kept) if kept else Secret(""))
