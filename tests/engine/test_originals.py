"""Payments that refer to another one: void, refund, completion (docs/payment-law.md, refunds)."""

from typing import Any

import pytest

from switch.engine import Route
from switch.model.answer import AnswerState
from switch.model.operation import Operation
from switch.model.outcome import Outcome, Reply
from switch.model.payment import LegState, Rest
from switch.model.secret import Secret
from switch.ports import CardSecrets
from tests.engine.rig import REFUSED, UNKNOWN, House, Scripted, request

SALE = {"business": "pos_sale", "bill": "", "patient": ""}


def sold(**changes: Any) -> House:
    """A counter's sale, done."""
    house = House()
    assert house.pay(**SALE, **changes).answer.state is AnswerState.APPROVED
    return house


def refer(house: House, key: str, business: str, amount_fen: int = 12_345, **changes: Any) -> Any:
    """Ask for what refers to k1."""
    fields = {"medium": "original", "original": "k1", "bill": "", "patient": ""} | changes
    return house.pay(key, business=business, amount_fen=amount_fen, **fields)


def test_a_void_carries_what_the_bank_needs_of_its_sale() -> None:
    """The leg says which operation, and holds the original's numbers."""
    house = sold()

    assert refer(house, "v1", "pos_void").answer.state is AnswerState.APPROVED
    leg = house.stored("v1").legs[0]
    assert leg.operation is Operation.VOID
    assert leg.facts["original_F11"] == house.stored("k1").legs[0].facts["F11"]
    assert leg.facts["original_operation"] == "sale"


def test_money_goes_back_by_code_as_it_came_by_code() -> None:
    """A scanned payment is voided and refunded by the operations for codes."""
    house = House(routes=(_route("pos_sale", medium="qr_code"),))
    house.pay(**SALE, medium="qr_code")

    refer(house, "r1", "pos_refund", 5)
    assert house.stored("k1").legs[0].operation is Operation.QR_SALE
    assert house.stored("r1").legs[0].operation is Operation.QR_REFUND


def _route(business: str, **fields: Any) -> Route:
    base = {"hospital": "h1", "business": business, "medium": "bank_card", "channel": "bank"}
    return Route(**(base | fields))


def test_I1_refunds_together_never_exceed_the_sale() -> None:
    """12 345 分 sold: 10 000 and 2 345 go back, one 分 more does not and is not sent."""
    house = sold()
    assert refer(house, "r1", "pos_refund", 10_000).answer.state is AnswerState.APPROVED
    assert refer(house, "r2", "pos_refund", 2_346).answer.code == "reserve"
    assert refer(house, "r3", "pos_refund", 2_345).answer.state is AnswerState.APPROVED
    assert refer(house, "r4", "pos_refund", 1).answer.code == "reserve"
    assert len(house.bank.sent) == 3


def test_I1_two_voids_at_once_one_is_sent() -> None:
    """The reserve is taken in the birth's commit: the second finds nothing left."""
    house = sold()
    house.bank.script.append(Scripted.HANG)
    first = refer(house, "v1", "pos_void")
    second = refer(house, "v2", "pos_void")
    assert first.pending
    assert second.answer.code == "reserve"


def test_I1_a_refused_refund_gives_its_reserve_back() -> None:
    """What rests without effect frees the original again."""
    house = sold()
    house.bank.script.append(REFUSED)
    assert refer(house, "v1", "pos_void").answer.state is AnswerState.DECLINED
    assert refer(house, "v2", "pos_void").answer.state is AnswerState.APPROVED


def test_I1_an_unknown_refund_keeps_its_reserve() -> None:
    """A plain refund is sent once; Unknown is an exception, and its amount stays spoken for."""
    house = sold()
    house.bank.script.append(UNKNOWN)
    assert refer(house, "r1", "pos_refund").answer.state is AnswerState.EXCEPTION
    assert refer(house, "r2", "pos_refund", 1).answer.code == "reserve"


def test_rule_8_an_unknown_void_is_itself_reversed() -> None:
    """Whether it worked is not known: it is taken back, and the sale stands."""
    house = sold()
    house.bank.script.append(UNKNOWN)
    answer = refer(house, "v1", "pos_void")
    house.pass_s(40)
    assert answer.answer.state is AnswerState.RETURNED
    assert house.bank.verbs() == ["do", "do", "reversal"]
    assert house.stored("v1").legs[0].state is LegState.UNDONE
    assert refer(house, "v2", "pos_void").answer.state is AnswerState.APPROVED


def test_a_completion_takes_the_whole_set_aside_amount_once() -> None:
    """Up to 115 % of what was set aside, and only one of completion and void."""
    house = House()
    house.pay(business="pos_preauth", bill="", patient="", amount_fen=10_000)
    assert refer(house, "c1", "pos_completion", 11_501).answer.code == "amount"
    assert refer(house, "c2", "pos_completion", 11_500).answer.state is AnswerState.APPROVED
    assert refer(house, "v1", "pos_preauth_void", 10_000).answer.code == "reserve"
    assert house.stored("c2").legs[0].operation is Operation.COMPLETION


@pytest.mark.parametrize(
    ("business", "amount_fen", "original", "code"),
    [
        ("pos_void", 12_344, "k1", "amount"),
        ("pos_refund", 12_346, "k1", "amount"),
        ("pos_void", 12_345, "nobody", "original"),
        ("pos_preauth_void", 12_345, "k1", "original"),
    ],
)
def test_what_does_not_fit_its_original_is_refused(
    business: str, amount_fen: int, original: str, code: str
) -> None:
    """Wrong amount, no such original, an original of another kind: nothing is sent."""
    house = sold()
    answer = refer(house, "x", business, amount_fen, original=original).answer
    assert (answer.state, answer.code) == (AnswerState.REFUSED, code)
    assert len(house.bank.sent) == 1


def test_I1_money_goes_back_to_the_card_that_paid() -> None:
    """Another card at the refund is refused; none at all is the original's."""
    house = sold()
    fields = {"medium": "original", "original": "k1", "bill": "", "patient": "", "amount_fen": 5}
    other = CardSecrets(pan=Secret("6222020200119999998"))
    asked = request("r1", business="pos_refund", **fields)
    assert house.run(house.engine.start(asked, other)).answer.code == "card"
    asked = request("r2", business="pos_refund", **fields)
    assert house.run(house.engine.start(asked, None)).answer.state is AnswerState.APPROVED


def test_I1_a_refund_refused_without_proof_keeps_its_reserve() -> None:
    """It may have been executed all the same: an exception, and its amount stays spoken for."""
    house = sold()
    house.bank.script.append(Reply(outcome=Outcome.REFUSED, code="A0", again=True, doubtful=True))
    assert refer(house, "r1", "pos_refund").answer.state is AnswerState.EXCEPTION
    assert refer(house, "r2", "pos_refund", 1).answer.code == "reserve"
    assert len(house.bank.sent) == 2


def test_I11_what_a_lost_birth_had_leased_is_given_back() -> None:
    """A second void is not born: the logical terminal that was prepared for it is free again."""
    house = sold()
    refer(house, "v1", "pos_void")
    released = len(house.bank.released)
    assert refer(house, "v2", "pos_void").answer.code == "reserve"
    assert len(house.bank.released) == released + 1


def test_a_declined_sale_is_no_original() -> None:
    """What took nothing cannot be given back."""
    house = House()
    house.bank.script.append(REFUSED)
    house.pay(**SALE)
    assert refer(house, "v1", "pos_void").answer.code == "original"


def test_rule_10_a_hospital_refund_un_books_first_and_then_gives_back() -> None:
    """The hospital's numbers of the original go with the un-booking."""
    house = House()
    house.pay()
    answer = refer(house, "r1", "outpatient_refund").answer
    assert answer.state is AnswerState.APPROVED
    refund = house.stored("r1")
    assert [leg.kind.value for leg in refund.legs] == ["unbook", "credit"]
    assert (house.his.verbs(), house.bank.verbs()) == (["do", "do", "do"], ["do", "do"])


def test_rule_10_a_refused_credit_behind_the_pivot_is_an_exception() -> None:
    """应退未退: the booking is gone, so a person sees to it that the patient gets the money."""
    house = House()
    house.pay()
    house.bank.script.append(REFUSED)
    assert refer(house, "r1", "outpatient_refund").answer.state is AnswerState.EXCEPTION
    assert house.stored("r1").rest is Rest.EXCEPTION
