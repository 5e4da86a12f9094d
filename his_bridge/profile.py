"""A hospital's interface as data: what to send, where the answer's parts are, what may be believed.

One profile describes one HIS of the single-method style (his-interfaces H1: a function code and an
XML string in, an XML string out by reference, over SOAP). Everything that differs between two
hospitals of that style stands here; docs/his-profile.md explains every line.
"""

from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta, Struct

Positive = Annotated[int, Meta(ge=1)]
Word = Annotated[str, Meta(min_length=1, max_length=200)]


class Style(StrEnum):
    """How functions are called."""

    SINGLE_METHOD_SOAP = "single-method-soap"


class FunctionName(StrEnum):
    """The hospital functions of switch.model.hospital, and ``probe``: a cheap call that shows
    whether the HIS is there."""

    PATIENT_QUERY = "patient_query"
    BILL_QUERY = "bill_query"
    HOLD = "hold"
    CONFIRM = "confirm"
    DEPOSIT = "deposit"
    CANCEL = "cancel"
    ORDER_QUERY = "order_query"
    PROBE = "probe"


class CancelKind(StrEnum):
    """What a cancel by our key does to what this function made."""

    NONE = "none"
    PLAIN = "plain"
    TOMBSTONE = "tombstone"
    """A late arrival of the cancelled call is refused for ever."""


class Unit(StrEnum):
    """How an amount is written; conversion is exact (I16)."""

    TEXT = "text"
    FEN = "fen"
    YUAN = "yuan"


class Transport(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The SOAP method, the encodings and the limits of one exchange."""

    namespace: Word
    soap_action: str
    method: Word
    code_parameter: Word
    request_parameter: Word
    return_element: Word
    """Holds the method's return value."""
    reply_parameter: Word
    """The by-reference parameter that holds the answer's XML as text."""
    encoding: Word
    """Of the HTTP bodies, both ways. What an XML prolog declares is ignored: it often lies."""
    definite_faults: tuple[str, ...]
    """SOAP fault codes (without prefix) that prove that nothing was done."""
    reply_limit_bytes: Positive
    depth_limit: Annotated[int, Meta(ge=4, le=256)]
    value_limit_chars: Positive
    """Longest value we send."""
    refused_characters: str = ""
    """Characters that we never send inside a value (for a HIS that builds SQL from them)."""


class Flag(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One place that tells success: one of ``values``, or an integer of ``at_least``."""

    at: Word
    values: tuple[str, ...] = ()
    at_least: int | None = None


class Envelope(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every answer of this HIS has in common."""

    flags: Annotated[tuple[Flag, ...], Meta(min_length=1)]
    """All must tell success; all must tell failure before a code counts; a mix is Unknown."""
    code: Word
    text: str
    unwrap: tuple[str, ...] = ()
    """Paths, one after another, of texts that are XML again."""


class Field(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a value stands, how it is written, and what its codes mean."""

    at: Word
    unit: Unit = Unit.TEXT
    values: dict[str, str] = {}
    required: bool = False


class OrderStates(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the order query says of our key."""

    at: Word
    booked: Annotated[tuple[str, ...], Meta(min_length=1)]
    cancelled: tuple[str, ...] = ()
    """Cancelled or refused for ever: it can no longer be booked under this key."""
    pending: tuple[str, ...] = ()
    """Known but not booked (held): a confirm may still arrive."""


class FunctionReply(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one function's answers mean. A code in none of the lists is Unknown (I9)."""

    root: Word
    refused: dict[str, str] = {}
    """Definite business refusals: code → sentence for the patient (empty: the HIS's own)."""
    already: tuple[str, ...] = ()
    """*Already done*: success, but only if the echo shows our own key and amount."""
    absent: tuple[str, ...] = ()
    """*No such key.*"""
    rows: str = ""
    rows_limit: int = 0
    fields: dict[str, Field] = {}
    facts: dict[str, Field] = {}
    echo: dict[str, Field] = {}
    """``idem``, ``amount_fen``, ``bill_id``, ``patient_id``: must be what we asked for."""
    state: OrderStates | None = None


class Certainty(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the HIS guarantees for one money function, as measured in the acceptance test."""

    idempotent: bool
    query: bool
    cancel: CancelKind
    longest_processing_ms: Positive
    """After this time a call that was sent can no longer take effect."""


class Function(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One hospital function."""

    trade_code: Word
    timeout_ms: Positive
    request: dict[str, Any]
    """A tree of tags; leaves are text with ``${placeholders}``."""
    reply: FunctionReply
    certainty: Certainty | None = None


class Profile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole interface of one hospital."""

    name: Word
    version: Word
    style: Style
    transport: Transport
    reply: Envelope
    functions: dict[FunctionName, Function]
