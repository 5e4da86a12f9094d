"""What the engine is told by configuration: its bounds and its routes."""

from msgspec import Struct


class Limits(Struct, frozen=True, kw_only=True):
    """The engine's bounds (I11)."""

    payments_in_flight: int
    """New payments beyond this are refused as out of service; nothing is sent for them."""
    answer_wait_ms: int
    """How long a terminal's call waits for the end before it is answered PENDING."""
    payment_deadline_ms: int
    """After this no booking is resent: only definite ends (rule 2)."""
    recovery_every_ms: int
    recovery_batch: int
    """Payments adopted per sweep: recovery goes at a stated rate."""


class Route(Struct, frozen=True, kw_only=True):
    """(hospital, business, medium) → channel."""

    hospital: str
    business: str
    medium: str
    channel: str
