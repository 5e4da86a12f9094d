"""What the kernel wants of the world, and what the world tells it."""

from collections.abc import Generator
from enum import StrEnum
from typing import Any, TypeVar

from msgspec import Struct

from terminal_agent.emv.tlv import Tlv, TlvError, find, parse
from terminal_agent.protocol import Chip, Pan, Track2


class EmvPayment(Struct, frozen=True, kw_only=True):
    """What is paid, when, and the number that no card can guess; clock and chance are injected."""

    amount_fen: int
    date: str
    """YYMMDD, the terminal's own."""
    time: str
    """HHMMSS."""
    unpredictable: bytes
    """9F37, 4 bytes."""
    counter: int
    """9F41, the terminal's own counter of payments, up to 8 digits."""


class Send(Struct, frozen=True):
    """Send these bytes to the card and give its answer to ``Kernel.answer``."""

    command: bytes

    def __repr__(self) -> str:
        return f"<send {self.command[:4].hex().upper()}>"


class ChoiceNeeded(Struct, frozen=True):
    """Let the holder choose an application (or confirm the only one): ``Kernel.choose``."""

    labels: tuple[str, ...]


class PinNeeded(Struct, frozen=True):
    """Let the holder type the PIN; the pad enciphers it for this account: ``Kernel.pin``."""

    pan: Pan
    amount_fen: int


class OnlineNeeded(Struct, frozen=True, kw_only=True):
    """Ask the issuer: ``Kernel.host``."""

    field55: Chip
    pan: Pan
    track2: Track2 | None
    expiry: str
    """YYMM, field 14."""
    card_sequence: str
    """Three digits, field 23; empty when the card has none."""
    pin_entered: bool

    def __repr__(self) -> str:
        return "<online needed>"


class EndKind(StrEnum):
    """How a card payment ended."""

    APPROVED = "approved"
    """Host and card agree: the card gave its certificate (TC)."""
    DECLINED = "declined"
    """The host or the card said no; see ``reversal_needed``."""
    CANCELLED = "cancelled"
    """The holder left before the host was asked: nothing happened."""
    TERMINATED = "terminated"
    """This card cannot be used: nothing happened."""


class Step(Struct, frozen=True):
    """One line of the path; ``detail`` holds no card data."""

    name: str
    detail: str


class End(Struct, frozen=True, kw_only=True):
    """The defined end. Field 55 of each message that may follow is ready, in the bank's order."""

    kind: EndKind
    reasons: tuple[str, ...]
    tvr: str
    tsi: str
    aid: str
    label: str
    pan_masked: str
    field55: Chip | None = None
    """As sent to the host."""
    host_approved: bool = False
    reversal_needed: bool = False
    """The host approved and the card did not confirm it: the debit must be undone."""
    field55_reversal: Chip | None = None
    """For a reversal of this payment, needed now or later."""
    script_results: str = ""
    """DF31: five bytes for each issuer script."""
    field55_notice: Chip | None = None
    """For the notice of script results; present when there were scripts."""
    stripe_allowed: bool = False
    """The profile allows to read the stripe instead."""


Action = Send | ChoiceNeeded | PinNeeded | OnlineNeeded | End

T = TypeVar("T")
Flow = Generator[Action, Any, T]
"""A part of the kernel: actions out, what the world answers in, at last a result."""


class PinOutcome(StrEnum):
    """How PIN entry ended."""

    ENTERED = "entered"
    BYPASSED = "bypassed"
    """The holder went on without a PIN."""
    BROKEN = "broken"
    """The pad does not work."""
    CANCELLED = "cancelled"


class Verdict(StrEnum):
    """What became of the question to the host."""

    APPROVED = "approved"
    DECLINED = "declined"
    UNREACHABLE = "unreachable"
    """No answer, or none that can be trusted."""


class HostAnswer(Struct, frozen=True, kw_only=True):
    """The host's verdict and what the issuer has for its card."""

    verdict: Verdict
    code: bytes = b""
    """8A; empty: the usual one for the verdict."""
    authentication: bytes = b""
    """91."""
    scripts: tuple[Tlv, ...] = ()
    """71 and 72, in order."""
    unreadable: bool = False
    """The answer's field 55 was no TLV: there is no issuer data."""

    @classmethod
    def read(cls, verdict: Verdict, code: str, field55: bytes) -> "HostAnswer":
        """Of an answer's response code (field 39) and field 55. An answer may echo the whole
        request: only 91, 71, 72 and 8A are taken."""
        try:
            found = parse(field55)
        except TlvError:
            return cls(verdict=verdict, code=code.encode("ascii"), unreadable=True)
        own_code, data = find(found, "8A"), find(found, "91")
        return cls(
            verdict=verdict,
            code=own_code.value if own_code else code.encode("ascii"),
            authentication=data.value if data else b"",
            scripts=tuple(item for item in found if item.tag in ("71", "72")),
        )


class CardGone(Exception):  # noqa: N818 - what happened, no error
    """The card was pulled, or stopped to answer for good."""


class Stop(Exception):  # noqa: N818 - a way out of nested parts, no error
    """This card cannot go on; ``reason`` is a word for people and statistics."""

    def __init__(
        self, reason: str, kind: EndKind = EndKind.TERMINATED, stripe_allowed: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason, self.kind, self.stripe_allowed = reason, kind, stripe_allowed
