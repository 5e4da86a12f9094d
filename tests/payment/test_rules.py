"""The law of money, rule by rule, as far as the pure machine decides it (docs/payment-law.md)."""

import pytest

from switch.model.answer import AnswerState
from switch.model.outcome import Millis, Verb
from switch.model.payment import EffectKind, LegKind, LegState, Rest, Stage
from switch.model.payment import EventKind as E
from switch.payment import answer_of, recover
from switch.payment.answers import GOING_BACK, UNPROVEN
from tests.payment.cases import (
    BANK,
    BANK_LADDER,
    BOOK_L1,
    BOOK_L2,
    BOOK_L3,
    CREDIT_KEYED,
    CREDIT_PLAIN,
    FINISH,
    HOLD,
    INSURANCE,
    LEDGER,
    UNBOOK_L3,
    WALLET,
)
from tests.payment.play import Play

K, S = LegKind, LegState
BILL = ((K.HOLD, HOLD), (K.DEBIT, BANK), (K.BOOK, BOOK_L3))
DEBIT_BOOK = ((K.DEBIT, BANK), (K.BOOK, BOOK_L3))
REFUND = ((K.UNBOOK, UNBOOK_L3), (K.CREDIT, CREDIT_KEYED))


def booking(*plan: tuple[K, object]) -> Play:
    """Debit done, booking out."""
    return Play(*(plan or DEBIT_BOOK))(0, E.DO_DONE)


def test_rule_1_one_commit_per_leg_and_one_for_the_end() -> None:
    """Hold + debit + book takes four versions of the payment: four commits."""
    play = Play(*BILL)(0, E.DO_DONE)(1, E.DO_DONE)(2, E.DO_DONE)

    assert play.payment.rest is Rest.DONE
    assert play.payment.version == 4


def test_rule_2_unsent_debit_turns_back_with_nothing_to_undo() -> None:
    """No byte left: the payment is declined, and nothing is reversed."""
    play = Play(*DEBIT_BOOK)(0, E.DO_NOT_SENT)

    assert play.payment.rest is Rest.DECLINED
    assert play.sent == []


def test_rule_2_unsent_booking_is_tried_until_the_deadline() -> None:
    """The money is taken, so the booking is tried again; at the deadline the debit goes back."""
    play = booking()(1, E.DO_NOT_SENT)
    assert play.states[1] is S.DO_WAIT
    play.timer(1)(1, E.DO_NOT_SENT)
    play(0, E.DEADLINE)

    assert play.sent == [(Verb.UNDO, 0)]


def test_rule_2_unsent_booking_after_an_unknown_one_is_not_believed() -> None:
    """An earlier attempt may have booked: the deadline leads to the cancel, not to the debit."""
    play = booking()(1, E.DO_UNKNOWN).timer(1)(1, E.DO_NOT_SENT)(0, E.DEADLINE)

    assert play.states == [S.DONE, S.UNDO_WAIT]


def test_rule_3_refused_goes_back_over_what_was_done() -> None:
    """The HIS refuses: the debit is reversed, then the hold released, in this order."""
    play = Play(*BILL)(0, E.DO_DONE)(1, E.DO_DONE)(2, E.DO_REFUSED, code="E7")
    assert play.sent == [(Verb.UNDO, 1)]
    play(1, E.UNDO_DONE)
    assert play.sent == [(Verb.UNDO, 0)]
    play(0, E.UNDO_DONE)

    assert play.payment.rest is Rest.UNDONE
    assert play.payment.code == "E7"


def test_rule_4_unknown_debit_is_undone_where_the_bank_reverses() -> None:
    """Banks with reversal: Unknown → BACKWARD, and the reversal waits for its time."""
    play = Play(*DEBIT_BOOK)(0, E.DO_UNKNOWN)

    assert play.payment.stage is Stage.BACKWARD
    assert play.states[0] is S.UNDO_WAIT


def test_rule_4_wallet_is_asked_then_undone() -> None:
    """USERPAYING is normal: ask n times, then the keyed undo."""
    play = Play((K.DEBIT, WALLET), (K.BOOK, BOOK_L3))(0, E.DO_UNKNOWN)
    for _ in range(WALLET.ask_times):
        play.timer(0)
        assert play.sent == [(Verb.ASK, 0)]
        play(0, E.ASK_UNKNOWN)

    assert play.states[0] is S.UNDO_WAIT


def test_rule_4_insurance_is_asked_and_never_guessed() -> None:
    """Insurance that cannot be heard of is an exception, with its alarm."""
    play = Play((K.DEBIT, INSURANCE), (K.BOOK, BOOK_L3))(0, E.DO_UNKNOWN)
    for _ in range(INSURANCE.ask_times):
        play.timer(0)(0, E.ASK_UNKNOWN)

    assert play.payment.rest is Rest.EXCEPTION
    assert play.alarms == ["I15"]


def test_rule_5_L3_resends_then_cancels_then_undoes_the_debit() -> None:
    """Resend under the same key until the deadline, cancel by key, and only then reverse."""
    play = booking()(1, E.DO_UNKNOWN).timer(1)
    assert play.sent == [(Verb.DO, 1)]
    play(1, E.DO_UNKNOWN)(0, E.DEADLINE).timer(1)
    assert play.sent == [(Verb.UNDO, 1)]
    play(1, E.UNDO_DONE)

    assert play.sent == [(Verb.UNDO, 0)]


def test_rule_5_L2_asks_before_every_resend_and_counts_not_found_twice() -> None:
    """*Not found* counts the second time, the stated longest processing time later."""
    play = booking((K.DEBIT, BANK), (K.BOOK, BOOK_L2))(1, E.DO_UNKNOWN).timer(1)
    play(1, E.ASK_NOT_FOUND)
    assert play.payment.legs[1].wake_at == play.now + BOOK_L2.absent_wait_ms
    play.timer(1)(1, E.ASK_NOT_FOUND)

    assert play.sent == [(Verb.DO, 1)]


def test_rule_5_L1_has_one_attempt() -> None:
    """Neither query nor cancel: one attempt, then a person; the debit stands meanwhile."""
    play = booking((K.DEBIT, BANK), (K.BOOK, BOOK_L1))(1, E.DO_UNKNOWN)

    assert play.payment.rest is Rest.EXCEPTION
    assert play.states == [S.DONE, S.STUCK]


@pytest.mark.parametrize("answer", [E.UNDO_UNKNOWN, E.UNDO_NOT_FOUND])
def test_rule_6_I6_no_debit_is_undone_while_the_booking_is_open(answer: E) -> None:
    """As long as the cancel is not acknowledged, the debit stands."""
    play = booking()(1, E.DO_UNKNOWN)(0, E.DEADLINE)
    for _ in range(6):
        if play.states[1] is S.UNDO_WAIT:
            play.timer(1)
        play(1, answer)

        assert (Verb.UNDO, 0) not in play.sent
        assert play.states[0] is S.DONE


def test_rule_7_I5_late_approval_is_recorded_and_resurrects_nothing() -> None:
    """While the reversal is under way, and after it was acknowledged."""
    play = Play(*DEBIT_BOOK)(0, E.DO_UNKNOWN)(0, E.DO_DONE)
    assert play.payment.stage is Stage.BACKWARD
    assert play.payment.legs[0].took_effect
    play.timer(0)(0, E.UNDO_DONE)(0, E.DO_DONE)

    assert play.payment.rest is Rest.UNDONE


def test_rule_7_late_approval_after_25_is_answered_by_another_reversal() -> None:
    """The door out of UNDONE-unproven; the origin is told, and an alarm raised."""
    play = unproven()(0, E.DO_DONE)

    assert play.alarms == ["I5"]
    assert play.effect(EffectKind.TELL)
    assert play.timer(0).sent == [(Verb.UNDO, 0)]


def unproven() -> Play:
    play = Play(*DEBIT_BOOK)(0, E.DO_UNKNOWN)
    for _ in range(1 + len(BANK.not_found_waits_ms)):
        play.timer(0)(0, E.UNDO_NOT_FOUND)
    return play


def test_rule_5_an_origin_that_takes_it_back_does_not_shorten_the_wait() -> None:
    """Asked once and not found: the second time counts after the stated longest processing time
    only, whatever the origin wishes meanwhile."""
    play = Play((K.BOOK, BOOK_L2))(0, E.DO_UNKNOWN).timer(0)(0, E.ASK_NOT_FOUND)
    due = play.payment.legs[0].wake_at
    assert due == play.now + BOOK_L2.absent_wait_ms
    play(0, E.ORIGIN_REVERSES, after_ms=1_000)

    assert play.payment.legs[0].wake_at == due


def test_I5_a_second_no_without_proof_is_doubted_on_the_way_back_too() -> None:
    """The origin takes it back while the debit is out, and an A0 without MAC comes: an approval
    behind it is undone."""
    play = Play(*DEBIT_BOOK)(0, E.ORIGIN_REVERSES)(0, E.DO_AGAIN, doubtful=True)
    assert play.states[0] is S.UNPROVEN
    play(0, E.DO_DONE)

    assert play.states[0] is S.UNDO_WAIT


def test_rule_8_I3_reversals_repeat_with_back_off_and_never_stop() -> None:
    """A hundred silent reversals, and the hundred and first is planned."""
    play = Play(*DEBIT_BOOK)(0, E.DO_UNKNOWN)
    waits = []
    for _ in range(100):
        play.timer(0)(0, E.UNDO_UNKNOWN)
        waits.append(play.payment.legs[0].wake_at - play.now)

    assert play.states[0] is S.UNDO_WAIT
    assert waits[:5] == [1_000, 2_000, 5_000, 10_000, 10_000]


def ladder() -> Play:
    """The bank's debit is to be undone; the first reversal is out."""
    plan = ((K.DEBIT, BANK_LADDER), (K.BOOK, BOOK_L1))
    return booking(*plan)(1, E.DO_REFUSED)


def test_rule_8_the_ladder_is_stepped_down_on_a_definite_refused_only() -> None:
    """Unknown and 25 stay on their rung."""
    play = ladder()(0, E.UNDO_UNKNOWN).timer(0)(0, E.UNDO_NOT_FOUND)
    assert play.payment.legs[0].rung == 0
    play.timer(0)(0, E.UNDO_REFUSED)

    assert play.payment.legs[0].rung == 1


def test_rule_8_an_unknown_void_is_itself_reversed() -> None:
    """Reverse the void, and void again once that is acknowledged."""
    play = ladder()(0, E.UNDO_REFUSED).timer(0)(0, E.UNDO_UNKNOWN)
    assert play.payment.legs[0].unvoiding
    play.timer(0)(0, E.UNDO_DONE)

    assert not play.payment.legs[0].unvoiding
    assert play.timer(0).sent == [(Verb.UNDO, 0)]


@pytest.mark.parametrize("answer", [E.UNDO_UNKNOWN, E.UNDO_NOT_FOUND])
def test_rule_8_a_plain_refund_is_sent_once(answer: E) -> None:
    """Without a clear answer a person has it: neither an old approval of the debit nor a file, in
    which a refund may stand days later only, sends it again."""
    play = ladder()(0, E.UNDO_REFUSED).timer(0)(0, E.UNDO_REFUSED).timer(0)(0, answer)
    assert play.payment.rest is Rest.EXCEPTION
    play(0, E.DO_DONE)(0, E.STANDS)

    assert play.sent == []
    assert play.payment.rest is Rest.EXCEPTION
    assert play(0, E.ABSENT).payment.rest is Rest.UNDONE


def test_rule_8_a_refund_refused_without_proof_is_not_sent_again() -> None:
    """An A0 that carries no MAC may be anybody's word: the refund may have been paid (I1)."""
    play = ladder()(0, E.UNDO_REFUSED).timer(0)(0, E.UNDO_REFUSED).timer(0)
    play(0, E.UNDO_NOT_SENT, doubtful=True)

    assert play.payment.rest is Rest.EXCEPTION


def test_I1_no_refund_of_what_was_never_approved() -> None:
    """The debit is Unknown, its reversal and its void are refused: a bank that looks at nothing
    would pay a refund of money that it never took."""
    play = Play((K.DEBIT, BANK_LADDER), (K.BOOK, BOOK_L1))(0, E.DO_UNKNOWN).timer(0)
    play(0, E.UNDO_REFUSED).timer(0)(0, E.UNDO_REFUSED)

    assert play.payment.legs[0].rung == 1
    assert play.payment.rest is Rest.EXCEPTION


def test_I1_no_refund_after_a_void_without_an_answer() -> None:
    """Its reversal is acknowledged, and the next void refused: which of the three did what is for a
    person to find out."""
    play = ladder()(0, E.UNDO_REFUSED).timer(0)(0, E.UNDO_UNKNOWN).timer(0)(0, E.UNDO_DONE)
    play.timer(0)(0, E.UNDO_REFUSED)

    assert play.payment.legs[0].rung == 1
    assert play.payment.rest is Rest.EXCEPTION


def test_rule_9_the_reversal_of_a_void_waits_for_the_banks_timeout() -> None:
    """A 25 to an earlier void does not make it leave before its time when the batch closes."""
    play = ladder()(0, E.UNDO_REFUSED).timer(0)(0, E.UNDO_NOT_FOUND).timer(0)(0, E.UNDO_UNKNOWN)
    play(0, E.BATCH_CLOSING)
    assert play.sent == []
    assert play.payment.legs[0].wake_at == play.now + BANK_LADDER.timeout_ms


def test_rule_9_a_void_that_was_never_there_is_sent_anew() -> None:
    """It was lost, so its reversal finds no original: that is no reason to keep the money."""
    play = ladder()(0, E.UNDO_REFUSED).timer(0)(0, E.UNDO_UNKNOWN).timer(0)
    play(0, E.UNDO_NOT_FOUND).timer(0)(0, E.UNDO_NOT_FOUND)
    assert not play.payment.legs[0].unvoiding
    assert play.timer(0)(0, E.UNDO_DONE).payment.rest is Rest.UNDONE


def test_rule_9_the_first_reversal_waits_for_the_banks_timeout() -> None:
    """A broken answer after one second does not make the reversal leave before its time; nor does
    the closing of the batch."""
    play = Play(*DEBIT_BOOK)(0, E.DO_UNKNOWN, after_ms=1_000)
    assert play.payment.legs[0].wake_at == 1_000 + BANK.timeout_ms
    play(0, E.BATCH_CLOSING)

    assert play.sent == []


def test_rule_9_after_25_again_at_the_stated_waits_and_before_the_batch_closes() -> None:
    """+1 min, +10 min, then unproven; a closing batch makes the waiting one leave at once."""
    play = Play(*DEBIT_BOOK)(0, E.DO_UNKNOWN).timer(0)(0, E.UNDO_NOT_FOUND)
    assert play.payment.legs[0].wake_at == play.now + 60_000
    play(0, E.BATCH_CLOSING)
    assert play.sent == [(Verb.UNDO, 0)]
    play(0, E.UNDO_NOT_FOUND)
    assert play.payment.legs[0].wake_at == play.now + 600_000
    play.timer(0)(0, E.UNDO_NOT_FOUND)

    assert play.payment.rest is Rest.UNDONE
    assert play.states[0] is S.UNPROVEN


def test_rule_9_25_is_no_end_for_what_is_known_to_have_happened() -> None:
    """Approved before and *not found* now: a person looks at it."""
    play = booking()(1, E.DO_REFUSED)
    for _ in range(1 + len(BANK.not_found_waits_ms)):
        play(0, E.UNDO_NOT_FOUND)
        if play.states[0] is S.UNDO_WAIT:
            play.timer(0)

    assert play.payment.rest is Rest.EXCEPTION


@pytest.mark.parametrize("credit", [CREDIT_KEYED, CREDIT_PLAIN])
def test_rule_10_behind_the_pivot_only_forward(credit: object) -> None:
    """A refused credit is owed to the patient: an exception, never a re-booking. Proven absent,
    it is made again."""
    play = Play((K.UNBOOK, UNBOOK_L3), (K.CREDIT, credit))(0, E.DO_DONE)(1, E.DO_REFUSED)
    assert play.payment.rest is Rest.EXCEPTION
    assert play.payment.stage is Stage.FORWARD
    play(1, E.ABSENT)

    assert play.sent == [(Verb.DO, 1)]


def test_rule_10_a_refund_behind_its_pivot_is_not_taken_back() -> None:
    """The wish is alarmed, as a matter of who has the money (I1) and not of money that moves after
    its reversal; the refund goes on."""
    play = Play(*REFUND)(0, E.DO_DONE)(0, E.ORIGIN_REVERSES)

    assert play.alarms == ["I1"]
    assert play.payment.stage is Stage.FORWARD


def test_rule_11_a_bank_originated_payment_is_un_booked_when_the_bank_reverses() -> None:
    """Book only: the bank's 0400 leads to the cancel, and UNDONE only when it is acknowledged."""
    play = Play((K.BOOK, BOOK_L3))(0, E.DO_DONE)(0, E.ORIGIN_REVERSES)
    assert play.sent == [(Verb.UNDO, 0)]
    play(0, E.UNDO_DONE)

    assert play.payment.rest is Rest.UNDONE


def test_rule_11_service_used_is_an_exception() -> None:
    """The HIS refuses to un-book: nothing is given back by machine."""
    play = Play((K.BOOK, BOOK_L3))(0, E.DO_DONE)(0, E.ORIGIN_REVERSES)(0, E.UNDO_REFUSED)

    assert play.payment.rest is Rest.EXCEPTION


def test_rule_11_what_is_taken_back_while_a_person_has_it_never_goes_forward() -> None:
    """The wish is kept: evidence that the booking stands does not make the payment DONE, and
    evidence that it does not gives the money back."""
    stuck = Play((K.DEBIT, BANK), (K.BOOK, BOOK_L1))(0, E.DO_DONE)(1, E.DO_UNKNOWN)
    assert stuck.payment.rest is Rest.EXCEPTION
    stuck(0, E.ORIGIN_REVERSES)
    assert stuck.payment.stage is Stage.BACKWARD
    stuck(1, E.STANDS)
    assert stuck.payment.rest is Rest.EXCEPTION
    stuck(1, E.ABSENT)

    assert stuck.sent == [(Verb.UNDO, 0)]


def test_rule_12_I7_approved_is_said_at_done_only() -> None:
    """PENDING on the way, APPROVED at the end; a repeat changes nothing."""
    play = Play(*DEBIT_BOOK)
    told = [answer_of(play.payment).state]
    for leg in (0, 1):
        told.append(answer_of(play(leg, E.DO_DONE).payment).state)
    done = answer_of(play.payment)
    play(0, E.DO_DONE)(1, E.DO_UNKNOWN)

    assert told == [AnswerState.PENDING, AnswerState.PENDING, AnswerState.APPROVED]
    assert answer_of(play.payment) == done


def test_rule_12_the_patient_is_told_that_money_comes_back() -> None:
    """Words for going back, for returned, and for returned but unproven."""
    play = booking()(1, E.DO_REFUSED)
    assert answer_of(play.payment).text == GOING_BACK
    play(0, E.UNDO_DONE)
    assert answer_of(play.payment).state is AnswerState.RETURNED

    assert answer_of(unproven().payment).text == UNPROVEN


def test_rule_12_the_origin_is_told_at_every_change_of_phase() -> None:
    """Turning back, resting and leaving a rest all carry a TELL."""
    play = booking()(1, E.DO_REFUSED)
    assert play.effect(EffectKind.TELL)
    play(0, E.UNDO_DONE)

    assert play.effect(EffectKind.TELL)


def test_section_3_the_door_out_of_done_un_books_first() -> None:
    """A POS whose answer was lost reverses: cancel at the HIS, then the debit."""
    play = booking()(1, E.DO_DONE)(0, E.ORIGIN_REVERSES)
    assert play.sent == [(Verb.UNDO, 1)]
    play(1, E.UNDO_DONE)

    assert play.sent == [(Verb.UNDO, 0)]


def test_rule_17_A0_is_one_more_attempt_and_55_is_none() -> None:
    """A new attempt under a new STAN, as often as the channel says; a wrong PIN ends it."""
    play = Play(*DEBIT_BOOK)(0, E.DO_AGAIN, code="A0")
    assert play.sent == [(Verb.DO, 0)]
    assert play.payment.legs[0].attempt == 2
    assert play(0, E.DO_AGAIN, code="A0").payment.rest is Rest.DECLINED

    assert Play(*DEBIT_BOOK)(0, E.DO_REFUSED, code="55").payment.rest is Rest.DECLINED


def test_rule_19_what_is_open_when_the_batch_settles_is_an_exception() -> None:
    """Unknown, or on its way back; what is out is waited for, and the undo's late acknowledgement
    still settles it."""
    play = Play(*DEBIT_BOOK)(0, E.DO_UNKNOWN).timer(0)(0, E.BATCH_DEADLINE)
    assert play.states[0] is S.UNDOING
    play(0, E.UNDO_UNKNOWN)(0, E.BATCH_DEADLINE)
    assert play.payment.rest is Rest.EXCEPTION
    play(0, E.UNDO_DONE)

    assert play.payment.rest is Rest.UNDONE


def test_finish_that_is_not_heard_of_reverses_the_debit() -> None:
    """The card cannot be completed and the terminal is silent: same path as a decline (I3)."""
    play = booking((K.DEBIT, BANK), (K.FINISH, FINISH), (K.BOOK, BOOK_L3))(1, E.DO_UNKNOWN)
    for _ in range(FINISH.ask_times):
        play.timer(1)(1, E.ASK_UNKNOWN)

    assert play.sent == [(Verb.UNDO, 0)]


def test_I9_what_was_unknown_before_it_was_done_is_missed_in_the_file_all_the_same() -> None:
    """A debit found by asking, a booking done at the second try: answered as done, so a settlement
    file without them is an alarm. A card given up without a word had said nothing: none."""
    play = Play((K.DEBIT, INSURANCE), (K.BOOK, BOOK_L3))(0, E.DO_UNKNOWN).timer(0)(0, E.ASK_FOUND)
    play(1, E.DO_UNKNOWN).timer(1)(1, E.DO_DONE)
    assert play.payment.rest is Rest.DONE
    assert [play(leg, E.ABSENT).alarms for leg in (0, 1)] == [["I9"], ["I9"]]

    card = booking((K.DEBIT, BANK), (K.FINISH, FINISH), (K.BOOK, BOOK_L3))(1, E.DO_UNKNOWN)
    for _ in range(FINISH.ask_times):
        card.timer(1)(1, E.ASK_UNKNOWN)
    assert card(1, E.DO_DONE).alarms == []


def test_I1_a_ledger_leg_rides_in_the_commit_or_turns_back() -> None:
    """Posted with the state itself; refused by its constraint, nothing was posted."""
    plan = ((K.DEBIT, LEDGER), (K.BOOK, BOOK_L3))
    play = Play(*plan)
    assert play.effect(EffectKind.POST).leg == 0
    assert play.sent == [(Verb.DO, 1)]

    assert Play(*plan, ledger_ok=False).payment.rest is Rest.DECLINED


def test_I1_a_spent_top_up_is_not_taken_back() -> None:
    """The account no longer covers it: the debit stands, and a person decides."""
    play = Play((K.DEBIT, BANK), (K.BOOK, LEDGER))(0, E.DO_DONE)
    assert play.payment.rest is Rest.DONE
    play(0, E.ORIGIN_REVERSES, ledger_ok=False)

    assert play.payment.rest is Rest.EXCEPTION
    assert play.sent == []


def test_I3_a_taker_waits_the_banks_time_by_its_own_clock() -> None:
    """Rule 13: the sender's clock may have been minutes behind; its last chance to send was before
    the take-over, so the bank's time counts from there."""
    out = Play(*DEBIT_BOOK)
    debit = out.payment.legs[0]
    taken_at = debit.sent_at + 180_000
    ((unknown,), _) = recover(out.payment, Millis(taken_at))
    assert unknown.at >= taken_at + debit.policy.timeout_ms


def test_I4_after_a_restart_what_was_out_is_unknown_and_waits_go_on() -> None:
    """Recovery says nothing else, as often as it is asked."""
    out = Play(*DEBIT_BOOK)
    events, effects = recover(out.payment, Millis(9_000))
    assert [(x.kind, x.leg) for x in events] == [(E.DO_UNKNOWN, 0)]
    assert effects == ()
    waiting = out(0, E.DO_UNKNOWN)
    events, effects = recover(waiting.payment, Millis(9_000))

    assert events == ()
    assert [(x.kind, x.at) for x in effects] == [(EffectKind.WAKE, waiting.payment.legs[0].wake_at)]
