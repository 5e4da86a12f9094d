"""What whoever plays the host towards terminals must know of a dialect, as data.

``inbound`` is for every door that takes requests, ``origin`` for a bank that begins payments.
"""

from channels.iso8583.dialogue import Part, Strict, Template


class InboundCodes(Strict, frozen=True, kw_only=True):
    """Field 39 of what we answer, by what we mean."""

    approved: str
    declined: str
    """Refused, and the reason has no code in this dialect."""
    format_error: str
    unsupported: str
    """A business that is not served here."""
    not_allowed: str
    """A business that this terminal may not do."""
    unknown_terminal: str
    wrong_mac: str
    sign_on: str
    """No keys yet, or another batch than ours."""
    duplicate: str
    """The same numbers with other content (I8)."""
    busy: str
    """Too much at once, or a batch that cannot settle yet: again later."""
    unavailable: str
    """Nothing was sent: the way to the bank or the hospital is closed."""
    original: str
    """There is no such original."""
    amount: str
    """The amount is not the original's, or more than is left of it."""
    buried: str
    """Its reversal was here before it: it is refused for good (rule 11)."""
    irreversible: str
    """A reversal that comes too late: it was given back another way, or a person must do it."""
    returned: str
    """It did not come to an end, and what had moved is given back."""
    exception: str
    """A person settles it."""


class Inbound(Strict, frozen=True, kw_only=True):
    """Where requests say what we need, and what we answer."""

    batch: Part
    """The batch a request belongs to."""
    original_batch: Part
    """Of a void, a refund, a completion, a reversal: the original's batch …"""
    original_stan: Part
    """… and its field 11."""
    balanced: str
    """What a settlement's answer says of totals that agree …"""
    unbalanced: str
    """… and of others."""
    codes: InboundCodes


class Column(Strict, frozen=True, kw_only=True):
    """A value of fixed width in bytes, padded with spaces on its right."""

    name: str
    size: int


class Listing(Strict, frozen=True, kw_only=True):
    """Values of fixed width in one field: ``head`` once, ``row`` for each bill."""

    field: str
    head: tuple[Column, ...] = ()
    """Of ``patient_id``, ``patient_name``, ``count`` (digits, filled with zeros)."""
    row: tuple[Column, ...] = ()
    """Of ``bill_id``, ``amount`` (分, filled with zeros), ``title``, ``department``."""
    rows_max: int = 0


class Origin(Strict, frozen=True, kw_only=True):
    """A bank's own kiosks and counters: queries, payments it has taken already, their reversals.

    The parts are cut out of the request; spaces at their ends do not count."""

    query: Template
    """Only its literal parts count: they tell the message from others."""
    pay: Template
    card: Part
    """Query: the visit card whose bills are asked for."""
    patient: Part
    """Payment: the hospital's number of the patient …"""
    bill: Part
    """… and of the bill."""
    date: Part
    """Payment: the bank's business date, MMDD (I14). F11 is unique within it."""
    reversal_date: Part
    """Reversal: that date of the payment it takes back; where it is empty, ``date`` says it."""
    listing: Listing
    """The answer to a query."""
    receipt: str = ""
    """Field of a payment's answer that carries the hospital's receipt number; empty: none."""
    silence_stands: bool
    """What the bank makes of a payment we do not answer: ``true``: it stands; ``false``: the bank
    reverses it (rule 11)."""
