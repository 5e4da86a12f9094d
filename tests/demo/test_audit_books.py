"""Goal: the audit knows what each business leaves at the bank and at the hospital."""

import zlib

import pytest
from msgspec.structs import replace

from switch.catalogue import BUSINESSES, Birth, new_payment, operation_of
from switch.model.operation import Operation
from switch.model.outcome import Millis
from switch.model.payment import Leg, LegKind, LegPolicy, LegState, OnUnknown, Payment, Rest
from switch.store.books import booked
from switch.store.rows import encode_payment

POLICY = LegPolicy(timeout_ms=1_000, on_unknown=OnUnknown.UNDO)


def done(business: str, original: Operation | None = None) -> Payment:
    """A payment of 100 分 that is DONE, all its legs too."""
    row = BUSINESSES[business]
    birth = Birth(
        at=Millis(0),
        business_date="20260704",
        deadline_ms=1,
        request_hash="",
        clearing=row.clearing,
        operation=operation_of(row, row.media[0], original),
        finishes=True,
    )
    request = Payment(
        key="K",
        hospital="h1",
        business=business,
        terminal="t",
        amount_fen=100,
        request_hash="",
        born_at=0,
        business_date="",
        original="O" if original else "",
    )
    payment = new_payment(row, request, birth, lambda _kind: ("c", POLICY))
    return replace(payment, rest=Rest.DONE, legs=tuple(map(as_done, payment.legs)))


def as_done(leg: Leg) -> Leg:
    """The leg when it is done."""
    return replace(leg, state=LegState.DONE)


@pytest.mark.parametrize(
    ("business", "original", "bank_fen", "books", "asks", "unbooked"),
    [
        ("outpatient_bill", None, 100, True, True, False),
        ("inpatient_deposit", None, 100, True, True, False),
        ("outpatient_refund", Operation.SALE, -100, False, False, True),
        ("pos_sale", None, 100, False, False, False),
        ("pos_void", Operation.SALE, -100, False, False, False),
        ("pos_refund", Operation.QR_SALE, -100, False, False, False),
        ("pos_preauth", None, 0, False, False, False),
        ("pos_preauth_void", Operation.PREAUTH, 0, False, False, False),
        ("pos_completion", Operation.PREAUTH, 100, False, False, False),
        ("pos_completion_void", Operation.COMPLETION, -100, False, False, False),
        ("bank_bill", None, 0, True, False, False),
    ],
)
def test_I1_what_a_business_leaves(
    business: str,
    original: Operation | None,
    bank_fen: int,
    books: bool,
    asks: bool,
    unbooked: bool,
) -> None:
    """Goal: debits, credits and bookings are expected exactly where the business has them."""
    payment = done(business, original)
    state = encode_payment(payment).decode()

    book = booked("K", state, zlib.crc32(state.encode()), {"K": [("m", "t", "1", "2")]})

    assert (book.bank_fen, book.books, book.asks, book.unbooked) == (
        bank_fen,
        books,
        asks,
        unbooked,
    )
    assert book.original == payment.original
    assert book.at_bank == (("m", "t", "1", "2"),)
    assert not book.unsure
    assert LegKind.DEBIT in {leg.kind for leg in payment.legs} or bank_fen <= 0
