"""What is said between us and a bank, as data: message templates and how answers are read.

The part of a dialect file that knows business; wire forms are in :mod:`channels.iso8583.dialect`.
"""

from msgspec import Struct, field

from switch.model.operation import Operation


class Strict(Struct, frozen=True, forbid_unknown_fields=True):
    """Base: an unknown word in a dialect file is a mistake, not an extension."""


class Choice(Strict, frozen=True, kw_only=True):
    """A template that depends on whether a value is there."""

    when: str
    then: str
    otherwise: str = ""


Fields = dict[str, str | Choice]
"""Field number → text with ``{names}``."""


class Template(Strict, frozen=True, kw_only=True):
    """A message to be made. Fields whose text comes out empty are left out."""

    mti: str
    fields: Fields


class OperationTemplate(Template, frozen=True, kw_only=True):
    """One business message: the operation's name is that of switch.model.operation."""

    reversible: bool
    """Whether the bank takes its reversal (冲正); a refund's outcome is found out otherwise."""


class NetworkTemplate(Template, frozen=True, kw_only=True):
    """A management message; ``answer`` is what its answer says besides the echoed fields and 39.

    Those that the bank sends us are recognised by their literal parts."""

    answer: Fields = field(default_factory=dict)


class Part(Strict, frozen=True, kw_only=True):
    """Characters ``at … at + size`` of a field."""

    field: str
    at: int
    size: int


class ReversalCodes(Strict, frozen=True, kw_only=True):
    """How the answers to a reversal are read: sets of codes. A code in none is Unknown."""

    done: frozenset[str]
    not_found: frozenset[str]
    """No original: proves nothing, the sale may still arrive."""
    refused: frozenset[str]
    reason_timeout: str
    reason_mac: str
    reason_cancel: str
    """Approved, and the business could not finish."""
    reason_card: str
    """Approved, and the chip card did not confirm it."""


class Reversal(Strict, frozen=True, kw_only=True):
    """冲正: its message, made of what the journal holds, and how its answers are read."""

    template: Template
    """``{F3}`` is field 3 of what is reversed, ``{mti}`` its message type."""
    chip: tuple[str, ...] = ()
    """Tags of its field 55, in order; of those that rule 18 lets the journal hold."""
    codes: ReversalCodes
    repeat_mti: str = ""
    """Message type from the second sending on; empty: the same message again."""


class Settlement(Strict, frozen=True, kw_only=True):
    """批结算: totals, and the transactions one by one when they differ."""

    request: Template
    """Totals are ``{debit_count}`` (3 digits: a batch settles before it has 1,000 transactions),
    ``{debit_amount}`` (12), ``{credit_count}``, ``{credit_amount}``."""
    result: Part
    """Where the answer says how the totals compare."""
    balanced: frozenset[str]
    """Values of ``result`` that say: the same."""
    unbalanced: frozenset[str] = frozenset({"2"})
    """Values that say: not the same. Every other one is an error of the bank's."""
    debits: frozenset[Operation] = frozenset(
        {Operation.SALE, Operation.QR_SALE, Operation.COMPLETION}
    )
    """Operations that the totals count as debits …"""
    credits: frozenset[Operation] = frozenset(
        {
            *(Operation.VOID, Operation.REFUND, Operation.COMPLETION_VOID),
            *(Operation.QR_VOID, Operation.QR_REFUND),
        }
    )
    """… and as credits; a pre-authorisation is neither."""
    upload: Template | None = None
    """批上送: one transaction, ``{F…}`` as journaled."""
    upload_end: Template | None = None
    """``{upload_count}`` (4 digits) and ``{close_code}``."""
    close_code: str = ""
    """What ``upload_end`` says of a batch that balanced."""
    close_code_unbalanced: str = ""


class Answers(Strict, frozen=True, kw_only=True):
    """How whoever plays the host answers."""

    echo: tuple[str, ...]
    """Fields that an answer repeats from its request."""
    accepted: str = "00"
    """Field 39 when we have done what the bank asked …"""
    format_error: str = "30"
    """… when we cannot read it, or a check value is wrong …"""
    wrong_mac: str = "A0"
    """… when it does not prove itself …"""
    failed: str = "96"
    """… and when we cannot do it now."""
