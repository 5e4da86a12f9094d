"""Payments as the kiosk lives them: one key, sent until answered, asked for until final (I7).

Rules
- The key is in the journal before anything is sent. No payment is ever repeated under a new key.
- While its card data is in memory, an unanswered payment is sent again under the same key; the
  switch answers a key it knows. After ``resend_timeout_ms``, after any refusal that is not plain
  ``busy``, and after a restart, the outcome is only asked for.
- An answer is durable before anybody sees it. A later one supersedes it by its version, whether it
  came as reply, event or by asking.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, TimeoutError  # noqa: A004
from twisted.python.failure import Failure

from terminal_agent import protocol
from terminal_agent.config import PaymentTimes
from terminal_agent.crash import crash_point
from terminal_agent.journal import Journal
from terminal_agent.link import Late, Link, Lost, Refused
from terminal_agent.logs import get_logger

_log = get_logger("payments")

ASKING_MAX = 8
"""Outcomes asked for at once, so that a morning's backlog does not fill the link."""
PENDING = "pending"


class Payments:
    """All payments of this kiosk. ``on_news`` is called for every answer that was news, after it
    was journaled."""

    def __init__(
        self,
        reactor: Any,
        journal: Journal,
        times: PaymentTimes,
        *,
        now_ms: Callable[[], int],
        on_news: Callable[[protocol.Told], None],
        batch_ms: int = 0,
    ) -> None:
        self._reactor = reactor
        self._journal = journal
        self._times = times
        self._now_ms = now_ms
        self._on_news = on_news
        self._batch_ms = batch_ms
        """0: each answer is committed at once; else answers of so long share one commit (load)."""
        self._batch: list[protocol.Told] = []
        self._starting: set[str] = set()
        self._asking: set[str] = set()
        self._open: dict[str, None] = dict.fromkeys(journal.open_keys())
        self._waiters: dict[str, list[Deferred[protocol.Told]]] = {}
        self._came_up: list[Deferred[None]] = []
        self._round: Any = None
        self.link: Link

    @property
    def open_count(self) -> int:
        """Payments whose outcome is not known here."""
        return len(self._open)

    def start(self) -> None:
        """Begin the asking rounds."""
        self._round = self._reactor.callLater(self._times.query_interval_ms / 1000, self._again)

    def stop(self) -> None:
        """No more rounds; what waits for its commit gets it."""
        if self._round is not None and self._round.active():
            self._round.cancel()
        if self._batch:
            self._flush()

    def send_waiting(self) -> None:
        """The link is up: let those go on who wait to send."""
        waiting, self._came_up = self._came_up, []
        for waiter in waiting:
            waiter.callback(None)

    def received(self, envelope: protocol.Envelope) -> None:
        """An event of the switch; other names are for a later kiosk."""
        if envelope.name != protocol.PAYMENT_ANSWER:
            return
        try:
            told = protocol.decode_reply(envelope, protocol.Told)
        except protocol.ProtocolError as error:
            _log.warning("bad_event", reason=str(error))
            return
        self._take(told)

    # ---- one payment -----------------------------------------------------------------------------

    async def pay(self, key: str, body: protocol.PaymentStart) -> None:
        """Send ``key`` until it has an answer or may only be asked for. Raises nothing: what
        became of it comes by ``on_news`` and :meth:`outcome`."""
        self._open[key] = None
        self._starting.add(key)
        try:
            answered = await self._send(key, body)
        finally:
            self._starting.discard(key)
        if not answered and self.link.up:
            self._ask(key)

    async def outcome(self, key: str, wait_ms: int) -> protocol.Told | None:
        """The final answer, or what is known after ``wait_ms``: PENDING, or None."""
        if key in self._open:
            waiter: Deferred[protocol.Told] = Deferred()
            waiter.addTimeout(wait_ms / 1000, self._reactor)
            self._waiters.setdefault(key, []).append(waiter)
            try:
                return await waiter
            except TimeoutError:
                self._waiters[key].remove(waiter)
        entry = self._journal.get(key)
        return entry.told if entry else None

    async def _send(self, key: str, body: protocol.PaymentStart) -> bool:
        """True when an answer came, PENDING too; False when it may only be asked for now."""
        give_up_at = self._now_ms() + self._times.resend_timeout_ms
        noted = False
        while self._now_ms() < give_up_at:
            try:
                request = self.link.request(protocol.PAYMENT_START, body, idem=key)
                if not noted and not self._batch_ms:
                    self._journal.sent((key,))
                    noted = True
                envelope = await request
                crash_point("T3 answer read, not journaled")
                self._take(protocol.decode_reply(envelope, protocol.Told))
                return True
            except Lost:
                await self._link_up(give_up_at)
            except Late:
                continue
            except protocol.ProtocolError as error:
                _log.warning("bad_answer", key=key, reason=str(error))
                return False
            except Refused as refused:
                if refused.fault.code not in protocol.AGAIN:
                    _log.warning("not_taken", key=key, reason=str(refused))
                    return False
                await self._pause(self._times.resend_wait_ms)
        return False

    async def _link_up(self, until_ms: int) -> None:
        if self.link.up:
            # Hung up, and its end not heard yet: let the reactor tell, or this would spin.
            await self._pause(self._times.resend_wait_ms)
            return
        waiter: Deferred[None] = Deferred()
        waiter.addTimeout(max(1, until_ms - self._now_ms()) / 1000, self._reactor)
        self._came_up.append(waiter)
        try:
            await waiter
        except (TimeoutError, CancelledError):
            self._came_up.remove(waiter)

    async def _pause(self, wait_ms: int) -> None:
        pause: Deferred[None] = Deferred()
        self._reactor.callLater(wait_ms / 1000, pause.callback, None)
        await pause

    # ---- asking ----------------------------------------------------------------------------------

    def _again(self) -> None:
        self._round = self._reactor.callLater(self._times.query_interval_ms / 1000, self._again)
        if self.link.up:
            self.ask_open()

    def ask_open(self) -> None:
        """Ask for what was left unanswered, so much at once as is good for the link."""
        answered = {told.key for told in self._batch}
        for key in list(self._open):
            if len(self._asking) >= ASKING_MAX:
                return
            if key not in self._starting and key not in self._asking and key not in answered:
                self._ask(key)

    def _ask(self, key: str) -> None:
        self._asking.add(key)
        Deferred.fromCoroutine(self._ask_one(key)).addErrback(self._broken, key)

    async def _ask_one(self, key: str) -> None:
        try:
            envelope = await self.link.request(
                protocol.PAYMENT_QUERY, protocol.PaymentQuery(), idem=key
            )
            self._take(protocol.decode_reply(envelope, protocol.Told))
        except (Lost, Late):
            return
        except (Refused, protocol.ProtocolError) as error:
            _log.warning("not_told", key=key, reason=str(error))
            return
        finally:
            self._asking.discard(key)
        if key in self._open:
            # PENDING: last in the next round, so that a few slow ones do not starve the others.
            del self._open[key]
            self._open[key] = None
        elif self.link.up:
            self.ask_open()

    def _broken(self, failure: Failure, key: str) -> None:
        """Named boundary: one key's trouble must not end the asking for the others."""
        _log.error("asking_failed", key=key, exc_info=failure.value)

    # ---- answers ---------------------------------------------------------------------------------

    def _take(self, told: protocol.Told) -> None:
        self._batch.append(told)
        if not self._batch_ms:
            self._flush()
        elif len(self._batch) == 1:
            self._reactor.callLater(self._batch_ms / 1000, self._flush)

    def _flush(self) -> None:
        batch, self._batch = self._batch, []
        if not batch:
            return
        for told in self._journal.told(batch, self._now_ms()):
            if told.state != PENDING:
                self._open.pop(told.key, None)
                for waiter in self._waiters.pop(told.key, ()):
                    waiter.callback(told)
            self._on_news(told)
