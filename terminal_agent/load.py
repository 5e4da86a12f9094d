"""Open-loop load over the real link: fresh keys, fresh bills, PIN blocks of the simulated pad.

The schedule is fixed: payment n is due at ``start + n / rate``, whether or not others are answered;
only ``in_flight`` holds it back, and then its wait counts into its latency. Keys of one tick share
one commit, answers of one tick another; nothing else is asked of the switch. Bills are named
``LOAD-<key>``; the HIS simulator makes a bill of any such name on the fly.
"""

import secrets
from collections.abc import Callable
from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from terminal_agent import protocol
from terminal_agent.app import Agent, today
from terminal_agent.journal import PaymentOrder
from terminal_agent.logs import get_logger

_log = get_logger("load")

TICK_MS = 10
DRAIN_MS = 60_000
"""How long the last answers are waited for."""
BILL_PREFIX = "LOAD-"
PATIENT = "LOAD"


class Plan(Struct, frozen=True, kw_only=True):
    """What to do. ``seconds`` 0: until stopped."""

    business: str
    rate: int
    seconds: int
    in_flight: int
    amount_fen: int


class Report(Struct, kw_only=True):
    """What came of it. Latencies in ms from the due time to the journaled answer."""

    offered: int = 0
    answered: int = 0
    """Approved, declined and returned: the switch came to an end."""
    approved: int = 0
    pending: int = 0
    refused: int = 0
    open: int = 0
    seconds_ms: int = 0
    answered_per_s: float = 0.0
    approved_per_s: float = 0.0
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    p99_ms: float = 0.0
    withheld: int = 0
    """Payments of the schedule that never found a free place in its time."""
    held_back_max: int = 0
    """Most payments that were due and had to wait for a free place."""
    approved_fen: int = 0


class Load:
    """Drives one agent. ``cards`` are ready to send, PIN block included."""

    def __init__(
        self,
        reactor: Any,
        plan: Plan,
        cards: list[protocol.Card],
        now_ms: Callable[[], int],
        done: Callable[[Report], None],
    ) -> None:
        self._reactor = reactor
        self._plan = plan
        self._cards = cards
        self._now_ms = now_ms
        self._done = done
        self._due_at: dict[str, int] = {}
        self._report = Report()
        self._latencies_ms: list[int] = []
        self._began_at = 0
        self._last_at = 0
        self._in_flight = 0
        self._run = secrets.token_hex(3).upper()
        self._loop = LoopingCall(self._tick)
        self._loop.clock = reactor
        self.agent: Agent

    def begin(self) -> None:
        """Start the schedule, once; called when the link is up."""
        if self._loop.running or self._began_at:
            return
        self._began_at = self._now_ms()
        self._loop.start(TICK_MS / 1000, now=False).addErrback(self._broken)

    def news(self, told: protocol.Told) -> bool:
        """Counts an answer of ours; True keeps it from the kiosk's flow."""
        due_at = self._due_at.get(told.key)
        if due_at is None:
            return False
        report = self._report
        if told.state == "pending":
            report.pending += 1
            return True
        del self._due_at[told.key]
        self._last_at = self._now_ms()
        if self._plan.seconds:
            # A run without an end prints no percentiles: nothing may grow for ever (I11).
            self._latencies_ms.append(self._last_at - due_at)
        if told.state in ("approved", "declined", "returned"):
            report.answered += 1
        else:
            report.refused += 1
        if told.state == "approved":
            report.approved += 1
            report.approved_fen += told.amount_fen
        return True

    # ---- the schedule ----------------------------------------------------------------------------

    def _tick(self) -> None:
        plan, report, now_ms = self._plan, self._report, self._now_ms()
        elapsed_ms = now_ms - self._began_at
        scheduled = elapsed_ms * plan.rate // 1000 + 1
        if plan.seconds:
            scheduled = min(scheduled, plan.seconds * plan.rate)
        due = scheduled - report.offered
        places = plan.in_flight - self._in_flight
        report.held_back_max = max(report.held_back_max, due - places)
        over = plan.seconds and elapsed_ms >= plan.seconds * 1000
        if over:
            report.withheld = due
        elif min(due, places) > 0:
            self._start(min(due, places))
        drained = not self._due_at or elapsed_ms >= plan.seconds * 1000 + DRAIN_MS
        all_offered = plan.seconds and report.offered == plan.seconds * plan.rate
        if (over or all_offered) and drained:
            self._loop.stop()
            self._done(self.report())

    def _start(self, count: int) -> None:
        plan, report = self._plan, self._report
        amount_fen = plan.amount_fen
        orders = [
            PaymentOrder(
                business=plan.business,
                amount_fen=amount_fen,
                patient=PATIENT,
                bill=f"{BILL_PREFIX}{self._run}-{report.offered + number}",
            )
            for number in range(count)
        ]
        keys = self.agent.journal.create(orders, today(), self._now_ms(), slip=False)
        for key, order in zip(keys, orders, strict=True):
            self._due_at[key] = self._began_at + report.offered * 1000 // plan.rate
            body = protocol.PaymentStart(
                business=order.business,
                amount_fen=amount_fen,
                patient=PATIENT,
                bill=order.bill,
                card=self._cards[report.offered % len(self._cards)],
            )
            report.offered += 1
            self._in_flight += 1
            paying = Deferred.fromCoroutine(self.agent.payments.pay(key, body))
            paying.addBoth(self._returned).addErrback(self._broken)

    def _returned(self, result: Any) -> Any:
        self._in_flight -= 1
        return result

    def _broken(self, failure: Failure) -> None:
        """Named boundary: a fault of the generator is told, and the run goes on."""
        _log.error("load_failed", exc_info=failure.value)

    def report(self) -> Report:
        """The figures so far."""
        report = self._report
        report.open = len(self._due_at)
        report.seconds_ms = max(1, self._last_at - self._began_at)
        report.answered_per_s = round(report.answered * 1000 / report.seconds_ms, 1)
        report.approved_per_s = round(report.approved * 1000 / report.seconds_ms, 1)
        ordered = sorted(self._latencies_ms) or [0]
        report.p50_ms, report.p95_ms, report.p99_ms = (
            float(ordered[min(len(ordered) - 1, len(ordered) * share // 100)])
            for share in (50, 95, 99)
        )
        return report
