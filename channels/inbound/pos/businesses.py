"""What a POS may ask for, as businesses of the switch. Pure data."""

from collections.abc import Mapping

from switch.model.operation import Operation

CARD, CODE, ORIGINAL = "bank_card", "qr_code", "original"

SERVED: Mapping[Operation, tuple[str, str]] = {
    Operation.SALE: ("pos_sale", CARD),
    Operation.QR_SALE: ("pos_sale", CODE),
    Operation.VOID: ("pos_void", ORIGINAL),
    Operation.QR_VOID: ("pos_void", ORIGINAL),
    Operation.REFUND: ("pos_refund", ORIGINAL),
    Operation.QR_REFUND: ("pos_refund", ORIGINAL),
    Operation.PREAUTH: ("pos_preauth", CARD),
    Operation.PREAUTH_VOID: ("pos_preauth_void", ORIGINAL),
    Operation.COMPLETION: ("pos_completion", ORIGINAL),
    Operation.COMPLETION_VOID: ("pos_completion_void", ORIGINAL),
}
"""Operation → business and medium."""
BY_CODE = frozenset({Operation.QR_SALE, Operation.QR_VOID, Operation.QR_REFUND})
"""Without a card."""

DEBITS = frozenset({"pos_sale", "pos_completion"})
CREDITS = frozenset({"pos_void", "pos_refund", "pos_completion_void"})
"""What counts in a batch's totals; pre-authorisations only set money aside."""

OFFERED = SERVED.keys() | {Operation.BALANCE}
"""What a terminal's list may name."""

BALANCE_OF = "pos_sale"
"""A balance is asked of the bank that a sale would go to."""


def business_of(operation: Operation) -> str:
    """The business whose route an operation of ``OFFERED`` goes by, or whose original's."""
    return SERVED[operation][0] if operation in SERVED else BALANCE_OF
