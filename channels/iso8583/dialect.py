"""A bank's message dialect as data: what a dialect file may say, and nothing else.

A dialect is framing, headers, four choices per field (encoding × length prefix × padding × type),
a MAC rule, message templates, the sign-on shape and the response codes. All of it is read from
YAML by :mod:`channels.iso8583.load`; the next bank is a new file (docs/bank-link.md).
"""

from enum import StrEnum

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
from switch.net.frames import LengthPrefix


class Content(StrEnum):
    """What a decoded field may hold: the semantic check behind the codec."""

    DIGITS = "digits"
    TRACK = "track"
    """Digits and the separator ``D``."""
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


class Tpdu(Strict, frozen=True, kw_only=True):
    """``60`` + destination + source, BCD. An answer swaps the two addresses."""

    protocol: str
    destination: str
    source: str


class PosHeader(Strict, frozen=True, kw_only=True):
    """The 6-byte header of POS-style messages, 12 BCD digits."""

    application: str
    """应用类别 n2: 60 magnetic stripe, 61 IC."""
    version: str
    """软件总版本号 n2."""
    terminal_state: str
    """终端状态 n1."""
    demand: str
    """处理要求 n1: in an answer, what the bank wants of us (see ``header_demands``)."""
    minor_version: str
    """软件分版本号 n6."""


class MacRule(StrEnum):
    """MAC rules by name."""

    CUP_ECB = "cup_ecb"
    """UnionPay ECB: fold without a key, then CBC-MAC over 16 hexadecimal characters."""


class Mac(Strict, frozen=True, kw_only=True):
    """Which field carries the MAC and how it is made."""

    rule: MacRule
    field: str
    unmaced: frozenset[str]
    """Codes believed as a refusal without a MAC (the peer may have no key): never an approval."""


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
    which: Part | None = None
    """Where the message says which key it brings …"""
    names: dict[str, KeyName] = msgspec.field(default_factory=dict)
    """… and what it says there."""
    layouts: tuple[KeyLayout, ...]


class SignOn(Strict, frozen=True, kw_only=True):
    """签到: what else the answer to ``network.sign_on`` says."""

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
    tpdu: Tpdu | None = None
    header: PosHeader | None = None
    header_demands_sign_on: frozenset[str] = frozenset()
    mti_encoding: str
    """``b`` (BCD, 2 bytes) or ``ascii`` (4 bytes)."""
    bitmap_encoding: str
    currency: str
    encodings: dict[str, Encoding]
    fields: dict[str, Field]
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
    codes: dict[str, Code]
    unmapped_text: str
    """Sentence for a code that the table does not have; ``{code}`` is replaced."""
