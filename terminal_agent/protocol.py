"""What a terminal and the switch say to each other: JSON over WebSocket over mutual TLS.

This module is shared by both sides and imports nothing of the project. It is pure: text in,
values out, and the reverse. ``docs/kiosk.md`` is its reference and is tested against it.

Rules
- One text message is one :class:`Envelope`. The terminal sends ``req``; the switch answers ``res``
  with the same ``id``, and pushes ``event``. Many requests may be open on one link.
- ``idem`` is the payment key: terminal + business date + local counter, from the terminal's own
  journal, assigned before anything is sent (I7, I8).
- Unknown fields are refused in every request except Boot and Heartbeat, and tolerated in every
  answer and event: an older kiosk understands a newer switch, and a wrong request is never half
  understood.
- An error names the field and the rule, never the value (I12).
"""

import re
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

VERSION = 1
"""The version this module speaks."""
OLDEST_VERSION = 1
"""The oldest version the switch still answers (yesterday's kiosk)."""

MESSAGE_BYTES_MAX = 65_536
"""Default bound of one message; a payment with chip data is below 2 KiB."""
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
PAYMENT_ANSWER = "Payment.Answer"
"""Event: the answer of a payment changed; it supersedes an older one by its version."""
ERROR = "Error"
"""Name of a ``res`` whose body is a :class:`Fault`."""

ShortText = Annotated[str, Meta(max_length=64)]
LongText = Annotated[str, Meta(max_length=256)]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
Key = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,63}$")]
"""A terminal id or a payment key."""
AmountFen = Annotated[int, Meta(ge=1, le=AMOUNT_FEN_MAX)]


class Opaque:
    """A card secret on its way: shows ``<secret>``; only :meth:`reveal` gives it away (I12)."""

    __slots__ = ("_value",)
    RULE = "must be text of at most 128 characters"
    SHAPE = re.compile(r".{0,128}", re.DOTALL)

    def __init__(self, value: str) -> None:
        if self.SHAPE.fullmatch(value) is None:
            raise ValueError(self.RULE)
        self._value = value

    def reveal(self) -> str:
        """The value itself. Call it only where the value leaves for its destination."""
        return self._value

    def __repr__(self) -> str:
        return "<secret>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "<secret>"

    def __reduce__(self) -> str:
        raise TypeError("a card secret is not pickled (I12)")


class Pan(Opaque):
    """A card number."""

    __slots__ = ()
    RULE = "must be 12 to 19 digits"
    SHAPE = re.compile(r"[0-9]{12,19}")


class Track2(Opaque):
    """Track 2: digits with ``=`` or ``D`` as the separator."""

    __slots__ = ()
    RULE = "must be track 2 data of at most 37 characters"
    SHAPE = re.compile(r"[0-9]{12,19}[=D][0-9]{0,24}")


class PinBlock(Opaque):
    """The pad's cryptogram, ISO format 0 under the terminal's key."""

    __slots__ = ()
    RULE = "must be 16 hexadecimal digits"
    SHAPE = re.compile(r"[0-9A-Fa-f]{16}")


class Chip(Opaque):
    """Field 55 in hexadecimal."""

    __slots__ = ()
    RULE = "must be an even number of hexadecimal digits, at most 510"
    SHAPE = re.compile(r"(?:[0-9A-Fa-f]{2}){0,255}")


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
    versions: tuple[int, int] = (VERSION, VERSION)
    """Oldest and newest protocol version the terminal speaks."""
    devices: dict[ShortText, ShortText] = {}


class Heartbeat(Struct, frozen=True, kw_only=True):
    """I am here. Unknown fields are tolerated."""

    devices: dict[ShortText, ShortText] = {}


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


REQUESTS: dict[str, type[Struct]] = {
    BOOT: Boot,
    HEARTBEAT: Heartbeat,
    SERVICES: Services,
    PATIENT_QUERY: PatientQuery,
    BILL_QUERY: BillQuery,
    BALANCE_QUERY: BalanceQuery,
    PAYMENT_START: PaymentStart,
    PAYMENT_QUERY: PaymentQuery,
}
KEYED = frozenset({PAYMENT_START, PAYMENT_QUERY})
"""Requests whose envelope must carry ``idem``."""


# ---- answers (unknown fields are tolerated) ------------------------------------------------------


class BootReply(Struct, frozen=True, kw_only=True):
    """``versions`` are the oldest and newest the switch speaks."""

    heartbeat_ms: int
    server_ms: int
    versions: tuple[int, int]


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


FINAL = frozenset({"approved", "declined", "returned", "exception", "unknown_key", "refused"})
"""States that need no more asking. A pushed answer may still supersede one (exception)."""


class Fault(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a request was not taken. ``busy`` and ``unavailable`` may be sent again as they are."""

    code: str
    """bad_message, version, terminal, unknown_name, bad_field, unknown_business, idem, busy,
    unavailable, disabled."""
    text: str
    field: str = ""


AGAIN = frozenset({"busy", "unavailable"})

# ---- text to values and back ---------------------------------------------------------------------


class ProtocolError(ValueError):
    """The peer broke the protocol; carries the :class:`Fault` to answer with."""

    def __init__(self, code: str, text: str, field: str = "", request_id: str = "") -> None:
        super().__init__(f"{code}: {field + ': ' if field else ''}{text}")
        self.fault = Fault(code=code, text=text, field=field)
        self.request_id = request_id


def _dec_hook(kind: type, value: object) -> object:
    if issubclass(kind, Opaque):
        if not isinstance(value, str):
            raise ValueError(kind.RULE)  # noqa: TRY004 - msgspec reports ValueError with its path
        return kind(value)
    raise NotImplementedError(kind.__name__)


def _enc_hook(value: object) -> object:
    if isinstance(value, Opaque):
        return value.reveal()
    raise NotImplementedError(type(value).__name__)


_ENVELOPE = msgspec.json.Decoder(Envelope)
_ENCODER = msgspec.json.Encoder(enc_hook=_enc_hook)
_REQUESTS = {
    name: msgspec.json.Decoder(kind, dec_hook=_dec_hook) for name, kind in REQUESTS.items()
}
_AT = re.compile(r"^(?P<rule>.*?)(?: - at `\$\.?(?P<path>.*)`)?$", re.DOTALL)
_QUOTED = re.compile(r"Invalid enum value .*|Object contains unknown field .*", re.DOTALL)
_SAFE_PATH = re.compile(r"[a-z0-9_.\[\]]{0,64}")

S = TypeVar("S", bound=Struct)


def _fault_of(error: msgspec.DecodeError, whole: str) -> tuple[str, str]:
    """(rule, field path) of a decoding error, without anything the peer wrote (I12)."""
    match = _AT.match(str(error))
    rule = match["rule"] if match else "not readable"
    path = (match["path"] or "") if match else ""
    if not isinstance(error, msgspec.ValidationError):
        return "not JSON", whole
    if _QUOTED.match(rule):
        rule = "an unknown field or value"
    if _SAFE_PATH.fullmatch(path) is None:
        path = whole
    return rule, path or whole


def decode_envelope(message: str | bytes, bytes_max: int = MESSAGE_BYTES_MAX) -> Envelope:
    """Read the envelope of one message. Raises ProtocolError for anything else.

    >>> decode_envelope('{"v":1,"id":"1","type":"req","name":"Services","ts":0,"terminal":"K1"}').id
    '1'
    >>> decode_envelope("[]")
    Traceback (most recent call last):
    terminal_agent.protocol.ProtocolError: bad_message: envelope: Expected `object`, got `array`
    """
    if len(message) > bytes_max:
        raise ProtocolError("bad_message", f"larger than {bytes_max} bytes", "envelope")
    try:
        return _ENVELOPE.decode(message)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        if not isinstance(error, msgspec.DecodeError):
            raise ProtocolError("bad_message", "not JSON", "envelope") from None
        rule, path = _fault_of(error, "envelope")
        raise ProtocolError("bad_message", rule, path) from None


def decode_request(envelope: Envelope, terminal: str) -> Struct:
    """The typed body of a request from ``terminal``, whom its certificate names.

    Raises ProtocolError naming field and rule."""
    if envelope.terminal != terminal:
        rule = "is not the certificate's terminal"
        raise ProtocolError("terminal", rule, "terminal", envelope.id)
    if not OLDEST_VERSION <= envelope.v <= VERSION:
        rule = f"must be from {OLDEST_VERSION} to {VERSION}"
        raise ProtocolError("version", rule, "v", envelope.id)
    decoder = _REQUESTS.get(envelope.name)
    if envelope.type != "req" or decoder is None:
        raise ProtocolError("unknown_name", "not a request this side knows", "name", envelope.id)
    if envelope.name in KEYED and not envelope.idem.startswith(envelope.terminal + "-"):
        rule = "must be the terminal's id, the business date and a counter"
        raise ProtocolError("idem", rule, "idem", envelope.id)
    try:
        return decoder.decode(envelope.body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        rule, path = "not JSON", "body"
        if isinstance(error, msgspec.DecodeError):
            rule, path = _fault_of(error, "body")
        raise ProtocolError("bad_field", rule, path, envelope.id) from None


def decode_reply(envelope: Envelope, kind: type[S]) -> S:
    """The typed body of an answer or event. Raises ProtocolError."""
    try:
        return msgspec.json.decode(envelope.body, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        rule, path = "not JSON", "body"
        if isinstance(error, msgspec.DecodeError):
            rule, path = _fault_of(error, "body")
        raise ProtocolError("bad_field", rule, path, envelope.id) from None


def encode(message: Outgoing) -> str:
    """One message as text, card secrets in the clear: it goes into the TLS link, nowhere else."""
    return _ENCODER.encode(message).decode()


def payment_key(terminal: str, business_date: str, counter: int) -> str:
    """The key of a payment: unique for ever, made by its terminal.

    >>> payment_key("KIOSK001", "20260301", 42)
    'KIOSK001-20260301-000042'
    """
    return f"{terminal}-{business_date}-{counter:06d}"
