"""One hospital as the engine sees it: does hold, book and unbook legs, answers inquiries.

Never raises towards the engine: each call ends as NotSent, Done, Refused or Unknown (I9).
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from his_bridge.breaker import Breaker, BreakerState
from his_bridge.config import HospitalConfig, site_of, target_of
from his_bridge.errors import RequestError
from his_bridge.exchange import expected_of, reply_of, request_of
from his_bridge.http import Failed, HttpPool
from his_bridge.policy import FUNCTION_OF, capped, leg_policy
from his_bridge.profile import CancelKind, FunctionName, Profile
from his_bridge.reply import Mapped, ReplyMap, Verdict
from his_bridge.template import Probe, Template
from switch.model.operation import Operation
from switch.model.outcome import Millis, Outcome, Reply, Verb
from switch.model.payment import Leg, LegKind, LegPolicy
from switch.observe import metrics
from switch.observe.crash import crash_point
from switch.observe.logs import get_logger
from switch.ports import CardSecrets, Context, InquiryReply, Order, Prepared, Timeline

_log = get_logger("his")

NO_ANSWER = "医院系统未应答"
BUSY = "医院系统繁忙，请稍后再试"
_OWN_LIMITS = frozenset({"queue_full", "queue_wait", "stopped", "lease_gone"})
"""Not the HIS's failures: they say nothing about it."""


class Hospital:
    """Counterparty, inquirer and service of switch.ports."""

    def __init__(
        self, name: str, profile: Profile, config: HospitalConfig, context: Context
    ) -> None:
        """Raises ProfileError where configuration and profile do not fit."""
        self.name = name
        self._profile = profile
        self._level = config.level
        self._timeline: Timeline = context.timeline
        target, self._head = target_of(config, profile)
        self._pool = HttpPool(context.reactor, context.timeline, target)
        self._breaker = Breaker(config.breaker)
        site = site_of(config)
        self._templates = {key: Template(profile, key, site) for key in profile.functions}
        self._maps = {key: ReplyMap(profile, key) for key in profile.functions}
        self._policies = {
            (kind, operation): leg_policy(profile, kind, config.level, operation)
            for (kind, operation), function in FUNCTION_OF.items()
            if function in profile.functions
        }
        self._gauge = metrics.HIS_BREAKER_OPEN.labels(name)
        self._seconds: dict[tuple[FunctionName, str], Any] = {}

    # ---- counterparty --------------------------------------------------------------------------

    def policy(self, kind: LegKind, clearing: str, operation: Operation | None = None) -> LegPolicy:
        """Raises KeyError for a kind of leg that the profile has no function for."""
        return self._policies[kind, operation]

    def ready(self, clearing: str) -> bool:
        """False while the hospital cannot book."""
        return self._breaker.state is BreakerState.CLOSED

    def business_date(self) -> str:
        """The hospital's calendar day; a payment with a debit takes the bank's instead."""
        return self._timeline.wall_clock()[0]

    async def prepare(self, order: Order, secrets: CardSecrets | None) -> Prepared | None:
        """A new hold needs a hospital that answers; what is already running goes on."""
        if order.leg.kind is LegKind.HOLD and self._breaker.state is not BreakerState.CLOSED:
            return None
        return Prepared()

    async def exchange(self, order: Order, secrets: CardSecrets | None) -> Reply:
        """Make one exchange for one leg."""
        function, request = request_of(order)
        if function not in self._templates:  # a payment born under a richer profile
            return Reply(outcome=Outcome.NOT_SENT, code="unsupported", text="医院未提供此功能")
        books = order.verb is Verb.DO and order.leg.kind is LegKind.BOOK
        if books:
            crash_point("K6 booking committed, HIS not called")
        expected = expected_of(order, request)
        try:
            mapped = await self._call(
                function,
                request,
                expected,
                money=True,
                first_byte=_k7 if books else None,
                may_send=order.may_send,
            )
        except RequestError as error:
            _log.error("his_request_refused", function=function, code=error.code, text=error.text)
            return Reply(outcome=Outcome.NOT_SENT, code=error.code, text=error.text)
        if books:
            crash_point("K8 HIS reply read, not committed")
        if isinstance(mapped, Reply):
            return mapped
        return reply_of(order, mapped, self._cancel_of(order.leg))

    def release(self, order: Order) -> None:
        """A hospital lends nothing."""

    # ---- inquirer ------------------------------------------------------------------------------

    async def inquire(self, function: str, request: Struct) -> InquiryReply:
        """``patient_query`` → a patient, ``bill_query`` → a list of bills, as built-ins."""
        if function not in (FunctionName.PATIENT_QUERY, FunctionName.BILL_QUERY):
            return InquiryReply(ok=False, code="unsupported", text="不支持的查询")
        name = FunctionName(function)
        if name not in self._templates:
            return InquiryReply(ok=False, code="unsupported", text="医院未提供此查询")
        if self._breaker.state is not BreakerState.CLOSED:
            return InquiryReply(ok=False, code="his_down", text=NO_ANSWER)
        try:
            mapped = await self._call(name, request, {}, money=False)
        except RequestError as error:
            return InquiryReply(ok=False, code=error.code, text="输入内容无法受理")
        if isinstance(mapped, Reply):
            return InquiryReply(ok=False, code=mapped.code, text=mapped.text)
        if mapped.verdict is not Verdict.SUCCESS:
            return InquiryReply(ok=False, code=mapped.code, text=mapped.text or NO_ANSWER)
        return InquiryReply(ok=True, body=msgspec.to_builtins(mapped.body))

    # ---- service -------------------------------------------------------------------------------

    def start(self) -> None:
        """Connections open when they are needed."""
        self._gauge.set(0)

    async def stop(self) -> None:
        """Running calls end as Unknown, waiting ones as NotSent."""
        self._pool.stop()

    def health(self) -> Mapping[str, str]:
        state = self._breaker.state
        return {f"his:{self.name}": "up" if state is BreakerState.CLOSED else f"breaker {state}"}

    # ---- one call ------------------------------------------------------------------------------

    async def _call(
        self,
        function: FunctionName,
        request: Struct,
        expected: Mapping[str, str | int],
        *,
        money: bool,
        first_byte: Callable[[], object] | None = None,
        may_send: Callable[[], bool] | None = None,
    ) -> Mapped | Reply:
        """A mapped answer, or the Reply of a call that got none. Raises RequestError."""
        body = self._templates[function].render(request)
        began = self._timeline.now_ms()
        end = await self._pool.post(
            b"%b%d\r\n\r\n%b" % (self._head, len(body), body),
            timeout_ms=self._profile.functions[function].timeout_ms,
            money=money,
            first_byte=first_byte,
            may_send=may_send,
        )
        if isinstance(end, Failed):
            self._observe(function, began, end.reason)
            if end.reason not in _OWN_LIMITS:
                self._failed(end.reason)
            outcome = Outcome.UNKNOWN if end.sent else Outcome.NOT_SENT
            text = BUSY if end.reason in _OWN_LIMITS else NO_ANSWER
            return Reply(outcome=outcome, code=end.reason, text=text)
        mapped = self._maps[function].read(end.status, end.body, expected)
        self._observe(function, began, mapped.verdict)
        if mapped.readable:
            self._succeeded()
        else:
            _log.warning("his_reply_unreadable", hospital=self.name, code=mapped.code)
            self._failed(mapped.code)
        return mapped

    def _observe(self, function: FunctionName, began: Millis, outcome: str) -> None:
        child = self._seconds.get((function, outcome))
        if child is None:
            child = metrics.HIS_FUNCTION_SECONDS.labels(self.name, function, outcome)
            self._seconds[function, outcome] = child
        child.observe((self._timeline.now_ms() - began) / 1000)

    def _cancel_of(self, leg: Leg) -> CancelKind:
        certainty = self._profile.functions[FUNCTION_OF[leg.kind, leg.operation]].certainty
        return capped(certainty, self._level).cancel if certainty else CancelKind.NONE

    # ---- breaker -------------------------------------------------------------------------------

    def _failed(self, reason: str) -> None:
        probe_at = self._breaker.failed(self._timeline.now_ms())
        if probe_at is not None:
            self._gauge.set(1)
            _log.error("his_breaker_open", hospital=self.name, reason=reason)
            self._timeline.call_at(probe_at, self._probe)

    def _succeeded(self) -> None:
        if self._breaker.state is not BreakerState.CLOSED:
            self._gauge.set(0)
            _log.info("his_breaker_closed", hospital=self.name)
        self._breaker.succeeded()

    def _probe(self) -> None:
        if self._breaker.probing():
            Deferred.fromCoroutine(self._probe_once()).addErrback(self._probe_failed)

    async def _probe_once(self) -> None:
        await self._call(FunctionName.PROBE, Probe(), {}, money=False)

    def _probe_failed(self, failure: Failure) -> None:
        """Named boundary: a defect of ours must not leave the breaker half open for ever."""
        _log.error("his_probe_failed", hospital=self.name, exc_info=failure.value)
        self._failed("probe")


def _k7() -> None:
    """The HIS has worked and its answer is at the door, not yet read."""
    crash_point("K7 HIS called, no reply")
