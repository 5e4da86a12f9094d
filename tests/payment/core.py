"""The real machine, made finite: payments without times, counters capped, every decision kept.

Each decision is made once per (payment, event) and checked there for what can be seen without
knowing the world: I3, I5, I7, I15, rule 9, that every wait is armed, and that no row is reached
that the table calls unreachable.
"""

from typing import NamedTuple

from msgspec.structs import replace

from switch.model.answer import AnswerState
from switch.model.outcome import Millis, Verb
from switch.model.payment import (
    Effect,
    EffectKind,
    Event,
    Leg,
    LegState,
    Payment,
    Rest,
    Stage,
)
from switch.model.payment import EventKind as E
from switch.payment import answer_of, begin, decide, recover
from switch.payment.diagram import Change
from switch.payment.table import RULES
from tests.payment.world import OLD, Request

OUT = {
    LegState.DOING: E.DO_UNKNOWN,
    LegState.ASKING: E.ASK_UNKNOWN,
    LegState.UNDOING: E.UNDO_UNKNOWN,
}
WAITS = (LegState.DO_WAIT, LegState.ASK_WAIT, LegState.UNDO_WAIT)
OPEN = (*OUT, *WAITS)
_PAST_ASKING = (LegState.DONE, LegState.UNDOING, LegState.UNDO_WAIT, LegState.UNPROVEN)
_MAY_ASK = (LegState.DOING, LegState.ASKING, LegState.ASK_WAIT)
FINAL = (Rest.DONE, Rest.DECLINED, Rest.UNDONE)
_OF_PAYMENT = (E.DEADLINE, E.ORIGIN_REVERSES)
_OTHER_ATTEMPT = 99


class Broken(Exception):  # noqa: N818 - it is a finding, not an error of the walk
    """An invariant does not hold."""

    def __init__(self, invariant: str, text: str) -> None:
        super().__init__(f"{invariant}: {text}")
        self.invariant = invariant
        self.text = text
        self.label = ""
        """The step that broke it, where it is known."""


class Act(NamedTuple):
    """What the shell does for a leg after the commit (``post`` rides in the commit itself)."""

    leg: int
    request: Request
    post: bool = False


class Decision(NamedTuple):
    payment: int
    acts: tuple[Act, ...]


class Core:
    """Decisions of one configuration, by number of the (finite) payment."""

    def __init__(self, payment: Payment, undo_cap: int = 1) -> None:
        self._undo_cap = undo_cap
        self._numbers: dict[tuple[object, ...], int] = {}
        self._decided: dict[tuple[int, int, E, str, bool], Decision] = {}
        self._checked: set[int] = set()
        self.payments: list[Payment] = []
        self.changes: set[Change] = set()
        self._plan = payment

    def begin(self, *, ledger_ok: bool = True) -> Decision:
        after, effects = begin(self._plan, Event(kind=E.TIMER, ledger_ok=ledger_ok))
        _check_armed(self._plan, after, effects)
        return Decision(self._number(after), _acts(after, effects))

    def decide(
        self, number: int, leg: int, kind: E, age: str = "", ledger_ok: bool = True
    ) -> Decision:
        """Raises Broken when the decision itself breaks an invariant."""
        key = (number, leg, kind, age, ledger_ok)
        known = self._decided.get(key)
        if known is None:
            known = self._decided[key] = self._decide(*key)
        return known

    def _decide(self, number: int, leg: int, kind: E, age: str, ledger_ok: bool) -> Decision:
        before = self.payments[number]
        event = Event(
            kind=kind,
            leg=leg,
            attempt=_attempt(before.legs[leg], kind, age),
            code="51" if kind is E.DO_REFUSED else "",
            facts={"F38": "1"} if kind is E.DO_DONE else {},
            ledger_ok=ledger_ok,
        )
        try:
            after, effects = decide(before, event)
        except AssertionError as error:
            raise Broken(str(error).split(":")[0], "the machine's own assertion") from error
        _check_late(before.legs[leg], kind, age, after.legs[leg])
        if after is before:
            return Decision(number, ())
        _check_step(before, event, after, effects)
        _check_armed(before, after, effects)
        i = _last_begun(before) if kind in _OF_PAYMENT else leg
        if before.legs[i].state is not after.legs[i].state or before.phase != after.phase:
            was, now = before.legs[i].state, after.legs[i].state
            self.changes.add(Change(before.phase, was, kind, after.phase, now))
        return Decision(self._number(after), _acts(after, effects))

    def check(self, number: int) -> None:
        """What must hold of every payment the journal ever keeps. Raises Broken."""
        if number in self._checked:
            return
        self._checked.add(number)
        payment = self.payments[number]
        _check_payment(payment)
        _check_recovery(payment)

    def _number(self, payment: Payment) -> int:
        legs = tuple(self._finite(leg) for leg in payment.legs)
        asking = any(leg.state in _MAY_ASK for leg in legs)
        overdue = payment.overdue and (payment.stage is Stage.FORWARD or asking)
        payment = replace(payment, legs=legs, version=1, overdue=overdue)
        key = _key(payment)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.payments)
            self.payments.append(payment)
        return number

    def _finite(self, leg: Leg) -> Leg:
        """Counters are capped where they stop to matter, and cleared where no move reads them."""
        policy = leg.policy
        settled = leg.state in (LegState.REFUSED, LegState.UNDONE)
        past_asking = settled or leg.state in _PAST_ASKING
        return replace(
            leg,
            attempt=min(leg.attempt, policy.attempts),
            unknown_seen=leg.unknown_seen and not past_asking,  # then read for an alarm only
            asks=0 if past_asking else min(leg.asks, policy.ask_times),
            absents=0 if past_asking else min(leg.absents, policy.absent_times),
            undos=min(leg.undos, self._undo_cap),
            not_founds=0 if settled else min(leg.not_founds, len(policy.not_found_waits_ms) + 1),
            undo_unknown=leg.undo_unknown and len(policy.ladder) > 1 and not settled,
            took_effect=leg.took_effect and not settled,
            sent_at=0,
            wake_at=0,
        )


def _last_begun(payment: Payment) -> int:
    return max(i for i, leg in enumerate(payment.legs) if leg.state is not LegState.IDLE)


def _key(payment: Payment) -> tuple[object, ...]:
    legs = tuple(
        (
            x.state, x.attempt, x.unknown_seen, x.asks, x.absents, x.undos, x.not_founds, x.rung,
            x.unvoiding, x.undo_unknown, x.undo_refused, x.took_effect, x.code, bool(x.facts),
        )
        for x in payment.legs
    )  # fmt: skip
    whole = (payment.stage, payment.rest, payment.taken_back, payment.overdue)
    return (*whole, payment.code, payment.text, legs)


def _attempt(leg: Leg, kind: E, age: str) -> int:
    if not age:
        return 0
    if age == OLD:
        return _OTHER_ATTEMPT
    if kind.startswith("do_"):
        return leg.attempt
    return leg.asks if kind.startswith("ask_") else leg.undos


def _acts(payment: Payment, effects: tuple[Effect, ...]) -> tuple[Act, ...]:
    acts = []
    for effect in effects:
        leg = payment.legs[effect.leg]
        verb = str(effect.verb)
        rung = 0
        if effect.verb is Verb.UNDO and leg.policy.ladder:
            rung = leg.rung
            verb = "unvoid" if leg.unvoiding else str(leg.policy.ladder[rung].kind)
        if effect.kind in (EffectKind.SEND, EffectKind.POST):
            post = effect.kind is EffectKind.POST
            acts.append(Act(effect.leg, Request(verb, rung=rung), post))
    return tuple(acts)


# ---- what must hold of one decision --------------------------------------------------------------


def _check_step(before: Payment, event: Event, after: Payment, effects: tuple[Effect, ...]) -> None:
    if before.stage is Stage.BACKWARD and after.stage is Stage.FORWARD:
        raise Broken("I5", "a payment went forward again")
    if after.version != before.version + 1:
        raise Broken("I7", "a changed payment has a new version")
    kinds = {effect.kind for effect in effects}
    if after.phase != before.phase and EffectKind.TELL not in kinds:
        raise Broken("I7", f"{before.phase} → {after.phase}, and the origin is not told")
    raised = after.phase != before.phase and after.rest is Rest.EXCEPTION
    if raised and EffectKind.ALARM not in kinds:
        raise Broken("I15", "an exception without an alarm")
    _check_answer(before, event, after)
    _check_reversal_time(before, event, after)


def _check_late(was: Leg, kind: E, age: str, now: Leg) -> None:
    """I5: a late approval is answered by another undo if those before it were answered 25."""
    heard = kind in (E.STANDS, E.DO_DONE, E.ASK_FOUND) and age != OLD
    if heard and was.state is LegState.UNPROVEN and now.state is LegState.UNPROVEN:
        raise Broken("I5", "a late approval after 25 is not answered by another undo")


def _check_answer(before: Payment, event: Event, after: Payment) -> None:
    """DONE, DECLINED and UNDONE change only through the doors of §3."""
    old, new = answer_of(before), answer_of(after)
    if before.rest not in FINAL or replace(old, version=0) == replace(new, version=0):
        return
    of_done = before.rest is Rest.DONE and event.kind is E.ORIGIN_REVERSES
    of_unproven = before.rest is Rest.UNDONE and before.legs[event.leg].state is LegState.UNPROVEN
    if not of_done and not of_unproven:
        raise Broken("I7", f"the answer of {before.rest} changed on {event.kind}")


def _check_reversal_time(before: Payment, event: Event, after: Payment) -> None:
    """Rule 9: without an answer the first undo leaves no earlier than the answer could come.
    Every event of the walk but the timer is early: it happens at the time of sending."""
    for was, now in zip(before.legs, after.legs, strict=True):
        if was.took_effect or was.undos:
            continue
        if now.took_effect:
            continue
        planned = now.state is LegState.UNDO_WAIT and was.state is not LegState.UNDO_WAIT
        if planned and now.wake_at < now.sent_at + now.policy.timeout_ms:
            raise Broken("rule 9", "an undo is planned before the answer's time is over")
        if now.state is LegState.UNDOING and event.kind is not E.TIMER:
            raise Broken("rule 9", f"{event.kind} sends an undo before the answer's time is over")


def _check_armed(before: Payment, after: Payment, effects: tuple[Effect, ...]) -> None:
    """An exchange that is out was sent, a wait has its timer: nothing hangs (I3)."""
    for i, leg in enumerate(after.legs):
        if before.version and before.legs[i].state is leg.state and leg == before.legs[i]:
            continue
        mine = [x for x in effects if x.leg == i]
        sent = [x.verb for x in mine if x.kind is EffectKind.SEND]
        verb = {
            LegState.DOING: Verb.DO, LegState.ASKING: Verb.ASK, LegState.UNDOING: Verb.UNDO
        }.get(leg.state)  # fmt: skip
        entered = not before.version or before.legs[i].state is not leg.state
        if verb and entered and sent != [verb]:
            raise Broken("I3", f"leg {i} is {leg.state}, and nothing was sent for it")
        if leg.state not in WAITS or not (entered or leg.wake_at):
            continue
        if not any(x.kind is EffectKind.WAKE and x.at == leg.wake_at for x in mine):
            raise Broken("I3", f"leg {i} waits without a timer")


# ---- what must hold of every payment -------------------------------------------------------------


def _check_payment(payment: Payment) -> None:
    states = [leg.state for leg in payment.legs]
    for state in states:
        row = RULES[payment.phase, state, E.TIMER]
        if row.why.startswith("unreachable"):
            raise Broken("table", f"({payment.phase}, {state}) is called unreachable")
    approved = answer_of(payment).state is AnswerState.APPROVED
    if approved != (payment.rest is Rest.DONE):
        raise Broken("I7", "approved is said in DONE only")
    if payment.rest is None and not any(state in OPEN for state in states):
        raise Broken("I3", "not at rest, and nothing is under way")
    if payment.rest is Rest.EXCEPTION and LegState.STUCK not in states:
        raise Broken("I15", "an exception without a leg that is stuck")
    if payment.rest in FINAL and any(state in (*OPEN, LegState.STUCK) for state in states):
        raise Broken("I3", f"at rest as {payment.rest} with a leg under way")
    for leg in payment.legs:
        enough = len(leg.policy.not_found_waits_ms) + 1
        if leg.state is LegState.UNPROVEN and leg.undos and leg.not_founds < enough:
            raise Broken("I3", "an undo was given up that was never answered 25")


def _check_recovery(payment: Payment) -> None:
    """Crash (a) and (c): what was out is Unknown, as by its own time-out; waits are armed anew."""
    events, effects = recover(payment, Millis(0))
    out = [(i, OUT[leg.state]) for i, leg in enumerate(payment.legs) if leg.state in OUT]
    if [(x.leg, x.kind) for x in events] != out:
        raise Broken("I4", "after a restart every exchange that was out is Unknown")
    waits = [i for i, leg in enumerate(payment.legs) if leg.state in WAITS]
    if [x.leg for x in effects if x.kind is EffectKind.WAKE] != waits:
        raise Broken("I4", "after a restart every wait goes on")
