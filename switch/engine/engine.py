"""The engine: takes payments, drives them, answers for them (ports.Front and ports.LateReplies).

It holds the payments that are on their way on this node, and nothing that the journal does not.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from switch.engine.asked import request_digest
from switch.engine.bounds import Limits, Route
from switch.engine.driver import Driver
from switch.engine.finish import finish_line, observe_end
from switch.engine.late import LateAnswers
from switch.engine.planner import Plan, Planner
from switch.engine.questions import ask_balance, ask_hospital, plan_pin
from switch.engine.refusal import Refusal
from switch.engine.routes import Routes
from switch.engine.tombstone import TOMBSTONE, grave
from switch.model.answer import Answer, Answered, AnswerState
from switch.model.outcome import Millis, Reply
from switch.model.payment import Event, EventKind, Payment
from switch.observe import metrics
from switch.observe.logs import get_logger
from switch.payment import answer_of
from switch.ports import (
    CardSecrets,
    Counterparty,
    InquiryReply,
    Journal,
    JournalDown,
    PaymentRequest,
    PinPlan,
    PinRoute,
    Service,
    Timeline,
)

log = get_logger("engine")


class Engine:
    """See the module. Built by the composition root; the simulator builds the same one."""

    def __init__(
        self,
        *,
        journal: Journal,
        timeline: Timeline,
        services: Mapping[str, Service],
        hospitals: Mapping[str, str],
        routes: Sequence[Route],
        limits: Limits,
        profile_version: str = "",
    ) -> None:
        """``services`` by name (channels and HIS plugins); ``hospitals``: id → service name."""
        self.journal = journal
        self.timeline = timeline
        self._services = services
        self._hospitals = hospitals
        self._routes = Routes(routes)
        self._limits = limits
        self._planner = Planner(
            services=services,
            hospitals=hospitals,
            routes=self._routes,
            counterparty=self.counterparty,
            deadline_ms=limits.payment_deadline_ms,
            profile_version=profile_version,
        )
        self._finishers: dict[str, Counterparty] = {}
        self._live: dict[str, Driver] = {}
        self._watchers: dict[str, list[Callable[[Answer], None]]] = {}
        self._taking = True
        self._late = LateAnswers(journal, timeline, self.driver_of)
        self.batch_event = self._late.tell

    # ---- Front -----------------------------------------------------------------------------------

    async def start(self, request: PaymentRequest, secrets: CardSecrets | None) -> Answer:
        """Take a payment, or answer a repeat of it (I7)."""
        digest = request_digest(request)
        live = self._live.get(request.key)
        if live is not None:
            return await self._answer_same(live.payment, digest)
        try:
            plan = await self._plan(request, digest, secrets)
        except JournalDown:
            return _refused(request.key, "journal", "系统故障,请稍后再试")
        except Refusal as refusal:
            return await self._refuse_unless_known(request, digest, refusal)
        live = self._live.get(request.key)
        if live is not None:  # its repeat was planned first, while the original was being read
            return await self._answer_same(live.payment, digest)
        driver = Driver(self, plan.payment, secrets)
        self._live[request.key] = driver
        metrics.PAYMENTS_IN_FLIGHT.set(len(self._live))
        try:
            result = await driver.begin(plan.reserve)
        except JournalDown:
            self._drop(driver)
            return _refused(request.key, "journal", "系统故障,请稍后再试")
        if not result.committed:
            self._drop(driver)
            return await self._lost_race(request, digest, result.existing, result.reason)
        return await self._wait_for(driver)

    async def query(self, hospital: str, terminal: str, key: str) -> Answer:
        """The answer for ``key``; one never seen becomes a tombstone that bars the late request."""
        live = self._live.get(key)
        ours = live is not None and live.may_send()  # else another node may know more (I13)
        payment = live.payment if live is not None and ours else await self.journal.load(key)
        if payment is None:
            payment = await self._bury(hospital, terminal, key)
        if (payment.hospital, payment.terminal) != (hospital, terminal):
            return _refused(key, "foreign_key", "该支付键不属于本终端")
        return answer_of(payment)

    async def payments(
        self, hospital: str, terminal: str, prefix: str, limit: int
    ) -> Sequence[Answered]:
        """A terminal's payments whose keys begin with ``prefix``, as it was answered."""
        found = await self.journal.of_terminal(terminal, prefix, limit)
        return [
            Answered(business=payment.business, answer=answer_of(payment))
            for payment in found
            if payment.hospital == hospital
        ]

    async def inquire(self, hospital: str, function: str, body: Mapping[str, Any]) -> InquiryReply:
        """One bounded exchange with the hospital; no money moves."""
        service = self._services.get(self._hospitals.get(hospital, ""))
        return await ask_hospital(service, function, body)

    async def balance(
        self, hospital: str, business: str, secrets: CardSecrets, clearing: str = ""
    ) -> InquiryReply:
        """Balance of a bank card on the channel that the business would be paid by."""
        route = self.route(hospital, business, "bank_card", secrets.pan.reveal())
        return await ask_balance(route, self._services, secrets, clearing)

    def route(self, hospital: str, business: str, medium: str, pan: str) -> PinRoute | None:
        """Where a card's payment would go."""
        return self._routes.way_of(hospital, business, medium, pan)

    async def pin_plan(
        self, hospital: str, terminal: str, business: str, medium: str, pan: str
    ) -> PinPlan | None:
        """By whose key a pad makes a PIN block (see ports.Front)."""
        route = self.route(hospital, business, medium, pan)
        return await plan_pin(route, self._services, terminal)

    async def reverse(self, hospital: str, terminal: str, key: str, *, settled: bool) -> Answer:
        """The origin takes its payment back (see ports.Front)."""
        driver = self._live.get(key)
        if driver is None:
            payment = await self.journal.load(key) or await self._bury(hospital, terminal, key)
            if (payment.hospital, payment.terminal) != (hospital, terminal):
                return _refused(key, "foreign_key", "该支付键不属于本终端")
            if not payment.legs:
                return answer_of(payment)
            driver = await self.driver_of(key)
        elif (driver.payment.hospital, driver.payment.terminal) != (hospital, terminal):
            return _refused(key, "foreign_key", "该支付键不属于本终端")
        if driver is None:  # another node drives it: it finds the wish in the log (rule 13)
            await self._late.happened(key)
            return answer_of(payment)
        await self._take_back(driver)
        return await self._wait_for(driver) if settled else answer_of(driver.payment)

    async def _take_back(self, driver: Driver) -> None:
        """Returns when the wish is decided and committed; JournalDown when it takes too long."""
        decided: Deferred[None] = Deferred()
        at = Millis(self.timeline.now_ms() + self._limits.answer_wait_ms)
        late = JournalDown("the wish to take it back is not committed yet")
        timer = self.timeline.call_at(at, lambda: decided.errback(late))
        event = Event(kind=EventKind.ORIGIN_REVERSES, at=self.timeline.now_ms())

        def committed() -> None:
            timer.cancel()
            if not decided.called:
                decided.callback(None)

        driver.feed(event, committed)
        await decided

    def finish_by(self, name: str, finisher: Counterparty) -> None:
        """Cards are finished at the terminals of this front; said before anything is recovered."""
        self._finishers[name] = finisher

    def watch(self, terminal: str, tell: Callable[[Answer], None]) -> Callable[[], None]:
        """New answers for this terminal's payments go to ``tell`` until the returned call."""
        self._watchers.setdefault(terminal, []).append(tell)

        def unwatch() -> None:
            watchers = self._watchers.get(terminal, [])
            if tell in watchers:
                watchers.remove(tell)
            if not watchers:
                self._watchers.pop(terminal, None)

        return unwatch

    # ---- LateReplies -----------------------------------------------------------------------------

    def late(self, payment_key: str, leg_index: int, attempt: int, reply: Reply) -> None:
        """An authentic answer after its exchange had ended: an event like any other."""
        self._late.found(payment_key, leg_index, attempt, reply)

    async def take_late(self) -> None:
        """Feed recorded late answers of payments that are this node's to drive (rule 13)."""
        await self._late.take()

    async def driver_of(self, key: str) -> Driver | None:
        """The driver of ``key``, taken over if need be; None when another node drives it."""
        return self._live.get(key) or await self._claim(key)

    async def evidence(self, key: str, leg: int, *, stands: bool) -> bool:
        """A settlement file or two people say if a leg stands. False: say it to another node."""
        driver = await self.driver_of(key)
        kind = EventKind.STANDS if stands else EventKind.ABSENT
        if driver is not None:
            driver.feed(Event(kind=kind, at=self.timeline.now_ms(), leg=leg))
        return driver is not None

    # ---- House (for drivers) ---------------------------------------------------------------------

    def counterparty(self, name: str) -> Counterparty:
        """Who does a leg: a service, or the front that finishes cards."""
        return self._finishers[name] if name in self._finishers else self._services[name]

    def told(self, driver: Driver) -> None:
        """Tell whoever waits or watches; the end is told to the caller that waits."""
        answer = answer_of(driver.payment)
        if driver.payment.rest is not None:
            waiters, driver.waiters = driver.waiters, []
            for waiter in waiters:
                waiter.callback(driver.payment)
        for tell in tuple(self._watchers.get(driver.payment.terminal, ())):
            tell(answer)

    def finished(self, driver: Driver) -> None:
        """At rest with nothing open: one log line, and it leaves the memory."""
        if driver.moved:
            observe_end(driver, self.timeline.now_ms())
            log.info("payment", **finish_line(driver, self.timeline.now_ms()))
        self._drop(driver)

    def lost(self, driver: Driver) -> None:
        """Let go here; if it is still ours later (a defect, not a take-over), go on with it."""
        self._drop(driver)
        self._reclaim_later(driver.payment.key)

    def _reclaim_later(self, key: str) -> None:
        at = Millis(self.timeline.now_ms() + self._limits.recovery_every_ms)
        self.timeline.call_at(
            at,
            lambda: Deferred.fromCoroutine(self._reclaim(key)).addErrback(self._not_reclaimed, key),
        )

    async def _reclaim(self, key: str) -> None:
        live = self._live.get(key)
        if not self._taking or (live is not None and live.payment.version):
            return
        if live is not None:
            self._reclaim_later(key)  # its repeat is being taken here, which comes to nothing (I3)
            return
        driver = await self._claim(key)
        if driver is not None and driver.payment.rest is not None and not driver.open:
            self._drop(driver)  # another node brought it to its end

    def _not_reclaimed(self, failure: Failure, key: str) -> None:
        """No sweep would find it, the fence may be ours already: try again, whatever it was."""
        log.error("reclaim_failed", key=key, invariant="I15", error=str(failure.value))
        self._reclaim_later(key)

    # ---- recovery --------------------------------------------------------------------------------

    async def recover(self) -> int:
        """Adopt unfinished payments of this node's past and of nodes whose lease ran out."""
        payments = await self.journal.unfinished(self._limits.recovery_batch)
        for payment in payments:
            self._adopt(payment)
        if payments:
            log.warning("recovered", payments=len(payments))
        return len(payments)

    def live(self) -> tuple[Driver, ...]:
        """The payments on their way here (for the gauges and for a clean stop)."""
        return tuple(self._live.values())

    def close(self) -> None:
        """Take no more payments."""
        self._taking = False

    def _adopt(self, payment: Payment) -> Driver:
        driver = Driver(self, payment, None)
        self._live[payment.key] = driver
        driver.adopt()
        return driver

    async def _claim(self, key: str) -> Driver | None:
        payment = await self.journal.claim(key)
        if payment is None or not payment.legs:
            return None
        return self._live.get(key) or self._adopt(payment)

    # ---- taking a payment ------------------------------------------------------------------------

    async def _plan(
        self, request: PaymentRequest, digest: str, secrets: CardSecrets | None
    ) -> Plan:
        """See Planner; a switch that is full or closing takes nothing new (I11)."""
        if not self._taking or len(self._live) >= self._limits.payments_in_flight:
            raise Refusal("busy", "系统繁忙,请稍后再试")
        original = await self.journal.load(request.original) if request.original else None
        return self._planner.plan(request, digest, secrets, original, self.timeline.now_ms())

    async def _refuse_unless_known(
        self, request: PaymentRequest, digest: str, refusal: Refusal
    ) -> Answer:
        """A key that the journal knows is answered from it even when we take nothing new."""
        known = await self.journal.load(request.key)
        if known is not None:
            return await self._answer_same(known, digest)
        return _refused(request.key, refusal.reason, refusal.text)

    async def _lost_race(
        self, request: PaymentRequest, digest: str, existing: Payment | None, reason: str
    ) -> Answer:
        if reason == "exists" and existing is not None:
            return await self._answer_same(existing, digest)
        if reason == "reserve":
            return _refused(request.key, "reserve", "原交易已撤销、退货或余额不足")
        if reason == "bill":
            return _refused(request.key, "bill", "该账单正在支付或已支付")
        return _refused(request.key, reason, "系统故障,请稍后再试")

    async def _answer_same(self, payment: Payment, digest: str) -> Answer:
        """Same key, same content → same answer; other content → refused and alarmed (I8)."""
        if payment.request_hash == TOMBSTONE:
            return answer_of(payment)
        if payment.request_hash != digest:
            log.error("key_reused", key=payment.key, invariant="I8")
            return _refused(payment.key, "key_reused", "支付键重复且内容不一致")
        driver = self._live.get(payment.key)
        return answer_of(payment) if driver is None else await self._wait_for(driver)

    async def _wait_for(self, driver: Driver) -> Answer:
        """The end, or what is known when the wait is over."""
        if driver.payment.rest is not None:
            return answer_of(driver.payment)
        waiter: Deferred[Payment] = Deferred()
        driver.waiters.append(waiter)
        at = Millis(self.timeline.now_ms() + self._limits.answer_wait_ms)
        timer = self.timeline.call_at(at, lambda: _give_back(waiter, driver))
        payment = await waiter
        timer.cancel()
        if not payment.version and self._live.get(payment.key) is not driver:
            # Its birth was not committed. While that is in doubt (K19) it is PENDING.
            return _refused(payment.key, "journal", "系统故障,请稍后再试")
        return answer_of(payment)

    async def _bury(self, hospital: str, terminal: str, key: str) -> Payment:
        """Commit the tombstone of a key never seen."""
        write = grave(hospital, terminal, key, self.timeline.now_ms())
        result = await self.journal.commit(write)
        if not result.committed and result.existing is None:
            raise JournalDown("this node may not write any more")
        return result.existing or write.payment

    def _drop(self, driver: Driver) -> None:
        driver.stop()
        if self._live.get(driver.payment.key) is driver:
            del self._live[driver.payment.key]
        metrics.PAYMENTS_IN_FLIGHT.set(len(self._live))
        waiters, driver.waiters = driver.waiters, []
        for waiter in waiters:
            waiter.callback(driver.payment)


def _refused(key: str, reason: str, text: str) -> Answer:
    metrics.REFUSED_REQUESTS.labels(reason).inc()
    return Answer(key=key, state=AnswerState.REFUSED, code=reason, text=text)


def _give_back(waiter: "Deferred[Payment]", driver: Driver) -> None:
    if waiter in driver.waiters:
        driver.waiters.remove(waiter)
        waiter.callback(driver.payment)
