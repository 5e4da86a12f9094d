"""What the rows of the table do: each move takes a payment, a leg and an event, and decides."""

from msgspec.structs import replace

from switch.model.outcome import Verb
from switch.model.payment import (
    Effect,
    EffectKind,
    Event,
    EventKind,
    GiveUp,
    Leg,
    LegKind,
    LegState,
    OnUnknown,
    Payment,
    Rest,
    RungKind,
    Stage,
)
from switch.payment.steps import (
    Step,
    advance,
    alarm,
    backoff,
    give_up,
    learn,
    out_of_exception,
    send_do,
    send_undo,
    set_leg,
    settle_by_undo,
    stick,
    turn_back,
    unwind,
    wait,
)

RETRY_NOT_SENT = frozenset({LegKind.BOOK, LegKind.FINISH, LegKind.CREDIT})
"""Rule 2: an unsent debit turns back at once, an unsent booking is tried until the deadline. A
credit is owed once a refund is behind its pivot; before, whoever asked for it asks again."""


# ---- moves of the do -----------------------------------------------------------------------------


def done(payment: Payment, i: int, event: Event) -> Step:
    """It happened: go on, or, when the origin has taken the payment back meanwhile, undo it."""
    payment = learn(payment, i, event, state=LegState.DONE, took_effect=True, wake_at=0)
    if payment.stage is Stage.BACKWARD:
        return unwind(payment)
    return advance(replace(payment, rest=None), i, event)


def refused(payment: Payment, i: int, event: Event) -> Step:
    """A definite no, unless an earlier attempt is Unknown: Unknown is sticky (§3)."""
    payment = learn(payment, i, event)
    if payment.legs[i].unknown_seen:
        return _still_unknown(payment, i, event)
    return turn_back(set_leg(payment, i, state=LegState.REFUSED, wake_at=0), i)


def doubted(payment: Payment, i: int, event: Event) -> Step:
    """A no that did not prove itself: nothing is sent for it, and it rests unproven, so that an
    approval behind it is undone (I5, I10). What could not be undone then is a person's now."""
    payment = learn(payment, i, event)
    leg = payment.legs[i]
    if leg.unknown_seen:
        return _still_unknown(payment, i, event)
    if not leg.policy.ladder:
        return stick(payment, i, "it was refused without proof, and it cannot be undone")
    return turn_back(set_leg(payment, i, state=LegState.UNPROVEN, wake_at=0), i)


def again(payment: Payment, i: int, event: Event) -> Step:
    """Refused for want of fresh keys (A0, 77): one more attempt under a new STAN (rule 17)."""
    leg = payment.legs[i]
    exhausted = leg.unknown_seen or leg.attempt >= leg.policy.attempts
    if exhausted or payment.stage is Stage.BACKWARD:
        return doubted(payment, i, event) if event.doubtful else refused(payment, i, event)
    return send_do(learn(payment, i, event), i, event)


def not_sent(payment: Payment, i: int, event: Event) -> Step:
    """No byte left: a debit turns back, a booking waits for its next try (rule 2)."""
    payment = learn(payment, i, event)
    leg = payment.legs[i]
    if leg.unknown_seen:
        return _still_unknown(payment, i, event)
    if _owed(payment, leg) and not payment.overdue and payment.stage is Stage.FORWARD:
        return wait(payment, i, LegState.DO_WAIT, event.at + backoff(leg, leg.attempt))
    return turn_back(set_leg(payment, i, state=LegState.REFUSED), i)


def unknown(payment: Payment, i: int, event: Event) -> Step:
    """Unknown is not failed: the leg's policy says how the truth is found."""
    payment = learn(payment, i, event, unknown_seen=True)
    leg = payment.legs[i]
    if leg.policy.on_unknown is OnUnknown.UNDO:
        return settle_by_undo(payment, i, event)
    if payment.stage is Stage.BACKWARD:
        return _settle_backward(payment, i, event)
    if leg.policy.on_unknown is OnUnknown.STOP:
        return stick(payment, i, "one attempt only, and its outcome is unknown")
    if leg.policy.on_unknown is OnUnknown.ASK:
        return _ask_later(payment, i, event, leg.policy.ask_wait_ms)
    if payment.overdue:
        return give_up(payment, i, event)
    return wait(payment, i, LegState.DO_WAIT, event.at + backoff(leg, leg.attempt))


def _still_unknown(payment: Payment, i: int, event: Event) -> Step:
    """A later Refused or NotSent settles nothing after an Unknown: ask, or give up."""
    leg = payment.legs[i]
    if payment.stage is Stage.BACKWARD:
        return _settle_backward(payment, i, event)
    if leg.policy.ask_times > leg.asks and not payment.overdue:
        return _ask_later(payment, i, event, leg.policy.ask_wait_ms)
    unsent_booking = event.kind is EventKind.DO_NOT_SENT and _owed(payment, leg)
    if unsent_booking and not payment.overdue:
        return wait(payment, i, LegState.DO_WAIT, event.at + backoff(leg, leg.attempt))
    return give_up(payment, i, event)


def _owed(payment: Payment, leg: Leg) -> bool:
    return leg.kind in RETRY_NOT_SENT and (leg.kind is not LegKind.CREDIT or payment.past_pivot)


def _settle_backward(payment: Payment, i: int, event: Event) -> Step:
    leg = payment.legs[i]
    if not leg.policy.ladder and leg.policy.ask_times > leg.asks:
        return _ask_later(payment, i, event, leg.policy.ask_wait_ms)
    return settle_by_undo(payment, i, event)


def wake(payment: Payment, i: int, event: Event) -> Step:
    """The wait is over: do, ask or undo (again)."""
    state = payment.legs[i].state
    if state is LegState.UNDO_WAIT:
        return send_undo(payment, i)
    if state is LegState.DO_WAIT:
        return send_do(payment, i, event)
    asks = payment.legs[i].asks + 1
    payment = set_leg(payment, i, state=LegState.ASKING, asks=asks, wake_at=0)
    return payment, (Effect(kind=EffectKind.SEND, leg=i, verb=Verb.ASK, attempt=asks),)


def closing(payment: Payment, i: int, event: Event) -> Step:
    """The batch closes soon: what waits after a 25 is said once more (rule 9). A first reversal
    keeps its time, and its timer is near."""
    return wake(payment, i, event) if payment.legs[i].not_founds else (payment, ())


# ---- moves of the ask ----------------------------------------------------------------------------


def _ask_later(payment: Payment, i: int, event: Event, wait_ms: int) -> Step:
    leg = payment.legs[i]
    if leg.asks >= leg.policy.ask_times or (payment.overdue and leg.asks > 0):
        return give_up(payment, i, event)
    # An origin that takes it back does not cut short the wait after a *not found* (rule 5).
    return wait(payment, i, LegState.ASK_WAIT, max(event.at + wait_ms, leg.wake_at))


def absent(payment: Payment, i: int, event: Event) -> Step:
    """It did not happen and cannot any more (tombstoned, or proven by evidence)."""
    payment = learn(payment, i, event, state=LegState.REFUSED, wake_at=0, unknown_seen=False)
    return turn_back(replace(payment, rest=None), i)


def ask_not_found(payment: Payment, i: int, event: Event) -> Step:
    """Not known *yet*: it counts only when said often enough, far enough apart (rule 5)."""
    leg = payment.legs[i]
    absents = leg.absents + 1
    payment = learn(payment, i, event, absents=absents)
    if absents < leg.policy.absent_times:
        return _ask_later(payment, i, event, leg.policy.absent_wait_ms)
    if leg.policy.resend_absent and payment.stage is Stage.FORWARD and not payment.overdue:
        return send_do(payment, i, event, absents=0, asks=0, unknown_seen=False)
    if leg.policy.give_up is GiveUp.UNDO:  # a keyed undo also bars what may still be under way
        return settle_by_undo(payment, i, event)
    return absent(payment, i, event)


def ask_failed(payment: Payment, i: int, event: Event) -> Step:
    """The query itself came to nothing. What was not found before must be said anew."""
    payment = learn(payment, i, event, absents=0)
    return _ask_later(payment, i, event, payment.legs[i].policy.ask_wait_ms)


# ---- going back, doors and evidence ---------------------------------------------------------


def record_late(payment: Payment, i: int, event: Event) -> Step:
    """I5: a late approval is recorded; the undo that is under way, or was acknowledged, answers
    it. What it adds to the receipt is not taken over once that is done (I7)."""
    if payment.legs[i].state is LegState.UNDONE:
        return set_leg(payment, i, took_effect=True), ()
    return learn(payment, i, event, took_effect=True), ()


def undo_again(payment: Payment, i: int, event: Event) -> Step:
    """A late approval, or evidence, after every undo had been answered 25: undo it now.

    This is the door out of UNDONE-unproven (§3)."""
    payment = learn(payment, i, event, took_effect=True, not_founds=0)
    if payment.rest is Rest.UNDONE:
        payment = replace(payment, rest=None)
    payment, effects = wait(payment, i, LegState.UNDO_WAIT, event.at)
    return payment, (*effects, alarm("I5", "it took effect after its reversal", i))


def proven_absent(payment: Payment, i: int, event: Event) -> Step:
    """Evidence that nothing stands: undone, and proven."""
    if event.kind is EventKind.UNDO_DONE and payment.legs[i].unvoiding:
        return payment, ()  # it was the void that was undone: the money still stands
    payment = learn(payment, i, event, state=LegState.UNDONE, wake_at=0)
    if payment.rest is Rest.UNDONE:
        return payment, ()
    return unwind(out_of_exception(payment))


def stuck_stands(payment: Payment, i: int, event: Event) -> Step:
    """A stuck leg took effect after all: go on, or undo it once more. Going back, only evidence
    says that it *still* stands: a late approval knows nothing of the undo that may have worked.
    After a refund not even evidence does: it is in the file of another day (rule 8)."""
    if payment.stage is Stage.FORWARD:
        return done(replace(payment, rest=None), i, event)
    leg = payment.legs[i]
    promised = payment.taken_back and leg.kind is LegKind.BOOK and leg.undo_refused
    ladder = leg.policy.ladder
    refunded = bool(ladder) and ladder[leg.rung].kind is RungKind.REFUND
    if not ladder or event.kind is not EventKind.STANDS or promised or refunded:
        # The origin was told that it cannot be taken back (rule 11): it is not tried once more.
        return record_late(payment, i, event)
    payment = learn(payment, i, event, took_effect=True, not_founds=0, unvoiding=False)
    return wait(out_of_exception(payment, but=i), i, LegState.UNDO_WAIT, event.at)


def stuck_absent(payment: Payment, i: int, event: Event) -> Step:
    """A stuck leg did not take effect, or no longer: a refund's credit is made again, anything
    else goes back."""
    if payment.stage is Stage.BACKWARD:
        return proven_absent(payment, i, event)
    if payment.past_pivot:
        payment = learn(payment, i, event, unknown_seen=False)
        return send_do(replace(payment, rest=None), i, event)
    return absent(payment, i, event)


def mark_overdue(payment: Payment, i: int, event: Event) -> Step:
    """The deadline passed while an exchange is out: its answer decides, no resend follows."""
    return replace(payment, overdue=True), ()


def deadline(payment: Payment, i: int, event: Event) -> Step:
    """The deadline passed while waiting: what was never Unknown is not done, the rest gives up."""
    payment = replace(payment, overdue=True)
    if payment.legs[i].unknown_seen:
        return give_up(payment, i, event)
    return turn_back(set_leg(payment, i, state=LegState.REFUSED, wake_at=0), i)


def batch_deadline(payment: Payment, i: int, event: Event) -> Step:
    """Rule 19: the batch settles now; what is open becomes an exception."""
    return stick(payment, i, "still open when its batch settled")


def origin_reverses_in_flight(payment: Payment, i: int, event: Event) -> Step:
    """The origin takes the payment back while an exchange is out: its answer comes first."""
    if payment.past_pivot:
        return payment, (alarm("I1", "a refund behind its pivot is not taken back", i),)
    return replace(payment, stage=Stage.BACKWARD, taken_back=True, code="origin"), ()


def origin_reverses_waiting(payment: Payment, i: int, event: Event) -> Step:
    """As in flight, but nothing is out: settle the leg now."""
    if payment.past_pivot:
        return payment, (alarm("I1", "a refund behind its pivot is not taken back", i),)
    payment = replace(payment, stage=Stage.BACKWARD, taken_back=True, code="origin")
    if payment.legs[i].unknown_seen:
        return _settle_backward(payment, i, event)
    return turn_back(set_leg(payment, i, state=LegState.REFUSED, wake_at=0), i)


def origin_reverses_done(payment: Payment, i: int, event: Event) -> Step:
    """The door out of DONE: un-book first, then the debit (§3)."""
    if payment.past_pivot or any(map(_given_for_good, payment.legs)):
        return payment, (alarm("I1", "a finished refund is not taken back", i),)
    payment = replace(payment, stage=Stage.BACKWARD, rest=None, taken_back=True, code="origin")
    return unwind(payment, ledger_ok=event.ledger_ok)


def origin_reverses_stuck(payment: Payment, i: int, event: Event) -> Step:
    """A person has it, and the origin wants it back: whatever evidence comes, it does not go
    forward any more (rule 11: an answered reversal is a promise)."""
    if payment.past_pivot:
        return payment, (alarm("I1", "a refund behind its pivot is not taken back", i),)
    if payment.stage is Stage.BACKWARD:
        return payment, ()
    return replace(payment, stage=Stage.BACKWARD, taken_back=True, code="origin"), ()


def _given_for_good(leg: Leg) -> bool:
    """A refund has no undo."""
    return leg.kind is LegKind.CREDIT and leg.state is LegState.DONE and not leg.policy.ladder


def contradiction(payment: Payment, i: int, event: Event) -> Step:
    """The counterparty contradicts what it said definitely before: recorded and alarmed. What was
    given up without an answer was never said: its late answer changes nothing (I5). What is done
    was said, however often it had been unknown before."""
    leg = payment.legs[i]
    given_up = leg.state is LegState.REFUSED and leg.unknown_seen
    if given_up and event.kind is not EventKind.STANDS:
        return payment, ()
    return payment, (alarm("I9", f"{leg.kind}: {event.kind} after {leg.state}", i),)
