"""One exchange (一次报文往返) in flight: what went out, and what is known of its answer."""

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct
from twisted.internet.defer import Deferred

from channels.iso8583.link import Link
from channels.iso8583.message import Message
from channels.iso8583.mux import Key
from switch.ports import Cancellable


class Origin(Struct, frozen=True, kw_only=True):
    """The leg an exchange is for, so that a late answer finds its payment."""

    payment_key: str
    leg_index: int
    attempt: int


class MakOwner(Protocol):
    """Who knows the newest MAC key: the logical terminal."""

    @property
    def mak(self) -> str:
        """Under the LMK; empty before the first sign-on."""
        ...

    async def newest_mak(self) -> str:
        """As stored by whichever node signed on last. Raises JournalDown."""
        ...


class Exchange:
    """``mak`` is the key set recorded when it was sent: its answer verifies under that one, then
    under the owner's newest (rule 16 of docs/payment-law.md)."""

    __slots__ = (
        "answered",
        "fields",
        "key",
        "link",
        "mak",
        "origin",
        "owner",
        "partial",
        "suspect",
        "timer",
        "verifier_down",
    )

    def __init__(
        self, fields: Mapping[str, str], owner: MakOwner, mak: str, origin: Origin | None
    ) -> None:
        self.fields = fields
        self.owner = owner
        self.mak = mak
        self.origin = origin
        self.key: Key = ()
        self.link: Link | None = None
        self.partial = False
        """Another process sent it: ``fields`` is what the journal knows of the request."""
        self.timer: Cancellable | None = None
        self.answered: Deferred[Message | None] = Deferred()
        self.suspect = False
        """An answer came that did not prove itself (I10): reversal reason A0 instead of 98."""
        self.verifier_down = False
        """The HSM could not check the answer."""
