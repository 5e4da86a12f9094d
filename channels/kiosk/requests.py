"""From a terminal's request to the switch's own values. Every refusal names field and rule."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from channels.kiosk.config import Offer
from channels.kiosk.registry import Terminal
from switch.model.chip import ChipError, parse
from switch.model.secret import Secret
from switch.ports import CardSecrets, PaymentRequest, PinFor, PinPlan
from terminal_agent import protocol


class Heading(NamedTuple):
    """What of an envelope outlives the reading of its body: nothing secret."""

    id: str
    name: str
    idem: str
    version: int


Handler = Callable[[Heading, Any], Awaitable[object]]
"""Serves one request: heading and body to the body of its answer. Raises ProtocolError."""


def offers(businesses: Mapping[str, Offer], record: Terminal) -> dict[str, str]:
    """The businesses this terminal may ask for, code → title."""
    return {
        code: offer.title
        for code, offer in businesses.items()
        if not record.clearing or offer.clearing in record.clearing
    }


def payment_request(
    heading: Heading,
    body: protocol.PaymentStart,
    record: Terminal,
    offered: Mapping[str, str],
) -> PaymentRequest:
    """What the engine is asked. Raises ProtocolError."""
    check_business(body.business, offered, heading.id)
    if body.retry_of and not body.retry_of.startswith(record.terminal + "-"):
        raise protocol.ProtocolError(
            "bad_field", "must be a key of this terminal", "retry_of", heading.id
        )
    return PaymentRequest(
        key=heading.idem,
        hospital=record.hospital,
        business=body.business,
        terminal=record.terminal,
        amount_fen=body.amount_fen,
        patient=body.patient,
        bill=body.bill,
        medium=body.medium,
        retry_of=body.retry_of,
        details=body.details,
    )


def check_business(business: str, offered: Mapping[str, str], request_id: str) -> None:
    """Raises ProtocolError for a business that this terminal is not served."""
    if business not in offered:
        raise protocol.ProtocolError(
            "unknown_business", "not a business served here", "business", request_id
        )


def card_secrets(card: protocol.Card | None, record: Terminal, request_id: str) -> CardSecrets:
    """The card's data, wrapped. Raises ProtocolError when it cannot be used here."""
    if card is None:
        raise protocol.ProtocolError("bad_field", "a card is required", "card", request_id)
    if card.pin_block is not None and card.pin_for is None and not record.tpk:
        rule = "this terminal has no PIN key"
        raise protocol.ProtocolError("bad_field", rule, "card.pin_block", request_id)
    chip = bytes.fromhex(card.chip.reveal()) if card.chip else None
    try:
        parse(chip or b"")
    except ChipError as error:
        raise protocol.ProtocolError("bad_field", str(error), "card.chip", request_id) from None
    return CardSecrets(
        pan=Secret(card.pan.reveal()),
        track2=Secret(card.track2.reveal()) if card.track2 else None,
        pin_block=Secret(card.pin_block.reveal()) if card.pin_block else None,
        pin_key=record.tpk,
        pin_for=_made_for(card.pin_for, record),
        expiry=card.expiry,
        card_sequence=card.card_sequence,
        entry_mode=card.entry_mode,
        chip=Secret(chip) if chip else None,
    )


def pin_planned(plan: PinPlan | None) -> protocol.PinPlanReply:
    """What the terminal is told of a plan."""
    if plan is None:
        return protocol.PinPlanReply(ok=False, code="no_route", text="暂不支持该银行卡")
    made_for = plan.pin_for
    if made_for is None:
        return protocol.PinPlanReply(ok=True)
    return protocol.PinPlanReply(
        ok=True,
        mode=protocol.THROUGH,
        slot=plan.slot,
        pin_for=protocol.PinFor(
            bank=made_for.bank,
            merchant=made_for.merchant,
            terminal=made_for.terminal,
            generation=made_for.generation,
        ),
        cryptogram=plan.cryptogram,
        check_value=plan.check_value,
    )


def _made_for(said: protocol.PinMadeFor | None, record: Terminal) -> PinFor | None:
    """Whose key the block is under, by the terminal's word; which kiosk it is, by its
    certificate."""
    if said is None:
        return None
    return PinFor(
        bank=said.bank,
        merchant=said.merchant,
        terminal=said.terminal,
        generation=said.generation,
        kiosk=record.terminal,
    )
