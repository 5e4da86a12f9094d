"""A bank's message dialect as data: what a dialect file may say, and nothing else.

A dialect is framing, headers, four choices per field (encoding × length prefix × padding × type),
a MAC rule, message templates, the sign-on shape and the response codes. All of it is read from
YAML by :mod:`channels.iso8583.load`; the next bank is a new file (docs/bank-link.md).
"""

from enum import StrEnum
from typing import Literal

import msgspec

from channels.iso8583.dialogue import (
    Answers,
    NetworkTemplate,
    OperationTemplate,
    Part,
    Reversal,
    Settlement,
    Strict,
    Template,
)
from channels.iso8583.headers import Header, Tpdu
from channels.iso8583.hosting import Inbound, Origin
from channels.iso8583.subfields import Subfields
from switch.net.frames import LengthPrefix


class Content(StrEnum):
    """What a decoded field may hold: the semantic check behind the codec."""

    DIGITS = "digits"
    TRACK = "track"
    """Digits and the separator: ``D``, in text fields also ``=``."""
    ASCII = "ascii"
    TEXT = "text"
    BINARY = "binary"


class Encoding(Strict, frozen=True, kw_only=True):
    """One row of the four axes, in pyiso8583's terms."""

    content: Content
    data_enc: str
    """``b`` for BCD and binary, else a Python codec name (``ascii``, ``gbk``)."""
    len_enc: str = "bcd"
    len_type: int
    """Bytes of the length prefix; 0 = fixed."""
    len_count: str = "bytes"
    """``nibbles`` for BCD digits."""
    left_pad: str = ""
    right_pad: str = ""


class Field(Strict, frozen=True, kw_only=True):
    """One field: its encoding by name, its largest (or fixed) length, its name for people."""

    like: str
    max: int
    name: str
    secret: bool = False
    """Never shown, logged or journaled in clear (2, 35, 36, 52, 55)."""


class MacRule(StrEnum):
    """MAC rules by name, see channels.iso8583.mac."""

    CUP_ECB = "cup_ecb"
    X99_CBC = "x99_cbc"
    X919_RETAIL = "x919_retail"
    CUP_CBC = "cup_cbc"
    SM4 = "sm4"


class Mac(Strict, frozen=True, kw_only=True):
    """Which field carries the MAC and how it is made.

    The field's own type says its form: 8 (or 16) hexadecimal characters, or 8 (or 4) bytes.
    """

    rule: MacRule
    field: str
    unmaced: frozenset[str]
    """Codes believed as a refusal without a MAC (the peer may have no key): never an approval."""
    padding: Literal["zeros", "80"] = "zeros"
    folds: bool = True
    """``sm4`` only: whether the message is folded first."""
    fields: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    """``cup_cbc`` only: message type, or ``default`` → the fields after the message type."""


class Mti(Strict, frozen=True, kw_only=True):
    """One message type: how its answer is found and what must be in it."""

    answer: str = ""
    """MTI of the answer; empty for types that are answers themselves."""
    match: tuple[str, ...] = ()
    """Fields that tell answers of this type apart, besides the MTI (the MUX key)."""
    maced: bool = False
    mandatory: tuple[str, ...] = ()
    approved: tuple[str, ...] = ()
    """Answers: also mandatory when field 39 approves."""
    echoes: tuple[str, ...] = ()
    """Answers: must equal the request's; must be there too when field 39 approves."""


class Span(Strict, frozen=True, kw_only=True):
    """Bytes ``at … at + size`` of a key block."""

    at: int
    size: int


class KeyLayout(Strict, frozen=True, kw_only=True):
    """A key block of one length: where its keys and check values (KCV) lie.

    ``key`` is the only key of a block that does not say which one it is (``KeyField.which``).
    """

    length: int
    pik: Span | None = None
    pik_kcv: Span | None = None
    mak: Span | None = None
    mak_kcv: Span | None = None
    key: Span | None = None
    key_kcv: Span | None = None


class KeyName(StrEnum):
    """A working key."""

    PIK = "pik"
    MAK = "mak"


class KeyField(Strict, frozen=True, kw_only=True):
    """A field that carries working keys, in a sign-on answer or a key reset."""

    field: str
    marker: str = ""
    """What stands before the keys (``NK``)."""
    tag: str = ""
    """The tag that holds them, when ``subfields`` says that the field is TLV."""
    which: Part | None = None
    """Where the message says which key it brings …"""
    names: dict[str, KeyName] = msgspec.field(default_factory=dict)
    """… and what it says there."""
    layouts: tuple[KeyLayout, ...]


class SignOn(Strict, frozen=True, kw_only=True):
    """签到: what else the answer to ``network.sign_on`` says."""

    brings_keys: bool = True
    """False: they come in key resets of the bank."""
    batch: Part | None = None
    """Where it names the batch; None: there are no batches."""
    date_field: str = ""
    time_field: str = ""


class Action(StrEnum):
    """What the switch does on a response code (field 39)."""

    APPROVE = "approve"
    DECLINE = "decline"
    ALARM = "alarm"
    """Decline, and somebody must look: a configuration or a program is wrong."""
    CAPTURE = "capture"
    """Decline; the card is to be kept if the reader can."""
    BUSY = "busy"
    """Decline for now; a new payment later may work."""
    SIGN_ON = "sign_on"
    """Decline and sign on again."""
    AGAIN = "again"
    """Sign on again; one fresh attempt of the same payment is allowed."""
    UNKNOWN = "unknown"
    """Proves nothing: reverse."""


class Code(Strict, frozen=True, kw_only=True):
    """One response code: its action and the sentence for the patient."""

    action: Action
    text: str


class Dialect(Strict, frozen=True, kw_only=True):
    """A whole dialect file."""

    name: str
    title: str
    length_prefix: LengthPrefix
    idle_frames: bool = False
    """An idle link is kept open by frames of length zero, before an echo asks for an answer."""
    tpdu: Tpdu | None = None
    header: Header | None = None
    header_demands_sign_on: frozenset[str] = frozenset()
    mti_encoding: str
    """``b`` (BCD, 2 bytes) or ``ascii`` (4 bytes)."""
    bitmap_encoding: str
    """``b`` (8 bytes) or ``ascii`` (16 hexadecimal characters)."""
    bitmap_always_double: bool = False
    """128 bits in every message; else the second half only when a field above 64 is there."""
    currency: str
    encodings: dict[str, Encoding]
    fields: dict[str, Field]
    subfields: dict[str, Subfields] = msgspec.field(default_factory=dict)
    """What is inside a field, by its number."""
    mac: Mac
    mtis: dict[str, Mti]
    constants: dict[str, str] = msgspec.field(default_factory=dict)
    """Values of templates that are the same in every message (``operator``: F63.1)."""
    terminal_block: str = ""
    """终端信息: text of the value ``{terminal_block}``, made of ``{serial}``; without a serial
    number it is empty."""
    network: dict[str, NetworkTemplate]
    """``sign_on``, ``sign_off``, ``echo``, ``key_request``; of the bank's: ``key_reset``,
    ``day_cut_start``, ``day_cut_end``, ``echo``."""
    sign_on: SignOn
    stan_scope: Literal["terminal", "bank"] = "terminal"
    """What F11 counts over: each logical terminal by itself, or all of the bank's together, where
    the bank knows a message without its terminal (F90, F37 of a host)."""
    keys: tuple[KeyField, ...]
    """Where working keys are found; the first field that is there counts."""
    operations: dict[str, OperationTemplate]
    """By names of switch.model.operation; one that is absent is not offered by this bank."""
    balance_field: str
    reversal: Reversal
    script_notice: Template | None = None
    """脚本结果通知: ``{chip}`` are the issuer scripts' results."""
    settlement: Settlement | None = None
    answers: Answers
    inbound: Inbound | None = None
    """For doors that take requests in this dialect; None: there are none."""
    origin: Origin | None = None
    """For a bank that begins payments itself."""
    codes: dict[str, Code]
    codes_to_confirm: frozenset[str] | Literal["all"] = frozenset()
    """Codes that no published source has for this bank, or not in one sense: 与银行确认. For people
    alone; taken out as the bank answers in writing."""
    unmapped_text: str
    """Sentence for a code that the table does not have; ``{code}`` is replaced."""
