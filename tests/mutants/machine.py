"""Mutants of the pure payment machine, all to be caught by the exhaustive walk."""

import pytest
from msgspec.structs import replace

from switch.model.answer import Answer, AnswerState
from switch.model.payment import EventKind as E
from switch.model.payment import LegState as S
from switch.model.payment import Payment, Rest, Stage
from switch.model.payment import RungKind as R
from switch.payment import answers, machine, moves, steps, undos
from switch.payment.steps import Step
from switch.payment.table import RULES, Move
from tests.mutants.registry import mutant
from tests.payment import core


def _row(
    patch: pytest.MonkeyPatch, phases: str, states: str, event: str, move: Move | None
) -> None:
    for phase in phases.split():
        for state in states.split():
            row = RULES[phase, state, event]
            patch.setitem(RULES, (phase, state, event), row._replace(move=move))


@mutant("late approval resurrects", "walk", "I5", "debit+book L3")
def late_approval_resurrects(patch: pytest.MonkeyPatch) -> None:
    """An approval that comes while the debit is being reversed makes the payment go on."""

    def resurrect(payment: Payment, i: int, event: moves.Event) -> Step:
        return moves.done(replace(payment, stage=Stage.FORWARD), i, event)

    _row(patch, "backward", "undo_wait undoing", E.DO_DONE, resurrect)


@mutant("late approval goes on booking while going back", "walk", "I6", "debit+book L3")
def late_approval_books(patch: pytest.MonkeyPatch) -> None:
    """The stage stays BACKWARD, and the late approval starts the booking all the same."""

    def book(payment: Payment, i: int, event: moves.Event) -> Step:
        payment, effects = moves.record_late(payment, i, event)
        if i + 1 < len(payment.legs) and payment.legs[i + 1].state is S.IDLE:
            payment, more = steps.send_do(payment, i + 1, event)
            return payment, (*effects, *more)
        return payment, effects

    _row(patch, "backward", "undo_wait", E.DO_DONE, book)


@mutant("HIS timeout reverses the debit", "walk", "I6", "debit+book L3")
def his_timeout_reverses(patch: pytest.MonkeyPatch) -> None:
    """Unknown is taken for failed: the booking counts as refused, and the money goes back."""

    def failed(payment: Payment, i: int, event: moves.Event) -> Step:
        if payment.legs[i].kind is moves.LegKind.BOOK:
            return steps.turn_back(steps.set_leg(payment, i, state=S.REFUSED), i)
        return moves.unknown(payment, i, event)

    _row(patch, "forward", "doing", E.DO_UNKNOWN, failed)


@mutant("give up after 3 reversals", "walk", "I3", "debit+book L3")
def give_up_after_three(patch: pytest.MonkeyPatch) -> None:
    """Three reversals without an answer, and the fourth is not sent."""

    def give_up(payment: Payment, i: int, event: moves.Event) -> Step:
        if payment.legs[i].undos >= 3:
            return steps.unwind(steps.set_leg(payment, i, state=S.UNPROVEN))
        return undos.undo_unknown(payment, i, event)

    _row(patch, "backward", "undoing", E.UNDO_UNKNOWN, give_up)


@mutant("drop on late", "walk", "I5", "debit+book L3")
def drop_on_late(patch: pytest.MonkeyPatch) -> None:
    """A late approval of a payment that rests as undone is thrown away."""
    _row(patch, "backward undone exception", "unproven", E.DO_DONE, None)


@mutant("25 is taken for success", "walk", "I1", "debit+book L3")
def late_after_25_is_proof(patch: pytest.MonkeyPatch) -> None:
    """The leg counts as undone, though the delayed original may still debit."""

    def believe(payment: Payment, i: int, event: moves.Event) -> Step:
        return steps.unwind(steps.set_leg(payment, i, state=S.UNDONE, wake_at=0))

    _row(patch, "backward", "undoing", E.UNDO_NOT_FOUND, believe)


@mutant("Refused after Unknown believed", "walk", "I6", "debit+book L3")
def refused_after_unknown(patch: pytest.MonkeyPatch) -> None:
    """Unknown is not sticky: the refusal of the second attempt is taken for both."""

    def believe(payment: Payment, i: int, event: moves.Event) -> Step:
        return steps.turn_back(steps.set_leg(payment, i, state=S.REFUSED, wake_at=0), i)

    _row(patch, "forward", "doing", E.DO_REFUSED, believe)


@mutant("NotSent after Unknown believed", "walk", "I6", "debit+book L3")
def not_sent_after_unknown(patch: pytest.MonkeyPatch) -> None:
    """The resend did not leave, so nothing is thought to have left: the attempt before it is
    forgotten."""

    def believe(payment: Payment, i: int, event: moves.Event) -> Step:
        return steps.turn_back(steps.set_leg(payment, i, state=S.REFUSED, wake_at=0), i)

    _row(patch, "forward", "doing", E.DO_NOT_SENT, believe)


@mutant("reversal before the bank's timeout", "walk", "rule 9", "debit+book L3")
def reversal_too_early(patch: pytest.MonkeyPatch) -> None:
    """The reversal leaves at once and overtakes its sale."""

    def at_once(payment: Payment, i: int, event: moves.Event) -> Step:
        payment = replace(payment, stage=Stage.BACKWARD)
        return steps.wait(payment, i, S.UNDO_WAIT, event.at)

    patch.setattr(moves, "settle_by_undo", at_once)


@mutant("refund repeated", "walk", "I1", "ladder debit+book L3")
def refund_repeated(patch: pytest.MonkeyPatch) -> None:
    """A plain refund without an answer is sent again, under a new number."""

    def again(payment: Payment, i: int, event: moves.Event) -> Step:
        leg = payment.legs[i]
        if leg.policy.ladder[leg.rung].kind is R.REFUND:
            return steps.wait(payment, i, S.UNDO_WAIT, event.at + 1)
        return undos.undo_unknown(payment, i, event)

    _row(patch, "backward", "undoing", E.UNDO_UNKNOWN, again)


@mutant("refund after an unknown reversal", "walk", "I1", "ladder debit+book L3")
def refund_after_unknown(patch: pytest.MonkeyPatch) -> None:
    """A reversal without an answer is forgotten once a repeat of it is refused."""

    def forget(payment: Payment, i: int, event: moves.Event) -> Step:
        return refused(steps.set_leg(payment, i, undo_unknown=False), i, event)

    refused = undos.undo_refused
    _row(patch, "backward", "undoing", E.UNDO_REFUSED, forget)


@mutant("refund of what was never taken", "walk", "I1", "ladder debit+book L3")
def refund_of_nothing(patch: pytest.MonkeyPatch) -> None:
    """A debit without an answer is refunded once its reversal and its void are refused."""
    patch.setattr(undos, "_may_refund", lambda leg: not leg.undo_unknown)


@mutant("undo order reversed", "walk", "I6", "debit+book L3")
def undo_order_reversed(patch: pytest.MonkeyPatch) -> None:
    """Money goes back before the HIS has un-booked."""

    def first_first(payment: Payment, *, ledger_ok: bool = True) -> Step:
        for i, leg in enumerate(payment.legs):
            if leg.state is S.DONE:
                return steps.send_undo(payment, i)
        return real(payment, ledger_ok=ledger_ok)

    real = steps.unwind
    patch.setattr(moves, "unwind", first_first)
    patch.setattr(steps, "unwind", first_first)


@mutant("refund re-books after its pivot", "walk", "I1", "un-book L3+keyed credit")
def refund_rebooks(patch: pytest.MonkeyPatch) -> None:
    """A refused credit turns the refund back: what is owed to the patient is dropped."""

    def back(payment: Payment, i: int) -> Step:
        return replace(payment, stage=Stage.BACKWARD, rest=Rest.DECLINED), ()

    patch.setattr(moves, "turn_back", back)
    patch.setattr(steps, "turn_back", back)


@mutant("25 steps down the ladder", "walk", "I1", "ladder debit+book L3")
def ladder_on_25(patch: pytest.MonkeyPatch) -> None:
    """*Not found* is read as *cannot be reversed any more*, and the next rung is taken."""
    _row(patch, "backward", "undoing", E.UNDO_NOT_FOUND, undos.undo_refused)


@mutant("Unknown steps down the ladder", "walk", "I1", "ladder debit+book L3")
def ladder_on_unknown(patch: pytest.MonkeyPatch) -> None:
    """A reversal without an answer is followed by a void, not by another reversal."""
    _row(patch, "backward", "undoing", E.UNDO_UNKNOWN, undos.undo_refused)


@mutant("not-found believed at once", "walk", "I6", "debit+book L2")
def not_found_believed(patch: pytest.MonkeyPatch) -> None:
    """One *not found* is enough, though the booking may still be on its way inside the HIS."""
    _row(patch, "forward", "asking", E.ASK_NOT_FOUND, moves.absent)


@mutant("approved is said before the end", "walk", "I7", "debit+book L3")
def approved_too_early(patch: pytest.MonkeyPatch) -> None:
    """The patient is told *approved* when the money is taken, before the hospital has booked."""
    real = answers.answer_of

    def too_early(payment: Payment) -> Answer:
        taken = any(leg.state is S.DONE for leg in payment.legs) and payment.rest is None
        answer = real(payment)
        return replace(answer, state=AnswerState.APPROVED) if taken else answer

    patch.setattr(core, "answer_of", too_early)


@mutant("an unvoid's answer is taken for the void's", "walk", "I1", "ladder debit+book L3")
def answers_of_undos_mixed(patch: pytest.MonkeyPatch) -> None:
    """Undo answers are not matched to the exchange they belong to."""
    patch.setattr(machine, "_of_another_attempt", lambda leg, event: False)


@mutant("recovery declines instead of reversing", "walk", "I4", "debit+book L3")
def recovery_forgets(patch: pytest.MonkeyPatch) -> None:
    """After a restart an exchange that was out counts as never sent."""
    patch.setitem(machine._RECOVERED, S.DOING, E.DO_NOT_SENT)


@mutant("book before the card has finished", "walk", "I1", "debit+finish+book")
def booked_before_finished(patch: pytest.MonkeyPatch) -> None:
    """The approval is enough: the hospital is told while the card is still being asked."""
    advance = steps.advance

    def hasty(payment: Payment, i: int, event: moves.Event) -> Step:
        payment, effects = advance(payment, i, event)
        if payment.legs[i].kind is not moves.LegKind.DEBIT or payment.rest is not None:
            return payment, effects
        payment, more = steps.start(payment, i + 2, event)
        return payment, (*effects, *more)

    patch.setattr(moves, "advance", hasty)


@mutant("a silent card counts as confirmed", "walk", "I1", "debit+finish+book")
def silence_confirms(patch: pytest.MonkeyPatch) -> None:
    """Nobody says how the card ended, so it is taken for finished: Unknown taken for done."""
    give_up = moves.give_up

    def believe(payment: Payment, i: int, event: moves.Event) -> Step:
        if payment.legs[i].kind is moves.LegKind.FINISH and payment.stage is Stage.FORWARD:
            return moves.done(payment, i, event)
        return give_up(payment, i, event)

    patch.setattr(moves, "give_up", believe)


@mutant("a lost finish is believed", "walk", "I1", "debit+finish+book")
def finish_unsent_is_done(patch: pytest.MonkeyPatch) -> None:
    """The terminal is away at the deadline, and the payment goes on without its card."""
    deadline = moves.deadline

    def go_on(payment: Payment, i: int, event: moves.Event) -> Step:
        if payment.legs[i].kind is moves.LegKind.FINISH:
            return moves.done(payment, i, event)
        return deadline(payment, i, event)

    _row(patch, "forward", "do_wait ask_wait", E.DEADLINE, go_on)
