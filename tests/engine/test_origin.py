"""The origin takes its payment back: Front.reverse (docs/payment-law.md, rules 7 and 11)."""

from typing import Any

from structlog.testing import capture_logs

from switch.model.answer import Answer, AnswerState
from switch.model.outcome import Outcome, Reply
from switch.model.payment import Rest
from switch.ports import JournalDown
from tests.engine.rig import DONE, REFUSED, House, Scripted

SALE = {"business": "pos_sale", "bill": "", "patient": ""}


def reverse(house: House, key: str = "k1", *, settled: bool = False) -> Any:
    """The terminal's 0400."""
    return house.run(house.engine.reverse("h1", "t1", key, settled=settled))


def test_a_finished_payment_is_undone_booking_first() -> None:
    """The door out of DONE: un-book, then reverse the debit."""
    house = House()
    house.pay()
    assert reverse(house, settled=True).answer.state is AnswerState.RETURNED
    assert house.his.verbs()[-1] == "cancel"
    assert house.bank.verbs() == ["do", "reversal"]


def test_I3_the_wish_is_committed_before_it_is_acknowledged() -> None:
    """Without waiting for the end: going back stands in the journal when the call returns."""
    house = House()
    house.pay(**SALE)
    house.bank.script.append(Scripted.HANG)
    answer = reverse(house).answer
    assert answer.state is AnswerState.PENDING
    assert house.stored().stage == "backward"


def test_a_repeated_wish_changes_nothing() -> None:
    """The terminal repeats its 0400: one reversal, the same answer."""
    house = House()
    house.pay(**SALE)
    first = reverse(house).answer
    house.settle()
    again = reverse(house).answer
    assert again.state is AnswerState.RETURNED
    assert first.key == again.key
    assert house.bank.verbs() == ["do", "reversal"]


def test_rule_11_a_wish_before_its_payment_bars_the_late_one() -> None:
    """A 0400 that overtook its sale leaves a tombstone: the sale behind it is refused."""
    house = House()
    assert reverse(house).answer.state is AnswerState.UNKNOWN_KEY
    assert house.pay(**SALE).answer.state is AnswerState.UNKNOWN_KEY
    assert house.bank.sent == []


def test_a_wish_while_the_debit_is_out_is_decided_with_its_answer() -> None:
    """The 0400 races our answer: whatever the bank says, the money goes back."""
    house = House()
    house.bank.script.append(Scripted.HANG)
    paying = house.pay(**SALE)
    assert reverse(house).answer.state is AnswerState.PENDING
    house.bank.sent[0].reply.callback(DONE)
    house.settle()
    assert paying.answer.state is AnswerState.RETURNED
    assert house.bank.verbs() == ["do", "reversal"]


def test_a_wish_waits_for_the_birth_it_races() -> None:
    """The database is slow with the payment's birth: the wish is decided after it, never on what
    is not committed."""
    house = House()
    house.faults.slow_ms = 500
    paying = house.pay(**SALE)
    wish = reverse(house)
    assert wish.pending
    house.pass_s(3)
    assert wish.answer.state in {AnswerState.PENDING, AnswerState.RETURNED}
    house.pass_s(40)
    assert paying.answer.state is AnswerState.RETURNED
    assert house.stored().rest in {Rest.UNDONE, Rest.DECLINED}


def test_I1_what_was_refunded_is_not_taken_back_as_well() -> None:
    """A void went before: the 0400 of the sale is refused and alarmed, the money moves once."""
    house = House()
    house.pay(**SALE)
    house.pay("v1", business="pos_void", medium="original", original="k1", bill="", patient="")
    with capture_logs() as logs:
        assert reverse(house).answer.state is AnswerState.APPROVED
    assert [line["event"] for line in logs if line.get("invariant") == "I1"] == [
        "refunded_not_taken_back"
    ]
    assert house.bank.verbs() == ["do", "do"]


def test_I1_what_was_taken_back_is_not_refunded_as_well() -> None:
    """The other order: nothing is left of the original."""
    house = House()
    house.pay(**SALE)
    reverse(house)
    answer = house.pay(
        "v1", business="pos_void", medium="original", original="k1", bill="", patient=""
    ).answer
    assert answer.code == "original"
    assert house.bank.verbs() == ["do", "reversal"]


def test_rule_11_a_hospital_that_will_not_un_book_makes_it_a_case() -> None:
    """The service was used: EXCEPTION, and the debit stays."""
    house = House()
    house.pay()
    house.his.script.append(REFUSED)
    assert reverse(house, settled=True).answer.state is AnswerState.EXCEPTION
    assert house.bank.verbs() == ["do"]


def test_a_finished_refund_is_not_taken_back() -> None:
    """A refund has no undo: the 0400 of one changes nothing and is alarmed."""
    house = House()
    house.pay(**SALE)
    fields = {"medium": "original", "original": "k1", "bill": "", "patient": "", "amount_fen": 5}
    house.pay("r1", business="pos_refund", **fields)
    assert reverse(house, "r1").answer.state is AnswerState.APPROVED
    assert house.stored("r1").rest is Rest.DONE


def test_rule_11_what_the_origin_was_told_is_kept_whatever_evidence_says() -> None:
    """The hospital refused to un-book, the origin was told so: evidence that the booking stands
    does not cancel it once more."""
    house = House()
    house.pay()
    house.his.script.append(REFUSED)
    reverse(house, settled=True)
    calls = len(house.his.sent)
    house.run(house.engine.evidence("k1", 2, stands=True))
    house.pass_s(60)
    assert len(house.his.sent) == calls
    assert house.stored().rest is Rest.EXCEPTION


def test_I5_an_approval_behind_a_refusal_without_proof_is_undone() -> None:
    """Nothing is reversed on the word alone; the approval that comes after it is."""
    house = House()
    house.bank.script.append(Reply(outcome=Outcome.REFUSED, code="97", doubtful=True))
    answer = house.pay(**SALE).answer
    assert (answer.state, answer.unproven) == (AnswerState.RETURNED, True)
    assert house.bank.verbs() == ["do"]
    house.late(leg=0)
    house.pass_s(5)
    assert house.bank.verbs() == ["do", "reversal"]
    assert house.stored().rest is Rest.UNDONE


def test_I11_without_a_database_a_birth_gives_its_terminal_back() -> None:
    """The journal is away when the sale is to be born: what was prepared is released."""
    house = House()
    house.faults.is_down = True
    assert house.pay(**SALE).answer.code == "journal"
    assert house.bank.released == [0]


def test_I13_a_wish_that_reaches_another_node_is_found_by_the_driver() -> None:
    """Node b records it; node a, which drives the payment, takes it back."""
    house = House()
    house.bank.script.append(Scripted.HANG)
    paying = house.pay(**SALE)
    other = House("node-b", house.town)
    answer: Answer = other.run(other.engine.reverse("h1", "t1", "k1", settled=False)).answer
    assert answer.state is AnswerState.PENDING
    house.run(house.engine.take_late())
    house.bank.sent[0].reply.callback(DONE)
    house.settle()
    assert paying.answer.state is AnswerState.RETURNED


def test_a_wish_for_another_terminals_key_is_refused() -> None:
    """A terminal takes back its own payments only."""
    house = House()
    house.pay(**SALE)
    wrong = house.run(house.engine.reverse("h1", "t2", "k1", settled=False)).answer
    assert (wrong.state, wrong.code) == (AnswerState.REFUSED, "foreign_key")


def test_I4_without_a_database_nothing_is_promised() -> None:
    """The wish is not durable: JournalDown, so the terminal is not answered and asks again."""
    house = House()
    house.pay(**SALE)
    house.faults.is_down = True
    wish = reverse(house)
    house.pass_s(61)
    assert wish.value.check(JournalDown)
