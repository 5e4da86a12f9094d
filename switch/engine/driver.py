"""Drives one payment: for every event, in this order: decide, commit, act (I4).

One driver is one payment on this node (I13). Events wait in a queue and are taken one by one, so a
decision is always made on what is committed.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

import msgspec
from twisted.internet.defer import Deferred

from switch import payment as machine
from switch.engine.card_memory import CardMemory
from switch.engine.events import die_before_commit, event_of
from switch.engine.originals import released, reserve_to_reverse
from switch.engine.preparing import give_back, prepare, rung_of
from switch.engine.unsent import OVERDUE, too_late
from switch.model.outcome import Millis, Outcome, Reply, Verb
from switch.model.payment import (
    Effect,
    EffectKind,
    Event,
    EventKind,
    LegKind,
    LegState,
    OnUnknown,
    Payment,
    Stage,
)
from switch.observe import metrics
from switch.observe.crash import crash_point
from switch.observe.logs import get_logger
from switch.ports import (
    Cancellable,
    CardSecrets,
    CommitResult,
    Counterparty,
    Journal,
    JournalDown,
    Order,
    Reserve,
    Timeline,
    Write,
)

log = get_logger("engine")

SETTLED = frozenset(
    {LegState.DONE, LegState.REFUSED, LegState.UNDONE, LegState.UNPROVEN, LegState.STUCK}
)
IDENTITY_TRIES_MAX = 3
"""A STAN that the database has seen is given up for the next; three in a row are a defect."""


class House(Protocol):
    """What a driver needs of the engine."""

    journal: Journal
    timeline: Timeline

    def counterparty(self, name: str) -> Counterparty: ...

    def told(self, driver: "Driver") -> None:
        """The answer may have changed."""
        ...

    def finished(self, driver: "Driver") -> None:
        """The payment rests and nothing of it is open here."""
        ...

    def lost(self, driver: "Driver") -> None:
        """Another node drives it now."""
        ...

    def late(self, payment_key: str, leg_index: int, attempt: int, reply: Reply) -> None:
        """An approval reached us for what another node drives (rule 13): record it for that one."""
        ...


class Driver:
    """One payment on its way. ``payment`` is always what the journal holds."""

    def __init__(self, house: House, payment: Payment, secrets: CardSecrets | None) -> None:
        self.payment = payment
        self.waiters: list[Deferred[Payment]] = []
        self.path: list[str] = []
        self.outside_ms = 0
        self.moved = False
        """Something was committed here: a driver of a payment at rest may find nothing to do."""
        self._house = house
        self._card = CardMemory(secrets)
        self._queue: deque[tuple[Event, Callable[[], None] | None]] = deque()
        self._running = False
        self._alive = True
        self._wakes: dict[int, Cancellable] = {}
        self._deadline: Cancellable | None = None
        self._exchanges = 0
        self._term = 0

    # ---- life ------------------------------------------------------------------------------------

    async def begin(self, reserve: Reserve | None = None) -> CommitResult:
        """Commit the birth, with its reserve, and act. Raises JournalDown: nothing happened."""
        crash_point("K1")
        at = self._house.timeline.now_ms()
        after, effects = machine.begin(self.payment, Event(kind=EventKind.TIMER, at=at))
        result = await self._commit({"kind": "born", "at": at}, after, effects, reserve)
        if result.committed:
            self._arm_deadline()
            self._start()
        return result

    def adopt(self) -> None:
        """Go on after a restart or a take-over: what was out is Unknown, waits are re-armed."""
        crash_point("K14")
        events, effects = machine.recover(self.payment, self._house.timeline.now_ms())
        self._arm_deadline()
        self._act(effects)
        for event in events:
            self.feed(event)

    def stop(self) -> None:
        """Let go of it: no event is decided and nothing is sent from here any more. An approval
        that still waited for its decision is handed on (I5)."""
        self._alive = False
        waiting, self._queue = self._queue, deque()
        for event, decided in waiting:
            if decided is None:  # a late answer stands in the journal's log already
                self._hand_on(event)
        self._card.drop()
        for call in (*self._wakes.values(), *((self._deadline,) if self._deadline else ())):
            call.cancel()
        self._wakes.clear()
        self._deadline = None

    @property
    def alive(self) -> bool:
        """It still drives: what it is fed is decided."""
        return self._alive

    @property
    def open(self) -> bool:
        """Something is still to come: an event, an answer, a timer."""
        return bool(self._running or self._queue or self._exchanges or self._wakes)

    def feed(self, event: Event, decided: Callable[[], None] | None = None) -> None:
        """Take an event; it is decided when those before it are committed. ``decided`` is called
        once its own decision is durable (or it was ignored)."""
        if not self._alive:
            return
        self._queue.append((event, decided))
        if self.payment.version:  # what comes before the birth is committed waits for it
            self._start()

    def _start(self) -> None:
        if self._queue and not self._running:
            self._running = True
            Deferred.fromCoroutine(self._run()).addErrback(self._broken)

    async def _run(self) -> None:
        while self._queue and self._alive:
            event, decided = self._queue.popleft()
            after, effects = machine.decide(self.payment, event)
            if after is self.payment:
                self._act(effects)
            else:
                die_before_commit(self.payment, event)
                reserve = reserve_to_reverse(self.payment, event)
                result = await self._commit(event, after, effects, reserve)
                if not result.committed and decided is None:
                    self._hand_on(event)
            if decided is not None and self._alive:
                decided()
        self._running = False
        if self._alive and self.payment.rest and not self.open:
            self._house.finished(self)

    def _hand_on(self, event: Event) -> None:
        """An approval that cannot be decided here any more is for whoever drives it now."""
        if event.kind is EventKind.DO_DONE:
            reply = Reply(outcome=Outcome.DONE, code=event.code, text=event.text, facts=event.facts)
            self._house.late(self.payment.key, event.leg, event.attempt, reply)

    def _broken(self, failure: object) -> None:
        """A defect of ours: leave the payment to recovery, loudly. The daemon lives on."""
        log.error("driver_failed", key=self.payment.key, invariant="I15", error=str(failure))
        self._house.lost(self)
        self.stop()

    # ---- commit ----------------------------------------------------------------------------------

    async def _commit(
        self,
        event: Event | dict[str, object],
        after: Payment,
        effects: tuple[Effect, ...],
        reserve: Reserve | None,
    ) -> CommitResult:
        """Prepare what is to be sent, commit it all, and only then act."""
        self._term = self._house.journal.lease_term()
        for left in reversed(range(IDENTITY_TRIES_MAX + 1)):
            prepared, acts, identities = await prepare(
                self._house, after, effects, self._card.secrets, sending=left > 0
            )
            write = Write(
                payment=prepared,
                event=msgspec.json.encode({"event": event, "effects": acts}),
                identities=identities,
                reserve=reserve,
                release=released(self.payment, prepared),
            )
            try:
                result = await self._house.journal.commit(write)
            except JournalDown:
                give_back(self._house.counterparty, prepared, acts)
                raise
            if not result.committed:
                give_back(self._house.counterparty, prepared, acts)
            if result.reason != "identity":
                break
            # Without the sending: no news of this payment is lost for a number.
            log.error("identity_seen_before", key=after.key, invariant="I8")
        if result.reason == "reserve" and self.payment.version:
            log.error("refunded_not_taken_back", key=after.key, invariant="I1")
            return result
        if not result.committed:
            self._lost(result)
            return result
        self._settle(self.payment, prepared)
        self.payment = prepared
        self.moved = True
        self._act(acts)
        return result

    def _lost(self, result: CommitResult) -> None:
        if self.payment.version:
            log.warning("driver_lost", key=self.payment.key, invariant="I13", why=result.reason)
            self._house.lost(self)
        self.stop()

    def _settle(self, before: Payment, after: Payment) -> None:
        """Free what settled legs held: logical terminals, and the card's secrets."""
        for i, (was, now) in enumerate(zip(before.legs, after.legs, strict=True)):
            if was.wake_at and not now.wake_at:
                self._disarm(i)
            if now.state in SETTLED and was.state is not now.state:
                self.path.append(f"{now.kind}:{now.state}")
                self._house.counterparty(now.counterparty).release(
                    Order(payment=after, leg_index=i, verb=Verb.DO)
                )
        self._card.settle(after.legs)

    # ---- act -------------------------------------------------------------------------------------

    def _act(self, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            if effect.kind is EffectKind.SEND:
                self._send(effect)
            elif effect.kind is EffectKind.WAKE:
                self._arm(effect)
            elif effect.kind is EffectKind.ALARM:
                log.error(
                    "alarm", key=self.payment.key, invariant=effect.invariant, text=effect.text
                )
            elif effect.kind is EffectKind.TELL:
                if self.payment.rest is not None:
                    crash_point("K9")
                self._house.told(self)

    def _send(self, effect: Effect) -> None:
        if not self.may_send():
            # I13: someone else may drive it by now, so nothing more is sent from here
            log.error("lease_gone", key=self.payment.key, invariant="I13")
            self._house.lost(self)
            self.stop()
            return
        if effect.verb is Verb.UNDO:
            crash_point("K11")
        self._exchanges += 1
        Deferred.fromCoroutine(self._exchange(effect)).addErrback(self._broken)

    def may_send(self) -> bool:
        """I13: ours to drive, by a lease that has not run out on the monotonic clock, nor did
        between the commit that led here and now (it may have been renewed since)."""
        journal = self._house.journal
        return self._alive and journal.lease_left_ms() > 0 and journal.lease_term() == self._term

    def _wanted(self, effect: Effect) -> bool:
        """Whether the machine still waits for this exchange: evidence that settled it meanwhile
        counts on nothing leaving any more."""
        leg = self.payment.legs[effect.leg]
        state, count = {
            Verb.DO: (LegState.DOING, leg.attempt),
            Verb.ASK: (LegState.ASKING, leg.asks),
            Verb.UNDO: (LegState.UNDOING, leg.undos),
        }[effect.verb]
        return leg.state is state and effect.attempt == count

    async def _exchange(self, effect: Effect) -> None:
        payment, i = self.payment, effect.leg
        leg = payment.legs[i]
        started = self._house.timeline.now_ms()
        undoes = effect.verb is Verb.DO and leg.policy.on_unknown is OnUnknown.UNDO
        written_at = started

        def may_send() -> bool:
            nonlocal written_at
            written_at = self._house.timeline.now_ms()
            late = undoes and written_at > leg.sent_at + machine.SENDING_MS
            return self.may_send() and self._wanted(effect) and not late

        order = Order(
            payment=payment,
            leg_index=i,
            verb=effect.verb,
            rung=rung_of(payment, effect),
            unvoiding=leg.unvoiding,
            may_send=may_send,
            issuer=self._card.issuer(leg.kind, effect.verb),
        )
        if too_late(payment, effect, started):
            reply = OVERDUE
        else:
            reply = await self._house.counterparty(leg.counterparty).exchange(
                order, self._card.secrets if effect.verb is Verb.DO else None
            )
            self._card.learn(reply)
        self._exchanges -= 1
        if not self._alive and effect.verb is Verb.DO and reply.outcome is Outcome.DONE:
            self._house.late(payment.key, i, effect.attempt, reply)
        now = self._house.timeline.now_ms()
        self.outside_ms += now - started
        unknown = undoes and reply.outcome is Outcome.UNKNOWN
        # Rule 9: whatever made it Unknown, its answer may come until the bank's time is over.
        at = max(now, Millis(written_at + leg.policy.timeout_ms)) if unknown else now
        metrics.LEG_SECONDS.labels(leg.kind, reply.outcome).observe((now - started) / 1000)
        self.feed(
            event_of(
                effect.verb,
                reply,
                i,
                effect.attempt,
                at,
                fresh_attempt=self._card.secrets is not None or leg.kind is LegKind.CREDIT,
            )
        )

    def _arm(self, effect: Effect) -> None:
        self._disarm(effect.leg)
        self._wakes[effect.leg] = self._house.timeline.call_at(
            Millis(effect.at), lambda: self._wake(effect.leg)
        )

    def _disarm(self, leg: int) -> None:
        call = self._wakes.pop(leg, None)
        if call is not None:
            call.cancel()

    def _wake(self, leg: int) -> None:
        self._wakes.pop(leg, None)
        self.feed(Event(kind=EventKind.TIMER, at=self._house.timeline.now_ms(), leg=leg))

    def _arm_deadline(self) -> None:
        if self.payment.deadline_at and self.payment.stage is Stage.FORWARD:
            self._deadline = self._house.timeline.call_at(
                Millis(self.payment.deadline_at), self._overdue
            )

    def _overdue(self) -> None:
        self._deadline = None
        self.feed(Event(kind=EventKind.DEADLINE, at=self._house.timeline.now_ms()))
