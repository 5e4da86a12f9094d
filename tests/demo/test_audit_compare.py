"""Goal: the audit can fail: every kind of lie in a ledger is seen (negative control of I1)."""

from typing import Any

import pytest
from msgspec.structs import replace

from switch.audit.compare import (
    Audit,
    BankKey,
    BankLine,
    BookedPayment,
    HisLine,
    Told,
    compare,
)
from switch.audit.sources import _moving, bank_lines, his_lines, told_lines

STAN: BankKey = ("104440180620001", "80000101", "000001", "000042")
OTHER: BankKey = ("104440180620001", "80000101", "000001", "000043")
DONE = BookedPayment(key="K1", amount_fen=100, rest="done", at_bank=(STAN,))
UNDONE = BookedPayment(key="K2", amount_fen=200, rest="undone", at_bank=(OTHER,))
OPEN = BookedPayment(key="K3", amount_fen=300, rest="")
_IDENTITY = ("merchant", "terminal", "batch", "stan")
BANK = {
    "debits": [
        {**dict(zip(_IDENTITY, STAN, strict=True)), "net_fen": 100},
        {**dict(zip(_IDENTITY, OTHER, strict=True)), "net_fen": 0},
    ]
}
HIS = {
    "bookings": [
        {"key": "K1", "amount_fen": 100, "state": "booked"},
        {"key": "K2", "amount_fen": 200, "state": "cancelled"},
    ]
}
TOLD = {
    "told": [
        {"key": "K1", "state": "approved", "amount_fen": 100},
        {"key": "K2", "state": "returned", "amount_fen": 200},
    ]
}


def _audit(
    *,
    books: tuple[BookedPayment, ...] = (DONE, UNDONE),
    bank: Any = BANK,
    his: Any = HIS,
    told: Any = TOLD,
) -> Audit:
    return compare(
        books,
        known_keys=[payment.key for payment in books],
        known_at_bank=[identity for payment in books for identity in payment.at_bank],
        bank=bank_lines(bank),
        his=his_lines(his),
        told=told_lines(told),
    )


def _with(ledger: Any, place: str, number: int, **changes: Any) -> Any:
    """A copy of a ledger's answer with one line tampered with."""
    lines = [dict(line) for line in ledger[place]]
    lines[number].update(changes)
    return {place: lines}


def _more(ledger: Any, place: str, **line: Any) -> Any:
    """A copy of a ledger's answer with one more line."""
    return {place: [*ledger[place], {**ledger[place][0], **line}]}


def _without(ledger: Any, place: str) -> Any:
    """A copy of a ledger's answer without its first line."""
    return {place: ledger[place][1:]}


def test_I1_one_story_is_clean() -> None:
    """Goal: untampered ledgers give no violation, and the right sums."""
    audit = _audit()

    assert audit.violations == []
    assert (audit.bank_net_fen, audit.his_booked_fen, audit.terminal_told_fen) == (100, 100, 100)
    assert (audit.judged, audit.in_flight) == (2, 0)


@pytest.mark.parametrize(
    ("lie", "found"),
    [
        pytest.param({"bank": _with(BANK, "debits", 0, net_fen=0)}, [("I1", "K1")], id="no debit"),
        pytest.param({"bank": _without(BANK, "debits")}, [("I1", "K1")], id="debit unknown"),
        pytest.param({"bank": _with(BANK, "debits", 0, net_fen=99)}, [("I1", "K1")], id="1 fen"),
        pytest.param(
            {"bank": _more(BANK, "debits")}, [("I1", "K1")], id="debited twice under one identity"
        ),
        pytest.param(
            {"bank": _with(BANK, "debits", 1, net_fen=200)},
            [("I1", "K2")],
            id="undone, money still there",
        ),
        pytest.param(
            {"bank": _more(BANK, "debits", stan="000099")},
            [("I4", "")],
            id="a debit that no payment explains",
        ),
        pytest.param({"his": _without(HIS, "bookings")}, [("I1", "K1")], id="no booking"),
        pytest.param(
            {"his": _with(HIS, "bookings", 0, state="cancelled")}, [("I1", "K1")], id="unbooked"
        ),
        pytest.param(
            {"his": _with(HIS, "bookings", 0, amount_fen=101)}, [("I1", "K1")], id="other amount"
        ),
        pytest.param(
            {"his": _more(HIS, "bookings")}, [("I2", "K1"), ("I1", "K1")], id="booked twice"
        ),
        pytest.param(
            {"his": _with(HIS, "bookings", 1, state="booked")},
            [("I1", "K2")],
            id="undone, yet booked",
        ),
        pytest.param(
            {"his": _more(HIS, "bookings", key="K9")},
            [("I4", "K9")],
            id="a booking that no payment explains",
        ),
        pytest.param(
            {"told": _with(TOLD, "told", 0, state="returned")}, [("I7", "K1")], id="told returned"
        ),
        pytest.param(
            {"told": _with(TOLD, "told", 0, state="unknown_key")}, [("I7", "K1")], id="told never"
        ),
        pytest.param(
            {"told": _with(TOLD, "told", 1, state="approved")},
            [("I7", "K2")],
            id="told approved, undone",
        ),
        pytest.param(
            {"books": (replace(DONE, rest="declined"), UNDONE)},
            [("I1", "K1"), ("I1", "K1"), ("I7", "K1")],
            id="the journal forgot the approval",
        ),
        pytest.param(
            {"books": (UNDONE,)},
            [("I4", ""), ("I4", "K1"), ("I7", "K1")],
            id="the journal lost a payment",
        ),
        pytest.param(
            {"told": _more(TOLD, "told", key="K9")}, [("I7", "K9")], id="approved and forgotten"
        ),
        pytest.param(
            {"told": _with(TOLD, "told", 0, amount_fen=99)}, [("I7", "K1")], id="told other amount"
        ),
        pytest.param(
            {"told": _with(TOLD, "told", 0, state="refused")},
            [("I7", "K1")],
            id="told not taken, yet done",
        ),
        pytest.param(
            {"books": (replace(DONE, rest="exception"), UNDONE)},
            [("I7", "K1")],
            id="an exception was told approved",
        ),
    ],
)
def test_I1_each_lie_is_a_violation(lie: dict[str, Any], found: list[tuple[str, str]]) -> None:
    """Goal: one tampered line of one ledger is a violation that names invariant and payment."""
    audit = _audit(**lie)

    assert [(violation.invariant, violation.key) for violation in audit.violations] == found
    assert all(violation.text for violation in audit.violations)


def test_I1_only_what_rests_is_judged() -> None:
    """Goal: under load a payment on its way, or whose end its kiosk has not asked for yet, is
    counted and not judged."""
    pending = _with(TOLD, "told", 0, state="pending")

    audit = _audit(books=(DONE, UNDONE, OPEN), told=pending)

    assert audit.violations == []
    assert (audit.judged, audit.in_flight) == (1, 2)
    assert audit.bank_net_fen == 0


def test_I1_unproven_money_waits_for_the_settlement_file() -> None:
    """Goal: a reversal that was answered 25 only is counted as unproven, and no violation yet."""
    books = (DONE, replace(UNDONE, unproven=True))
    audit = _audit(books=books, bank=_with(BANK, "debits", 1, net_fen=200))

    assert audit.violations == []
    assert audit.unproven == 1


def test_I15_an_exception_is_counted() -> None:
    """Goal: what sits with a person is seen in the audit, whatever bank and hospital have."""
    lonely = replace(UNDONE, rest="exception")
    audit = _audit(
        books=(DONE, lonely),
        bank=_with(BANK, "debits", 1, net_fen=200),
        told=_with(TOLD, "told", 1, state="exception"),
    )

    assert audit.violations == []
    assert (audit.exceptions, audit.judged) == (1, 2)


def test_I7_a_line_of_each_shape() -> None:
    """Goal: the ledgers' JSON is read as what it is."""
    assert next(iter(bank_lines(BANK))) == BankLine(at_bank=STAN, net_fen=100)
    assert [line.booked for line in his_lines(HIS)] == [True, False]
    assert next(iter(his_lines(HIS))) == HisLine(key="K1", amount_fen=100, booked=True)
    assert next(iter(told_lines(TOLD))) == Told(key="K1", state="approved", amount_fen=100)


REFUND: BankKey = ("104440180620001", "80000101", "000001", "000044")
REFUNDED = BookedPayment(
    key="R1",
    amount_fen=100,
    rest="done",
    at_bank=(REFUND,),
    bank_fen=-100,
    books=False,
    asks=False,
    original="K1",
    unbooked=True,
)
GIVEN_BACK = _more(
    BANK, "debits", merchant=REFUND[0], terminal=REFUND[1], stan=REFUND[3], net_fen=-100
)
UNBOOKED = _with(HIS, "bookings", 0, state="cancelled")


def test_I1_a_refund_and_its_original_tell_one_story() -> None:
    """Goal: the debit stands in its own line, the credit in another, the booking was taken back;
    nobody was told of the refund, since an operator began it."""
    audit = _audit(books=(DONE, UNDONE, REFUNDED), bank=GIVEN_BACK, his=UNBOOKED)

    assert audit.violations == []
    assert (audit.bank_net_fen, audit.his_booked_fen, audit.judged) == (0, 0, 3)


@pytest.mark.parametrize(
    ("lie", "found"),
    [
        pytest.param({"bank": BANK, "his": UNBOOKED}, [("I1", "R1")], id="no credit"),
        pytest.param({"bank": GIVEN_BACK, "his": HIS}, [("I1", "K1")], id="still booked"),
        pytest.param(
            {"bank": _more(GIVEN_BACK, "debits", stan=REFUND[3], net_fen=-100), "his": UNBOOKED},
            [("I1", "R1")],
            id="credited twice",
        ),
        pytest.param(
            {"books": (DONE, UNDONE), "bank": GIVEN_BACK, "his": HIS},
            [("I4", "")],
            id="a credit that no payment explains",
        ),
        pytest.param(
            {
                "books": (DONE, UNDONE, replace(REFUNDED, rest="undone", unbooked=False)),
                "bank": GIVEN_BACK,
                "his": HIS,
            },
            [("I1", "R1")],
            id="undone, yet credited",
        ),
    ],
)
def test_I1_each_lie_about_a_refund_is_a_violation(
    lie: dict[str, Any], found: list[tuple[str, str]]
) -> None:
    """Goal: credits are judged as debits are."""
    audit = _audit(**{"books": (DONE, UNDONE, REFUNDED), **lie})

    assert [(violation.invariant, violation.key) for violation in audit.violations] == found


def test_I1_a_void_takes_back_what_no_hospital_booked() -> None:
    """Goal: a counter's sale and its void, a pre-authorisation: nobody books, nobody asks."""
    sale = replace(DONE, books=False, asks=False)
    void = replace(REFUNDED, unbooked=False)
    preauth = BookedPayment(
        key="P1", amount_fen=700, rest="done", bank_fen=0, books=False, asks=False
    )

    audit = _audit(
        books=(sale, void, preauth), bank=GIVEN_BACK, his={"bookings": []}, told={"told": []}
    )

    assert audit.violations == []
    assert (audit.judged, audit.in_flight, audit.bank_net_fen) == (3, 0, 0)


def test_I1_an_original_of_which_something_moves_is_not_judged() -> None:
    """Goal: a refund that began while the ledgers were read changes its original's booking."""
    audit = compare(
        (DONE,),
        known_keys=["K1", "K2", "R1"],
        known_at_bank=[STAN, OTHER, REFUND],
        bank=bank_lines(BANK),
        his=his_lines(UNBOOKED),
        told=told_lines(TOLD),
        moving=["R1", "K1"],
    )

    assert (audit.violations, audit.in_flight) == ([], 1)


def test_I15_an_unbooking_that_nobody_knows_of_leaves_its_original_to_a_person() -> None:
    """Goal: the hospital may have it or not; the refund itself is counted as an exception."""
    stuck = replace(REFUNDED, rest="exception", unbooked=False, unsure=True)

    for his in (HIS, UNBOOKED):
        audit = _audit(books=(DONE, UNDONE, stuck), his=his)
        assert (audit.violations, audit.exceptions, audit.in_flight) == ([], 1, 1)


def test_I1_what_moved_while_the_ledgers_were_read() -> None:
    """Goal: new payments, payments whose end changed, and their originals."""
    begun = replace(REFUNDED, rest="")

    assert set(_moving([DONE, begun], [DONE, REFUNDED])) == {"R1", "K1"}
    assert set(_moving([DONE], [DONE, begun])) == {"R1", "K1"}
    assert set(_moving([DONE, REFUNDED], [DONE, REFUNDED])) == set()
