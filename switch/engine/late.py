"""Answers that came after their exchange had ended: recorded first, then events like any other.

The record is unfenced (rule 13 of docs/payment-law.md): an answer may reach a node that no longer
drives the payment; the one that does takes it up from the journal.
"""

from collections.abc import Awaitable, Callable
from functools import partial

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from switch.engine.driver import Driver
from switch.engine.events import event_of
from switch.model.outcome import Reply, Verb
from switch.model.payment import Event, EventKind
from switch.observe import metrics
from switch.observe.logs import get_logger
from switch.ports import Journal, JournalDown, Timeline

log = get_logger("engine")


class Late(Struct, frozen=True, kw_only=True):
    """A late answer as the journal's exchange log keeps it; never with the issuer's data, which
    would be of no use: the card it was for is gone (I12)."""

    leg: int = 0
    attempt: int = 0
    reply: Reply | None = None
    """None: no answer, but a happening that was told to a node which does not drive it."""
    happened: EventKind = EventKind.ORIGIN_REVERSES
    """Without a reply: what. The origin wishes to take the payment back; its batch closes."""


class LateAnswers:
    """Finds, records and feeds them."""

    def __init__(
        self,
        journal: Journal,
        timeline: Timeline,
        driver_of: Callable[[str], Awaitable[Driver | None]],
    ) -> None:
        self._journal = journal
        self._timeline = timeline
        self._driver_of = driver_of
        self._fed: dict[int, Driver | None] = {}
        """Who was fed it; None = committed, and being marked so. One whose driver let go before
        its commit is fed to the next."""

    def found(self, key: str, leg: int, attempt: int, reply: Reply) -> None:
        """A counterparty found one: record it, then feed what is ours."""
        log.warning("late_reply", key=key, leg=leg, code=reply.code, invariant="I5")
        late = Late(leg=leg, attempt=attempt, reply=replace(reply, issuer=None))
        Deferred.fromCoroutine(self._record(key, late)).addErrback(_later)

    async def happened(
        self, key: str, kind: EventKind = EventKind.ORIGIN_REVERSES, leg: int = 0
    ) -> None:
        """For what another node drives: durable when this returns."""
        await self._journal.record_late(key, msgspec.json.encode(Late(leg=leg, happened=kind)))

    async def tell(self, key: str, leg: int, kind: EventKind) -> None:
        """A happening of a leg, to whoever drives it: its batch closes soon, or settles now (rule
        19). Raises JournalDown."""
        driver = await self._driver_of(key)
        if driver is None:
            await self.happened(key, kind, leg)
        else:
            driver.feed(Event(kind=kind, at=self._timeline.now_ms(), leg=leg))

    async def _record(self, key: str, late: Late) -> None:
        await self._journal.record_late(key, msgspec.json.encode(late))
        await self.take()

    async def take(self) -> None:
        """Feed what is recorded for payments that are this node's to drive."""
        for number, key, what in await self._journal.late_open():
            if self._is_fed(number):
                continue
            driver = await self._driver_of(key)
            if driver is None or self._is_fed(number):
                continue
            self._fed[number] = driver
            late = msgspec.json.decode(what, type=Late)
            driver.feed(self._event(late, driver), partial(self._decided, number))

    def _event(self, late: Late, driver: Driver) -> Event:
        now = self._timeline.now_ms()
        if late.reply is None:
            return Event(kind=late.happened, at=now, leg=late.leg)
        metrics.LATE_REPLIES.labels(driver.payment.legs[late.leg].counterparty).inc()
        return event_of(Verb.DO, late.reply, late.leg, late.attempt, now, fresh_attempt=False)

    def _is_fed(self, number: int) -> bool:
        if number not in self._fed:
            return False
        driver = self._fed[number]
        return driver is None or driver.alive

    def _decided(self, number: int) -> None:
        self._fed[number] = None
        Deferred.fromCoroutine(self._handled(number)).addErrback(_later)

    async def _handled(self, number: int) -> None:
        try:
            await self._journal.late_handled(number)
        finally:
            self._fed.pop(
                number, None
            )  # a list read before it was marked may have brought it again


def _later(failure: Failure) -> None:
    """The database is away: what is recorded is taken up by the next sweep."""
    failure.trap(JournalDown)
    log.warning("late_reply_waits", reason=str(failure.value))
