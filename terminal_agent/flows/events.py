"""What the machine hears, and what it wants done.

Everything that belongs to one patient carries the number of the ``visit``: what an earlier
patient's question brings is for nobody (I12), and what was ordered for one is never done for
another.
"""

from enum import StrEnum

from msgspec import Struct

from terminal_agent.flows.businesses import Pick
from terminal_agent.flows.view import DeviceLine, PaymentLine, Tap
from terminal_agent.journal import PaymentOrder
from terminal_agent.protocol import Choice, Opaque, Patient, Told


class Stage(StrEnum):
    """How far a payment at the card has come."""

    INSERT = "insert"
    READING = "reading"
    APPLICATION = "application"
    PIN = "pin"
    SENT = "sent"
    """The key is in the journal: from here on only the outcome counts."""
    FINISHING = "finishing"
    """The card is being completed: it must stay in."""


# ---- what the machine hears ----------------------------------------------------------------------


class Tapped(Struct, frozen=True):
    """A finger on what is shown."""

    tap: Tap


class TimeUp(Struct, frozen=True):
    """``State.deadline_at`` has come."""


class Identified(Struct, frozen=True, kw_only=True):
    """A medium was read; ``number`` is what the hospital knows the patient by."""

    visit: int
    medium: str
    number: Opaque


class Found(Struct, frozen=True, kw_only=True):
    """The hospital knows the patient."""

    visit: int
    patient: Patient


class Offered(Struct, frozen=True, kw_only=True):
    """What may be picked at the current step."""

    visit: int
    choices: tuple[Choice, ...]


class Failed(Struct, frozen=True, kw_only=True):
    """What was asked of a device or of the switch came to nothing; no money has moved."""

    visit: int
    code: str
    text: str = ""


class Progress(Struct, frozen=True, kw_only=True):
    """A payment at the card goes on."""

    visit: int
    stage: Stage
    digits: int = 0
    labels: tuple[str, ...] = ()
    key: str = ""


class Ended(Struct, frozen=True, kw_only=True):
    """A payment's end, or what is known when nobody can wait any longer. ``told`` None: it came
    to nothing before it was sent, and ``code`` says why."""

    visit: int
    told: Told | None
    code: str = ""


class News(Struct, frozen=True):
    """An answer, journaled, whoever asked for it."""

    told: Told


class SlipNews(Struct, frozen=True, kw_only=True):
    """A slip: waiting, printed, failed."""

    key: str
    slip: str


class CardNews(Struct, frozen=True):
    """A card lies in the reader, or not any more."""

    inside: bool


class Services(Struct, frozen=True):
    """What the switch serves: business → title."""

    businesses: dict[str, str]


class LinkNews(Struct, frozen=True):
    """The link to the switch."""

    up: bool


class LockNews(Struct, frozen=True):
    """Locked with this text for the patient, or open (None)."""

    text: str | None


class DeviceNews(Struct, frozen=True):
    """Every device's state."""

    devices: tuple[DeviceLine, ...]


class Unfinished(Struct, frozen=True, kw_only=True):
    """After a restart: a payment of a moment ago whose outcome is not known yet."""

    key: str
    order: PaymentOrder


class Admitted(Struct, frozen=True, kw_only=True):
    """The attendant's code was right or wrong."""

    visit: int
    right: bool
    payments: tuple[PaymentLine, ...] = ()
    versions: dict[str, str] = {}


Event = (
    Tapped
    | TimeUp
    | Identified
    | Found
    | Offered
    | Failed
    | Progress
    | Ended
    | News
    | SlipNews
    | CardNews
    | Services
    | LinkNews
    | LockNews
    | DeviceNews
    | Unfinished
    | Admitted
)


# ---- what the machine wants done -----------------------------------------------------------------


class Identify(Struct, frozen=True, kw_only=True):
    """Wait for one of these media: Identified or Failed."""

    visit: int
    media: tuple[str, ...]


class AskPatient(Struct, frozen=True, kw_only=True):
    """Found or Failed."""

    visit: int
    medium: str
    number: Opaque


class AskChoices(Struct, frozen=True, kw_only=True):
    """Offered or Failed."""

    visit: int
    business: str
    pick: Pick
    patient: Patient
    chosen: tuple[tuple[str, str], ...]


class Pay(Struct, frozen=True, kw_only=True):
    """Progress and Ended. The only command that can move money; given once for each confirmed
    check."""

    visit: int
    order: PaymentOrder
    clearing: str


class AwaitOutcome(Struct, frozen=True, kw_only=True):
    """Ended, for a payment that is under way already (after a restart)."""

    visit: int
    key: str


class Choose(Struct, frozen=True):
    """The card's application, by place; None: given up."""

    place: int | None


class Stop(Struct, frozen=True):
    """Give up what is waited for at a device or asked of the switch. A payment that is sent goes
    on all the same."""


class Print(Struct, frozen=True):
    """SlipNews."""

    key: str


class GiveBack(Struct, frozen=True):
    """The card out; CardNews when it was taken."""


class CheckCode(Struct, frozen=True, kw_only=True):
    """Admitted."""

    visit: int
    code: Opaque


class SetLock(Struct, frozen=True):
    """Lock the kiosk with a text, or open it: LockNews."""

    text: str | None


class Restart(Struct, frozen=True):
    """Start the program anew."""


Command = (
    Identify
    | AskPatient
    | AskChoices
    | Pay
    | AwaitOutcome
    | Choose
    | Stop
    | Print
    | GiveBack
    | CheckCode
    | SetLock
    | Restart
)
