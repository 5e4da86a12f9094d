"""The envelope and the bodies, with their limits."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from terminal_agent.protocol.pin import PIN_PLAN, PinMadeFor, PinPlan
from terminal_agent.protocol.secrets import Chip, Pan, PinBlock, Track2

VERSION = 3
"""The version this module speaks. 2 added: cards finished on demand, device status, choices,
settings pushed, commands, certificates renewed. 3 added: PIN blocks under banks' own keys."""
OLDEST_VERSION = 1
"""The oldest version the switch still answers (yesterday's kiosk)."""

MESSAGE_BYTES_MAX = 65_536
"""Default bound of one message; a payment with chip data is below 2 KiB."""
LOG_CHARS_MAX = 49_152
"""What one ``logs`` command brings at most; the terminal sends fewer where the message would pass
its ``message_bytes_max``."""
SETTINGS_VERSION_MAX = 999_999_999
AMOUNT_FEN_MAX = 999_999_999_999
"""What field 4 of ISO 8583 (n12) can carry."""

BOOT = "Boot"
HEARTBEAT = "Heartbeat"
SERVICES = "Services"
PATIENT_QUERY = "Patient.Query"
BILL_QUERY = "Bill.Query"
BALANCE_QUERY = "Balance.Query"
PAYMENT_START = "Payment.Start"
PAYMENT_QUERY = "Payment.Query"
CARD_FINISHED = "Card.Finished"
DEVICE_STATUS = "Device.Status"
CHOICE_QUERY = "Choice.Query"
SETTINGS_APPLIED = "Settings.Applied"
COMMAND_DONE = "Command.Done"
CERTIFICATE_RENEW = "Certificate.Renew"
PAYMENT_ANSWER = "Payment.Answer"
"""Event: the answer of a payment changed; it supersedes an older one by its version."""
CARD_FINISH = "Card.Finish"
"""Event: the bank approved a chip card's payment; complete the card and say what it says."""
SETTINGS_PUSH = "Settings.Push"
"""Event: settings that an operator wants at the terminal."""
COMMAND = "Command"
"""Event: something that an operator wants done at the terminal."""
ERROR = "Error"
"""Name of a ``res`` whose body is a :class:`Fault`."""

ShortText = Annotated[str, Meta(max_length=64)]
LongText = Annotated[str, Meta(max_length=256)]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
Key = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,63}$")]
"""A terminal id or a payment key."""
Word = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,32}$")]
DeviceStates = Annotated[dict[Word, Word], Meta(max_length=16)]
"""Role → state (``online``, ``paperOut``, ``noDevice`` …)."""
AmountFen = Annotated[int, Meta(ge=1, le=AMOUNT_FEN_MAX)]


class Card(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a card payment needs of the card; nothing of it is ever journaled or logged."""

    pan: Pan
    track2: Track2 | None = None
    expiry: Annotated[str, Meta(pattern=r"^([0-9]{4})?$")] = ""
    """YYMM."""
    entry_mode: Annotated[str, Meta(pattern=r"^[0-9]{3}$")] = "021"
    """Field 22."""
    card_sequence: Annotated[str, Meta(pattern=r"^[0-9]{0,3}$")] = ""
    pin_block: PinBlock | None = None
    pin_for: PinMadeFor | None = None
    """Whose key the block is under; None: the key shared with the switch."""
    chip: Chip | None = None

    def __repr__(self) -> str:
        return "<card>"


class Envelope(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One message as it is received; ``body`` is decoded when ``name`` is known."""

    v: int
    id: Name
    type: Literal["req", "res", "event"]
    name: Name
    ts: int
    """Milliseconds since 1970, the sender's clock; for people, never for deciding."""
    terminal: Key
    idem: Annotated[str, Meta(pattern=r"^([A-Za-z0-9][A-Za-z0-9.-]{0,63})?$")] = ""
    body: msgspec.Raw = msgspec.Raw(b"{}")


class Outgoing(Struct, kw_only=True, omit_defaults=True):
    """The same message as it is sent; ``body`` is any struct."""

    v: int
    id: str
    type: str
    name: str
    ts: int
    terminal: str
    idem: str = ""
    body: Any = None


# ---- requests ------------------------------------------------------------------------------------


class Boot(Struct, frozen=True, kw_only=True):
    """Who I am, after every connect. Unknown fields are tolerated."""

    software: ShortText
    release: ShortText = ""
    """Version of the terminal's program."""
    versions: tuple[int, int] = (VERSION, VERSION)
    """Oldest and newest protocol version the terminal speaks."""
    devices: DeviceStates = {}
    settings: Annotated[int, Meta(ge=0, le=SETTINGS_VERSION_MAX)] = 0
    """Version of the pushed settings in force; 0: none."""


class Heartbeat(Struct, frozen=True, kw_only=True):
    """I am here. Unknown fields are tolerated."""

    devices: DeviceStates = {}


class Services(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which businesses are served?"""


class PatientQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Find a patient by visit card (or another medium)."""

    card_no: Name
    card_type: ShortText = "visit"


class BillQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The unpaid bills of a patient."""

    patient_id: Name


class BalanceQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The balance of a bank card."""

    business: Name
    card: Card


class PaymentStart(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pay; the key stands in the envelope's ``idem``. The same key again is answered, not paid."""

    business: Name
    amount_fen: AmountFen
    patient: Name
    bill: ShortText = ""
    medium: ShortText = "bank_card"
    retry_of: ShortText = ""
    details: Annotated[dict[ShortText, LongText], Meta(max_length=16)] = {}
    """Patient name, bill title and the like for the slips; no card data."""
    card: Card | None = None


class PaymentQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What became of ``idem``? An unknown key is refused for ever afterwards."""


CardResult = Literal["confirmed", "declined"]


class CardFinished(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the card of ``idem`` ended; said once, and again whenever the switch asks (Card.Finish
    with ``ask``). The terminal has it in its journal before it says so."""

    result: CardResult
    """``declined``: the card said no, was pulled, or will never be asked any more. Either is for
    ever."""
    chip: Chip | None = None
    """Field 55 of a reversal, in the bank's order, script results (DF31) included."""


class DeviceStatus(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The state of every device, whenever one changed."""

    devices: DeviceStates


class ChoiceQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be chosen at a step of a business (departments, doctors, slots, appointments)."""

    business: Name
    step: Name
    patient_id: ShortText = ""
    chosen: Annotated[dict[ShortText, ShortText], Meta(max_length=8)] = {}
    """Step → the id chosen there."""


class SettingsApplied(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What became of pushed settings; ``text`` names the first mistake."""

    version: Annotated[int, Meta(ge=1, le=SETTINGS_VERSION_MAX)]
    ok: bool
    text: LongText = ""


class CommandDone(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What became of a command. ``log`` answers ``logs``: JSON lines without personal data."""

    command: Name
    ok: bool
    text: LongText = ""
    log: Annotated[str, Meta(max_length=LOG_CHARS_MAX)] = ""


class CertificateRenew(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new certificate before the old one ends: PEM request for a key made at the terminal."""

    csr: Annotated[str, Meta(max_length=4_096)]


REQUESTS: dict[str, type[Struct]] = {
    BOOT: Boot,
    HEARTBEAT: Heartbeat,
    SERVICES: Services,
    PATIENT_QUERY: PatientQuery,
    BILL_QUERY: BillQuery,
    BALANCE_QUERY: BalanceQuery,
    PAYMENT_START: PaymentStart,
    PAYMENT_QUERY: PaymentQuery,
    CHOICE_QUERY: ChoiceQuery,
    PIN_PLAN: PinPlan,
    DEVICE_STATUS: DeviceStatus,
    SETTINGS_APPLIED: SettingsApplied,
    COMMAND_DONE: CommandDone,
    CERTIFICATE_RENEW: CertificateRenew,
    CARD_FINISHED: CardFinished,
}
KEYED = frozenset({PAYMENT_START, PAYMENT_QUERY, CARD_FINISHED})
"""Requests whose envelope must carry ``idem``."""


# ---- answers (unknown fields are tolerated) ------------------------------------------------------


class BootReply(Struct, frozen=True, kw_only=True):
    """``versions`` are the oldest and newest the switch speaks."""

    heartbeat_ms: int
    server_ms: int
    versions: tuple[int, int]
    terminal_timeout_ms: int = 0
    """A request is not given up before; 0 from a switch that does not say."""


class HeartbeatReply(Struct, frozen=True, kw_only=True):
    """The switch's clock, for the skew shown to the attendant."""

    server_ms: int


class ServicesReply(Struct, frozen=True, kw_only=True):
    """Business code → title for the page."""

    hospital: str
    businesses: dict[str, str]


class Patient(Struct, frozen=True, kw_only=True):
    """Who stands at the kiosk, as the hospital knows them."""

    patient_id: str
    name: str
    card_no: str = ""


class PatientReply(Struct, frozen=True, kw_only=True):
    """``ok`` false: ``text`` says why, for the patient."""

    ok: bool
    code: str = ""
    text: str = ""
    patient: Patient | None = None


class Bill(Struct, frozen=True, kw_only=True):
    """One unpaid bill; amount in 分."""

    bill_id: str
    title: str
    amount_fen: int
    department: str = ""


class BillReply(Struct, frozen=True, kw_only=True):
    """The bills to choose from."""

    ok: bool
    code: str = ""
    text: str = ""
    bills: tuple[Bill, ...] = ()


class Choice(Struct, frozen=True, kw_only=True):
    """One thing to choose; ``amount_fen`` is what it costs, 0 when it does not say."""

    id: str
    title: str
    detail: str = ""
    amount_fen: int = 0
    left: int = -1
    """How many are left; 0 cannot be chosen, -1: not counted."""


class ChoiceReply(Struct, frozen=True, kw_only=True):
    """The choices of a step."""

    ok: bool
    code: str = ""
    text: str = ""
    choices: tuple[Choice, ...] = ()


class Renewed(Struct, frozen=True, kw_only=True):
    """The new certificate, PEM."""

    certificate: str


class BalanceReply(Struct, frozen=True, kw_only=True):
    """Balance in 分."""

    ok: bool
    code: str = ""
    text: str = ""
    balance_fen: int = 0


class Told(Struct, frozen=True, kw_only=True):
    """The answer of a payment (Payment.Start, Payment.Query, Payment.Answer)."""

    key: str
    state: str
    """approved, declined, returned, pending, exception, unknown_key, refused."""
    version: int = 0
    amount_fen: int = 0
    code: str = ""
    text: str = ""
    receipt: dict[str, str] = {}


class CardFinish(Struct, frozen=True, kw_only=True):
    """Complete the card of ``idem``. ``ask``: only say how it ended; a card that was not finished
    by then never will be (Card.Finished ``declined``)."""

    code: str = ""
    """Field 39 of the bank's answer."""
    chip: str = ""
    """Its field 55 in hex: issuer authentication data and scripts."""
    ask: bool = False


class SettingsPush(Struct, frozen=True, kw_only=True):
    """Settings that an operator may change from afar, by dotted path of the terminal's file; all
    or nothing. Answered by Settings.Applied."""

    version: int
    settings: dict[str, str]


class Command(Struct, frozen=True, kw_only=True):
    """Answered by Command.Done. ``do``: lock, unlock, restart, logs."""

    command: str
    """Its id; a command is done once."""
    do: str
    text: str = ""
    """What a locked terminal shows."""


FINAL = frozenset({"approved", "declined", "returned", "exception", "unknown_key", "refused"})
"""States that need no more asking. A pushed answer may still supersede one (exception)."""


class Fault(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a request was not taken. ``busy`` and ``unavailable`` may be sent again as they are."""

    code: str
    """bad_message, version, terminal, unknown_name, bad_field, unknown_business, idem, too_soon,
    busy, unavailable."""
    text: str
    field: str = ""


AGAIN = frozenset({"busy", "unavailable"})
