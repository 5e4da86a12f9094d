"""What the engine is told by configuration: its bounds and its routes."""

from typing import Annotated

from msgspec import Meta, Struct

Limit = Annotated[int, Meta(ge=1)]
Milliseconds = Annotated[int, Meta(ge=1, le=86_400_000)]


class Limits(Struct, frozen=True, kw_only=True):
    """The engine's bounds (I11)."""

    payments_in_flight: Limit
    """New payments beyond this are refused as out of service; nothing is sent for them."""
    answer_wait_ms: Milliseconds
    """How long a terminal's call waits for the end before it is answered PENDING."""
    payment_deadline_ms: Milliseconds
    """After this no booking is resent: only definite ends (rule 2)."""
    recovery_every_ms: Milliseconds
    recovery_batch: Limit
    """Payments adopted per sweep: recovery goes at a stated rate."""


class Route(Struct, frozen=True, kw_only=True):
    """(hospital, business, medium) → channel."""

    hospital: str
    business: str
    medium: str
    channel: str
