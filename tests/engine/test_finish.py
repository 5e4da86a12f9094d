"""The finish leg in the engine: a chip card says its last word before the HIS is told."""

from structlog.testing import capture_logs

from switch.engine.asked import request_digest
from switch.model.answer import AnswerState
from switch.model.outcome import Outcome, Reply, Verb
from switch.model.payment import LegKind, LegState, Rest
from switch.model.secret import Secret
from tests.engine.rig import DONE, REFUSED, UNKNOWN, House, Outcoming, Scripted, request

APPROVED = Reply(outcome=Outcome.DONE, code="00", issuer=Secret(b"\x91\x00"))
DECLINED = Reply(outcome=Outcome.REFUSED, code="Z1", facts={"chip": "9505000004E000"})
AWAY = Reply(outcome=Outcome.NOT_SENT, code="terminal_away")
HOLD, DEBIT, FINISH, BOOK = range(4)


def pay(house: House, **changes: str) -> Outcoming:
    """A chip card's payment of k1, approved by its bank."""
    house.bank.script.append(APPROVED)
    return house.pay(**{"finisher": "kiosks", **changes})


def kinds(house: House) -> list[LegKind]:
    return [leg.kind for leg in house.stored().legs]


def told_his(house: House) -> list[LegKind]:
    return [sent.order.leg.kind for sent in house.his.sent if sent.order.verb is Verb.DO]


def test_a_confirmed_card_is_booked() -> None:
    """Hold, debit, finish, book; the terminal gets the issuer's words, nobody else does (I12)."""
    house = House()

    answer = pay(house).answer

    assert answer.state is AnswerState.APPROVED
    assert kinds(house) == [LegKind.HOLD, LegKind.DEBIT, LegKind.FINISH, LegKind.BOOK]
    [asked] = house.kiosks.sent
    assert asked.order.issuer is not None
    assert asked.order.issuer.reveal() == b"\x91\x00"
    assert asked.secrets is None
    assert all(sent.order.issuer is None for sent in (*house.bank.sent, *house.his.sent))
    assert house.his.sent[-1].at >= asked.at


def test_without_a_finisher_the_plan_is_as_before() -> None:
    """A kiosk of version 1, or a stripe: hold, debit, book."""
    house = House()

    assert pay(house, finisher="").answer.state is AnswerState.APPROVED
    assert kinds(house) == [LegKind.HOLD, LegKind.DEBIT, LegKind.BOOK]
    assert house.kiosks.sent == []


def test_I1_a_declined_card_gets_its_money_back_and_the_his_is_never_told() -> None:
    """Approved by the bank, not confirmed by the card: reversed, answered *returned*."""
    house = House()
    house.kiosks.script.append(DECLINED)

    answer = pay(house).answer

    assert (answer.state, answer.code) == (AnswerState.RETURNED, "Z1")
    assert house.bank.verbs() == ["do", "reversal"]
    assert told_his(house) == [LegKind.HOLD]
    assert house.stored().legs[FINISH].facts == DECLINED.facts


def test_I1_a_silent_terminal_is_asked_and_then_the_money_goes_back() -> None:
    """Unknown is not confirmed: asked as often as its front says, then reversed."""
    house = House()
    house.kiosks.script.extend([UNKNOWN] * 4)
    tap = pay(house)

    house.pass_s(10)

    assert house.kiosks.verbs() == ["do", "ask", "ask", "ask"]
    assert tap.answer.state is AnswerState.RETURNED
    assert house.bank.verbs() == ["do", "reversal"]
    assert told_his(house) == [LegKind.HOLD]


def test_what_the_terminal_says_when_asked_counts() -> None:
    """Its answer was lost, its journal has it: booked after all; or declined after all."""
    house = House()
    house.kiosks.script.extend([UNKNOWN, DONE])
    tap = pay(house)
    house.pass_s(3)
    assert tap.answer.state is AnswerState.APPROVED

    house = House()
    house.kiosks.script.extend([UNKNOWN, REFUSED])
    tap = pay(house)
    house.pass_s(3)
    assert tap.answer.state is AnswerState.RETURNED


def test_a_terminal_that_is_away_is_tried_again_with_the_issuers_words() -> None:
    """No byte left: the same card is finished when the link is back."""
    house = House()
    house.kiosks.script.extend([AWAY, AWAY])
    tap = pay(house)

    house.pass_s(5)

    assert tap.answer.state is AnswerState.APPROVED
    assert house.kiosks.verbs() == ["do", "do", "do"]
    assert house.kiosks.sent[-1].order.issuer is not None


def test_a_terminal_that_stays_away_costs_nobody_money() -> None:
    """At the deadline the debit goes back."""
    house = House()
    house.kiosks.script.extend([AWAY] * 100)
    pay(house)

    house.pass_s(125)

    assert house.stored().rest is Rest.UNDONE
    assert house.bank.verbs() == ["do", "reversal"]
    assert set(house.kiosks.verbs()) == {"do"}


def test_I4_a_restart_between_approval_and_finish_asks() -> None:
    """What was out is Unknown; the issuer's words died with the process: it is asked only."""
    old = House("node-a")
    old.kiosks.script.append(Scripted.HANG)
    pay(old)
    old.journal.crash()
    old.pass_s(2)
    new = House("node-a", old.town)

    new.run(new.engine.recover())
    new.pass_s(5)

    assert new.kiosks.verbs() == ["ask"]
    assert new.bank.verbs() == []
    assert new.stored().rest is Rest.DONE


def test_a_restart_while_the_terminal_is_away_has_no_issuers_words_to_give() -> None:
    """The next try names none, so the front only asks; the card was never finished."""
    old = House("node-a")
    old.kiosks.script.extend([AWAY] * 100)
    pay(old)
    old.journal.crash()
    new = House("node-a", old.town)
    new.kiosks.script.append(DECLINED)

    new.run(new.engine.recover())
    new.pass_s(5)

    assert [(s.order.verb, s.order.issuer) for s in new.kiosks.sent] == [(Verb.DO, None)]
    assert new.bank.verbs() == ["reversal"]
    assert new.stored().rest is Rest.UNDONE


def test_I5_a_late_word_after_going_back_changes_nothing() -> None:
    """The card did confirm, but it was given up: the money stays with the patient. No alarm, since
    nobody had said otherwise."""
    house = House()
    house.kiosks.script.extend([UNKNOWN] * 4)
    pay(house)
    house.pass_s(10)
    before = house.stored()

    with capture_logs() as logs:
        house.late(leg=FINISH)

    assert house.stored() == before
    assert before.legs[FINISH].state is LegState.REFUSED
    assert house.bank.verbs() == ["do", "reversal"]
    assert "alarm" not in [line["event"] for line in logs]


def test_I9_a_card_that_says_yes_after_no_is_alarmed() -> None:
    """The terminal contradicts itself: nothing changes, a person looks."""
    house = House()
    house.kiosks.script.append(DECLINED)
    pay(house)
    before = house.stored()

    with capture_logs() as logs:
        house.late(leg=FINISH)

    assert house.stored() == before
    assert [line["invariant"] for line in logs if line["event"] == "alarm"] == ["I9"]


def test_I5_a_late_word_before_going_back_is_taken() -> None:
    """The exchange had ended, the payment still waits to ask: booked at once."""
    house = House()
    house.kiosks.script.append(UNKNOWN)
    tap = pay(house)

    house.late(leg=FINISH)

    assert tap.answer.state is AnswerState.APPROVED
    assert house.kiosks.verbs() == ["do"]


def test_I6_a_refused_booking_after_the_card_confirmed_is_reversed() -> None:
    """The card's word moves no money, so nothing of it is undone."""
    house = House()
    house.his.script.extend([DONE, REFUSED])

    assert pay(house).answer.state is AnswerState.RETURNED
    assert house.bank.verbs() == ["do", "reversal"]
    assert house.kiosks.verbs() == ["do"]


def test_I8_how_the_terminal_is_connected_is_no_part_of_what_it_asks() -> None:
    """The same key resent by another link, or by the program of yesterday, is the same request."""
    pinned = "ac07179a1e116859"
    assert request_digest(request()) == request_digest(request(finisher="kiosks"))
    assert request_digest(request()).startswith(pinned)


def test_I8_a_repeat_over_another_link_is_answered_from_the_journal() -> None:
    """Not refused as other content, and not planned anew."""
    house = House()
    first = pay(house).answer

    again = house.pay(finisher="").answer

    assert again == first
    assert len(house.bank.sent) == 1


def test_I12_the_issuers_words_are_in_no_row() -> None:
    """Not in the payment, not in its history, and not in the log of late answers."""
    house = House()
    house.kiosks.script.extend([UNKNOWN] * 4)
    pay(house)
    house.engine.late("k1", DEBIT, 1, APPROVED)
    house.pass_s(10)

    database = house.town.database
    kept = repr([database.rows["k1"].payment(), database.events, database.late])
    assert "issuer" not in kept
    assert "9100" not in kept


def test_I12_the_issuers_words_are_dropped_once_the_card_has_spoken() -> None:
    """Nothing in memory outlives its use."""
    house = House()
    house.his.script.extend([DONE, Scripted.HANG])
    pay(house)

    [driver] = house.engine.live()
    assert driver.payment.legs[BOOK].state is LegState.DOING
    assert driver._card.issuer(LegKind.FINISH, Verb.DO) is None
