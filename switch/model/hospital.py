"""The hospital's functions as typed requests and replies (his-interfaces: the canonical model).

A HIS plugin translates these to and from its own messages; nothing of the HIS shows through.
"""

from msgspec import Struct


class Patient(Struct, frozen=True, kw_only=True):
    """Who stands at the kiosk, as the HIS knows them."""

    patient_id: str
    name: str
    card_no: str = ""
    gender: str = ""
    birth_date: str = ""


class Bill(Struct, frozen=True, kw_only=True):
    """One bill to pay; amount in 分."""

    bill_id: str
    title: str
    amount_fen: int
    department: str = ""
    created: str = ""


class PatientQuery(Struct, frozen=True, kw_only=True):
    """Find a patient by visit card (or other medium)."""

    card_no: str
    card_type: str = "visit"


class BillQuery(Struct, frozen=True, kw_only=True):
    """The unpaid bills of a patient."""

    patient_id: str


class Hold(Struct, frozen=True, kw_only=True):
    """Fix the bill and its amount for one payment (our key travels: I2)."""

    idem: str
    patient_id: str
    bill_id: str
    amount_fen: int


class Confirm(Struct, frozen=True, kw_only=True):
    """Book the money: the bill is paid. ``bank`` carries F11, F37, F15, masked card …"""

    idem: str
    patient_id: str
    bill_id: str
    amount_fen: int
    trade_mode: str = "DB"
    bank: dict[str, str] = {}
    facts: dict[str, str] = {}
    """What this HIS answered before for this payment (pre-settlement number, flow number)."""


class Cancel(Struct, frozen=True, kw_only=True):
    """Take a booking (or a hold) of our key back, leaving a tombstone against a late confirm."""

    idem: str
    patient_id: str
    bill_id: str
    amount_fen: int
    facts: dict[str, str] = {}
    """As for Confirm; some HIS want their own flow number back to undo."""


class OrderQuery(Struct, frozen=True, kw_only=True):
    """What does the HIS know of our key?"""

    idem: str
    bill_id: str = ""
