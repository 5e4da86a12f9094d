"""What the engine is told by configuration: its bounds and its routes."""

from typing import Annotated, Literal

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


Bin = Annotated[str, Meta(pattern="^[0-9]{1,12}$")]


class Route(Struct, frozen=True, kw_only=True):
    """(hospital, business, medium, BIN) → channel, merchant role, way of the PIN block."""

    hospital: str
    business: str
    medium: str
    channel: str
    bins: tuple[Bin, ...] = ()
    """Beginnings of card numbers; the longest that fits wins. None: every card that no other route
    names."""
    clearing: str = ""
    """Merchant role; empty: the business's (``outpatient``, ``inpatient``)."""
    pin: Literal["translate", "pass_through"] = "translate"
    """``translate``: the pad shares one key with the switch, and the HSM translates.
    ``pass_through``: the bank's own PIN key sits in the pad."""
