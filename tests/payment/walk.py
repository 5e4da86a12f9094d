"""Exhaustive breadth-first walk: the real machine against every world.

A state is one payment as the journal keeps it, and per leg the counterparty's truth and the
messages on the way. From each state every step is taken: a request arrives, a reply arrives
(again), an exchange times out or its answer is wrong (both are Unknown), nothing left (NotSent), a
timer fires, a deadline, a closing batch, an origin that takes back, evidence, a crash.

Crashes. (a) Before the commit: nothing happened and the event is lost: the same state, and what is
out becomes Unknown by recovery. (c) After the act: likewise. Both equal the time-out of what is
out, which the walk takes anyway; ``core`` checks for every payment that ``recover`` says just
that. (b) After the commit and before the act: the effects are lost; taken here as a step.
"""

import time
from array import array
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from switch.model.payment import EventKind as E
from switch.model.payment import LegKind, LegState, Payment, Rest
from switch.payment.diagram import Change
from tests.payment import world
from tests.payment.core import FINAL, OUT, WAITS, Act, Broken, Core, Decision
from tests.payment.world import Cell, Counterparty

EVIDENCE = (*WAITS, LegState.ASKING, LegState.UNDOING, LegState.UNPROVEN, LegState.STUCK)
_MONEY = frozenset({LegKind.DEBIT, LegKind.BOOK, LegKind.UNBOOK, LegKind.CREDIT})
_AT_HIS = frozenset({LegKind.BOOK, LegKind.UNBOOK})


@dataclass(frozen=True)
class Case:
    """One configuration: a plan of legs and who stands behind each."""

    name: str
    payment: Payment
    parties: tuple[Counterparty, ...]


@dataclass
class Finding:
    """The shortest way to a broken invariant."""

    invariant: str
    text: str
    trace: list[str]

    def __str__(self) -> str:
        steps = "\n".join(f"  {n:2} {step}" for n, step in enumerate(self.trace, 1))
        return f"{self.invariant}: {self.text}\n{steps}"


@dataclass
class Result:
    """What a walk saw. ``finding`` is None when everything holds."""

    case: str
    states: int = 0
    steps: int = 0
    payments: int = 0
    seconds: float = 0.0
    rests: set[str] = field(default_factory=set)
    changes: set[Change] = field(default_factory=set)
    finding: Finding | None = None


State = tuple[int, tuple[Cell, ...]]
"""Number of the payment, and one cell per leg."""
Step = tuple[str, State, bool]
"""Label, where it leads, and whether fairness makes it happen some day."""


class Walk:
    """One walk over one case. ``undo_cap``: how far tries are counted apart (mutants need more)."""

    def __init__(self, case: Case, undo_cap: int = 1) -> None:
        self.case = case
        self.core = Core(case.payment, undo_cap)
        self._numbers: dict[State, int] = {}
        self._states: list[State] = []
        self._parents: array[int] = array("l")
        self._labels: list[str] = []
        self._fair_from: array[int] = array("l")
        self._fair_to: array[int] = array("l")

    def run(self) -> Result:
        result = Result(self.case.name)
        started = time.perf_counter()
        at, label = -1, "begin"
        try:
            for label, state in self._begin():
                self._add(state, -1, label)
            queue = deque(range(len(self._states)))
            while queue:
                at = queue.popleft()
                label = "(here)"
                for label, state, fair in self._steps(self._states[at]):
                    result.steps += 1
                    number = self._numbers.get(state)
                    if number is None:
                        number = self._add(state, at, label)
                        queue.append(number)
                    if fair and number != at:
                        self._fair_from.append(at)
                        self._fair_to.append(number)
            at = self._endless()
            if at >= 0:
                text = "no fair path from here comes to rest"
                result.finding = Finding("liveness", text, [*self._trace(at), self._show(at)])
        except Broken as broken:
            trace = [*self._trace(at), broken.label or label, self._show(at)]
            result.finding = Finding(broken.invariant, broken.text, trace)
        result.states = len(self._states)
        result.payments = len(self.core.payments)
        result.seconds = time.perf_counter() - started
        result.changes = self.core.changes
        result.rests = {str(p.rest) for p in self.core.payments if p.rest}
        return result

    def _add(self, state: State, parent: int, label: str) -> int:
        number = self._numbers[state] = len(self._states)
        self._states.append(state)
        self._parents.append(parent)
        self._labels.append(label)
        try:
            self.core.check(state[0])
            self._check(state)
        except Broken as broken:
            broken.label = label
            raise
        return number

    # ---- steps -----------------------------------------------------------------------------------

    def _begin(self) -> Iterator[tuple[str, State]]:
        cells = tuple(Cell() for _ in self.case.parties)
        first = self.core.begin()
        for state in self._after(first, cells):
            yield "begin", state
        if any(act.post for act in first.acts):
            for state in self._after(self.core.begin(ledger_ok=False), cells):
                yield "begin, the ledger refuses", state

    def _steps(self, state: State) -> Iterator[Step]:
        number, cells = state
        for i, cell in enumerate(cells):
            for label, after in world.deliveries(self.case.parties[i], cell):
                pruned = self._pruned(number, i, after)
                yield f"{i}: {label}", (number, _with(cells, i, pruned)), True
        for i, leg in enumerate(self.core.payments[number].legs):
            yield from self._leg_steps(state, i, leg.state)
        if self.core.payments[number].rest is None:
            yield from self._events(state, 0, E.DEADLINE, fair=True)
        yield from self._events(state, 0, E.ORIGIN_REVERSES)

    def _leg_steps(self, state: State, i: int, at: LegState) -> Iterator[Step]:
        number, cells = state
        cell = cells[i]
        for reply in cell.replies:
            yield from self._events(state, i, reply.kind, reply.age, fair=True)
        if at in OUT:
            yield from self._events(state, i, OUT[at], world.CURRENT, fair=True)
        if at is LegState.DOING:
            unsent = world.unsent(cell)
            if unsent is not None:
                there = (number, _with(cells, i, unsent))
                yield from self._events(there, i, E.DO_NOT_SENT, world.CURRENT)
        if at is LegState.UNDOING:
            leg = self.core.payments[number].legs[i]
            # The same may be on its way already; of one rung alone that is not kept apart.
            earlier = leg.unvoiding or leg.undo_unknown or len(leg.policy.ladder) == 1
            unsent = cell if earlier else world.undo_unsent(cell)
            if unsent is not None:
                there = (number, _with(cells, i, unsent))
                yield from self._events(there, i, E.UNDO_NOT_SENT, world.CURRENT)
        if at in WAITS:
            there = state
            leg = self.core.payments[number].legs[i]
            if leg.absents and leg.policy.absent_wait_ms and at is LegState.ASK_WAIT:
                there = (number, _with(cells, i, world.dead_line(cell)))
            yield from self._events(there, i, E.TIMER, fair=True)
        if at is LegState.UNDO_WAIT:
            yield from self._events(state, i, E.BATCH_CLOSING)
        if at in (*OUT, *WAITS):
            yield from self._events(state, i, E.BATCH_DEADLINE)
        if at in EVIDENCE:
            settled = (number, _with(cells, i, world.dead_line(cell)))
            stands = cell.truth in (world.STANDS, world.TWICE)
            yield from self._events(settled, i, E.STANDS if stands else E.ABSENT)

    def _events(
        self, state: State, i: int, kind: E, age: str = "", *, fair: bool = False
    ) -> Iterator[Step]:
        number, cells = state
        label = f"{i}: {kind}"
        try:
            decision = self.core.decide(number, i, kind, age)
            for after in self._after(decision, cells):
                yield label, after, fair
            if any(self._may_refuse(act) for act in decision.acts):
                refused = self.core.decide(number, i, kind, age, ledger_ok=False)
                _check_refused(decision, refused)
                for after in self._after(refused, cells):
                    yield label + ", the ledger refuses", after, fair
            if any(not act.post for act in decision.acts):
                yield label + ", crash before the act", self._crashed(decision, state), False
        except Broken as broken:
            broken.label = label
            raise

    def _may_refuse(self, act: Act) -> bool:
        """A posting that takes from the account may find too little there; giving back may not."""
        taking_back = self.case.payment.legs[act.leg].kind is LegKind.BOOK
        return act.post and (act.request.verb == "do" or taking_back)

    def _after(self, decision: Decision, cells: tuple[Cell, ...]) -> Iterator[State]:
        done = list(cells)
        for act in decision.acts:
            self._act(act, done)
        yield decision.payment, self._all_pruned(decision.payment, done)

    def _crashed(self, decision: Decision, state: State) -> State:
        """Crash (b): committed, and nothing of it was done; then recovery as it is in the shell."""
        _, cells = state
        done = list(cells)
        number, acts = decision.payment, decision.acts
        for act in acts:
            if act.post:
                done[act.leg] = _posted(act)
        out = [(i, leg.state) for i, leg in enumerate(self.core.payments[number].legs)]
        for i, at in out:
            if at in OUT:
                number, acts = self.core.decide(number, i, OUT[at], world.CURRENT)
                for act in acts:
                    self._act(act, done)
        return number, self._all_pruned(number, done)

    def _act(self, act: Act, cells: list[Cell]) -> None:
        self._check_order(act, cells)
        i = act.leg
        party = self.case.parties[i]
        cells[i] = _posted(act) if act.post else world.send(party, cells[i], act.request)

    def _pruned(self, number: int, i: int, cell: Cell) -> Cell:
        at = self.core.payments[number].legs[i].state
        return world.prune(self.case.parties[i], cell, at)

    def _all_pruned(self, number: int, cells: list[Cell]) -> tuple[Cell, ...]:
        return tuple(self._pruned(number, i, cell) for i, cell in enumerate(cells))

    # ---- invariants of payment and world ---------------------------------------------------------

    def _check_order(self, act: Act, cells: list[Cell]) -> None:
        """I6: no debit is undone while a later leg is, or may still come to be, at the HIS. I1: the
        HIS is told of a chip card's payment only when the card has truly confirmed."""
        legs = self.case.payment.legs
        if act.request.verb == "do" and legs[act.leg].kind in _AT_HIS:
            for i in range(act.leg):
                if legs[i].kind is LegKind.FINISH and not _stands(cells[i]):
                    raise Broken(
                        "I1", f"leg {act.leg} is done before the card of leg {i} confirmed"
                    )
        if act.request.verb in ("do", "ask") or legs[act.leg].kind is not LegKind.DEBIT:
            return
        for i in range(act.leg + 1, len(legs)):
            if legs[i].kind in _AT_HIS and (_stands(cells[i]) or _may_come(cells[i])):
                raise Broken("I6", f"leg {act.leg} is undone while leg {i} stands or may come")

    def _check(self, state: State) -> None:
        number, cells = state
        payment = self.core.payments[number]
        for leg, cell in zip(payment.legs, cells, strict=True):
            if cell.truth == world.TWICE and leg.kind in _MONEY:
                raise Broken("I2", f"{leg.kind} took effect twice")
            if cell.truth == world.OVER:
                raise Broken("I1", f"{leg.kind} was given back twice")
        if payment.rest is Rest.DONE:
            for leg, cell in zip(payment.legs, cells, strict=True):
                if leg.kind in _MONEY and not _stands(cell):
                    raise Broken("I1", f"DONE, and {leg.kind} does not stand")
                if any(r.verb not in ("do", "ask") for r in cell.requests):
                    raise Broken("I1", f"DONE, and an undo of {leg.kind} is on its way")
        elif payment.rest in FINAL:
            for leg, cell in zip(payment.legs, cells, strict=True):
                proven = leg.state is not LegState.UNPROVEN
                if proven and leg.kind in _MONEY and (_stands(cell) or _may_come(cell)):
                    raise Broken("I1", f"{payment.rest}, and {leg.kind} stands or may come")
                if not proven and leg.kind in _AT_HIS:
                    raise Broken("I6", f"{leg.kind} is unproven: the HIS must be definite")

    # ---- liveness and traces ---------------------------------------------------------------------

    def _endless(self) -> int:
        """The first state from which no fair path comes to a rest; -1 when there is none."""
        before: list[list[int]] = [[] for _ in self._states]
        for source, target in zip(self._fair_from, self._fair_to, strict=True):
            before[target].append(source)
        payments = self.core.payments
        todo = [n for n, state in enumerate(self._states) if payments[state[0]].rest]
        ends = bytearray(len(self._states))
        for n in todo:
            ends[n] = 1
        while todo:
            for source in before[todo.pop()]:
                if not ends[source]:
                    ends[source] = 1
                    todo.append(source)
        return ends.find(0)

    def _trace(self, at: int) -> list[str]:
        labels = []
        while at >= 0:
            labels.append(self._labels[at])
            at = self._parents[at]
        return labels[::-1]

    def _show(self, at: int) -> str:
        if at < 0:
            return "at the very start"
        number, cells = self._states[at]
        payment = self.core.payments[number]
        legs = [
            f"{leg.kind} {leg.state} (truly {cell.truth})"
            for leg, cell in zip(payment.legs, cells, strict=True)
        ]
        return f"from {payment.phase}: " + ", ".join(legs)


def _check_refused(decision: Decision, refused: Decision) -> None:
    if refused == decision:
        raise Broken("I1", "posted although the ledger refuses")


def _with(cells: tuple[Cell, ...], i: int, cell: Cell) -> tuple[Cell, ...]:
    return (*cells[:i], cell, *cells[i + 1 :])


def _posted(act: Act) -> Cell:
    return Cell(truth=world.STANDS if act.request.verb == "do" else world.GONE)


def _stands(cell: Cell) -> bool:
    return cell.truth in (world.STANDS, world.TWICE)


def _may_come(cell: Cell) -> bool:
    return cell.truth == world.NONE and any(r.verb == "do" for r in cell.requests)
