"""What a terminal asked for, as the engine tells a repeat from a conflict and plans it."""

import hashlib

import msgspec

from switch.model.payment import Payment
from switch.ports import PaymentRequest

_LATER = ("original", "clearing", "business_date")
"""Fields that requests got later: a request without them has the digest it always had."""


def request_digest(request: PaymentRequest) -> str:
    """SHA-256 over what was asked, without card data (I8: tells a repeat from a conflict).

    Who can finish the card says how the terminal is connected, which may be another way when the
    same request comes again: it does not count."""
    asked = msgspec.to_builtins(request)
    del asked["finisher"]
    for name in _LATER:
        if not asked[name]:
            del asked[name]
    return hashlib.sha256(msgspec.json.encode(asked)).hexdigest()


def asked_for(request: PaymentRequest) -> Payment:
    """The request as the payment it asks for, without legs and not begun."""
    return Payment(
        key=request.key,
        hospital=request.hospital,
        business=request.business,
        terminal=request.terminal,
        amount_fen=request.amount_fen,
        request_hash="",
        born_at=0,
        business_date="",
        bill=request.bill,
        patient=request.patient,
        retry_of=request.retry_of,
        original=request.original,
        details=request.details,
    )
