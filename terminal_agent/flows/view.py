"""What the page shows: one value, whole, for every state of the kiosk.

The page renders a :class:`View` and holds nothing itself; what a finger does comes back as a
:class:`Tap` that names the view it was made on, so that a tap on what is not shown any more does
nothing. Nothing here is secret (I12): names and numbers are masked before they come here, and of a
PIN there is only the number of digits.
"""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct


class Screen(StrEnum):
    """What is shown."""

    HOME = "home"
    """``tiles``: the businesses."""
    IDENTIFY = "identify"
    """``media``: with what the patient may say who they are."""
    BUSY = "busy"
    """Something is asked of the hospital; nobody can do anything but wait, or cancel."""
    PICK = "pick"
    """``choices`` of the step that ``step`` points to."""
    CHECK = "check"
    """``facts`` and the amount, to be confirmed."""
    CARD = "card"
    """Put the card in. ``prompt``: insert, reading, application (``choices``), remove."""
    PIN = "pin"
    """``digits`` typed so far at the pad."""
    PAYING = "paying"
    """The money may be moving: no way out but the end."""
    RESULT = "result"
    """``outcome``, and what to do next."""
    LISTING = "listing"
    """``choices`` to read, of a query; nothing to choose."""
    TAKE_CARD = "take_card"
    CLOSED = "closed"
    """Out of service: ``notice`` says why (locked, offline, device …)."""
    CODE = "code"
    """The attendant's code is asked for; ``digits`` typed so far."""
    ATTENDANT = "attendant"
    """``devices``, ``payments``, ``versions``."""


class Button(StrEnum):
    """What may be tapped besides tiles, media, choices and payments."""

    CONFIRM = "confirm"
    BACK = "back"
    CANCEL = "cancel"
    HOME = "home"
    LANGUAGE = "language"
    ELDER = "elder"
    CONTRAST = "contrast"
    VOICE = "voice"
    STAY = "stay"
    """More time, please."""
    ATTENDANT = "attendant"
    LOCK = "lock"
    UNLOCK = "unlock"
    RESTART = "restart"
    DIGIT = "digit"
    """Of the attendant's code, ``id`` 0 … 9; never of a PIN."""
    CLEAR = "clear"


class Tile(Struct, frozen=True, kw_only=True):
    """A business on the home page. ``title`` is the switch's (Chinese); the page knows English
    names by ``id``."""

    id: str
    title: str
    group: str
    """pay, register, account, query: where it stands and what colour it has."""
    open: bool
    """False: out of service, shown and not tapped."""


class Line(Struct, frozen=True, kw_only=True):
    """A thing to choose or to read."""

    id: str
    title: str
    detail: str = ""
    amount_fen: int | None = None
    open: bool = True


class Fact(Struct, frozen=True, kw_only=True):
    """One line of what is to be checked; ``label`` is a word of the page's dictionary."""

    label: str
    value: str


class DeviceLine(Struct, frozen=True, kw_only=True):
    """For the attendant."""

    role: str
    driver: str
    state: str


class PaymentLine(Struct, frozen=True, kw_only=True):
    """For the attendant: no card data, the name masked."""

    key: str
    at_ms: int
    patient: str
    title: str
    amount_fen: int
    state: str
    copies: int


class View(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything the page needs. Empty fields are left out on the wire."""

    revision: int
    """Grows with every change; a tap names it."""
    screen: Screen
    terminal: str
    hospital: str
    language: str = "zh"
    elder: bool = False
    contrast: bool = False
    voice: bool = False
    now_ms: int = 0
    countdown_ms: int = 0
    """Left until the kiosk goes home by itself; 0: no countdown."""
    countdown_whole_ms: int = 0
    business: str = ""
    title: str = ""
    """The business, in the switch's words."""
    steps: tuple[str, ...] = ()
    """Words of the page's dictionary: identify, bill, department, doctor, slot, appointment,
    amount, check, pay, done …"""
    step: int = 0
    tiles: tuple[Tile, ...] = ()
    media: tuple[str, ...] = ()
    """visit, id, social, scan."""
    choices: tuple[Line, ...] = ()
    facts: tuple[Fact, ...] = ()
    amount_fen: int | None = None
    digits: int = 0
    prompt: str = ""
    """A word of the page's dictionary: what to do now."""
    outcome: str = ""
    """approved, declined, returned, pending, exception, refused, failed, cancelled."""
    notice: str = ""
    """A word of the page's dictionary: what went wrong, or what to know."""
    text: str = ""
    """A sentence of the hospital or the bank, shown as it is."""
    code: str = ""
    """For the attendant and the hotline: the bank's or the kiosk's code."""
    next: str = ""
    """A word of the page's dictionary: what the patient should do next."""
    slip: str = ""
    """printed, waiting, failed; empty: there is none."""
    buttons: tuple[Button, ...] = ()
    devices: tuple[DeviceLine, ...] = ()
    payments: tuple[PaymentLine, ...] = ()
    versions: dict[str, str] = {}


class Tap(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A finger. ``what``: tile, medium, choice, payment (reprint it), or a button's name."""

    revision: Annotated[int, Meta(ge=0)]
    what: Annotated[str, Meta(max_length=16)]
    id: Annotated[str, Meta(max_length=64)] = ""
