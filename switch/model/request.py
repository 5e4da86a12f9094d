"""What a terminal asks for."""

from msgspec import Struct


class PaymentRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a terminal asks for, checked; the hash over it tells a repeat from a conflict (I8)."""

    key: str
    hospital: str
    business: str
    terminal: str
    amount_fen: int
    patient: str
    bill: str
    medium: str = "bank_card"
    retry_of: str = ""
    details: dict[str, str] = {}
    original: str = ""
    """Key of the payment to be refunded, voided or completed."""
    clearing: str = ""
    """Merchant role of a terminal that has its own; empty: the route's, else the business's."""
    business_date: str = ""
    """YYYYMMDD, of a payment whose money a bank has taken already: that bank's date (I14)."""
    finisher: str = ""
    """The front that can finish the card after the bank's approval; empty: nobody can, or there is
    no chip. How the terminal is connected now, not what it asks for: no part of the hash."""
