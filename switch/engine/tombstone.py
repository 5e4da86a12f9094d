"""What bars a key that was asked for, or taken back, before it was ever used (rule 12)."""

import msgspec

from switch.model.outcome import Millis
from switch.model.payment import Payment, Rest
from switch.ports import Write

TOMBSTONE = "tombstone"
"""Its request hash: no request has this one, so that whatever comes late is refused."""


def grave(hospital: str, terminal: str, key: str, at: Millis) -> Write:
    """The first write of a key that shall never be a payment."""
    payment = Payment(
        key=key,
        hospital=hospital,
        business="",
        terminal=terminal,
        amount_fen=0,
        request_hash=TOMBSTONE,
        born_at=at,
        business_date="",
        rest=Rest.DECLINED,
        version=1,
    )
    return Write(
        payment=payment, event=msgspec.json.encode({"event": {"kind": "buried", "at": at}})
    )
