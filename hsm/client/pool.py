"""The connections to all key services, and the queue before them."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from hsm import codec, layouts
from hsm.address import Address, parse_address
from hsm.client.config import HsmConfig
from hsm.client.connection import ConnectionFailedError, HsmConnection
from switch.model.outcome import Millis
from switch.net.backoff import Backoff
from switch.observe.logs import get_logger
from switch.ports import Cancellable, KeyServiceError, Timeline

Connect = Callable[[Address, Callable[[], HsmConnection]], Deferred[Any]]
"""Open a transport to an address and put the protocol made by the second argument on it."""

_log = get_logger("hsm")
_SIGN_OF_LIFE = codec.build_request(layouts.NC, {})


class _Slot:
    """The place of one connection: open, being opened, or waiting for the next try."""

    def __init__(self, address: Address, backoff: Backoff) -> None:
        self.address = address
        self.backoff = backoff
        self.connection: HsmConnection | None = None
        self.opening: Deferred[Any] | None = None
        self.retry: Cancellable | None = None
        self.trouble = "connecting"


class Pool:
    """Keeps the connections open and hands each command to the least loaded of them."""

    def __init__(
        self,
        config: HsmConfig,
        timeline: Timeline,
        connect: Connect,
        random: Callable[[], float],
        tell_dropped: Callable[[str], None],
    ) -> None:
        """``tell_dropped`` counts answers that belong to nothing any more, by reason."""
        self._config = config
        self._timeline = timeline
        self._connect = connect
        self._tell_dropped = tell_dropped
        self._slots = [
            _Slot(
                parse_address(address),
                Backoff(config.reconnect_first_ms, config.reconnect_ceiling_ms, random),
            )
            for _ in range(config.connections)
            for address in config.addresses
        ]
        self._up: list[HsmConnection] = []
        self._waiting: deque[tuple[Deferred[HsmConnection], int]] = deque()
        self._patience: Cancellable | None = None
        self._echo: Cancellable | None = None
        self._running = False

    # ---- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._running = True
        for slot in self._slots:
            self._open(slot)
        self._plan_echo()

    def stop(self) -> None:
        """Close everything; what waits or is in flight fails as ``down``."""
        self._running = False
        for timer in (self._echo, self._patience, *(slot.retry for slot in self._slots)):
            if timer is not None:
                timer.cancel()
        for slot in self._slots:
            if slot.opening is not None:
                slot.opening.cancel()
        for connection in tuple(self._up):
            connection.abort()
        while self._waiting:
            self._waiting.popleft()[0].errback(ConnectionFailedError("down"))

    def health(self) -> Mapping[str, str]:
        """Address → ``up`` when at least one of its connections is, else why not."""
        states: dict[str, str] = {}
        for slot in self._slots:
            name = str(slot.address)
            if slot.connection is not None or states.get(name) == "up":
                states[name] = "up"
            else:
                states[name] = slot.trouble
        return states

    def protocol(self) -> HsmConnection:
        """A connection without a place in the configuration: it joins when it gets a transport."""
        return HsmConnection(self, self._config, self._timeline)

    @property
    def connections_up(self) -> int:
        """How many connections are open."""
        return len(self._up)

    # ---- commands -----------------------------------------------------------------------------

    async def exchange(self, name: str, body: bytes, *, idempotent: bool) -> bytes:
        """Send one command and give the answer behind its header.

        Fails as KeyServiceError ``timeout`` (sent, no answer) or ``down`` (no connection, or lost
        with it). A command that may be repeated is tried once more, on another connection.
        """
        connection = self._pick(None) or await self._wait_for_one(name)
        try:
            return await connection.send(body)
        except ConnectionFailedError as failed:
            if not idempotent:
                raise KeyServiceError(name, failed.code, "not repeated") from None
            other = self._pick(connection)
            if other is None and failed.code == "timeout":
                raise KeyServiceError(name, "timeout", "no answer") from None
        if other is None:
            other = await self._wait_for_one(name)
        try:
            return await other.send(body)
        except ConnectionFailedError as failed:
            raise KeyServiceError(name, failed.code, "failed twice") from None

    def _pick(self, but: HsmConnection | None) -> HsmConnection | None:
        best: HsmConnection | None = None
        for connection in self._up:
            if connection is but or not connection.free:
                continue
            if best is None or connection.load < best.load:
                best = connection
        return best

    async def _wait_for_one(self, name: str) -> HsmConnection:
        if not self._running or len(self._waiting) >= self._config.waiting_limit:
            raise KeyServiceError(name, "down", "no connection is free, and too many wait")
        deferred: Deferred[HsmConnection] = Deferred()
        deadline = self._timeline.now_ms() + self._config.timeout_ms
        self._waiting.append((deferred, deadline))
        if self._patience is None:
            self._patience = self._timeline.call_at(Millis(deadline), self._lose_patience)
        try:
            return await deferred
        except ConnectionFailedError:
            raise KeyServiceError(name, "down", "no connection in time") from None

    def _lose_patience(self) -> None:
        self._patience = None
        now = self._timeline.now_ms()
        while self._waiting and self._waiting[0][1] <= now:
            self._waiting.popleft()[0].errback(ConnectionFailedError("down"))
        if self._waiting and self._patience is None:
            self._patience = self._timeline.call_at(
                Millis(self._waiting[0][1]), self._lose_patience
            )

    def _serve_waiting(self) -> None:
        while self._waiting:
            connection = self._pick(None)
            if connection is None:
                return
            # The waiter sends in this very call, so the next pick sees the load it adds.
            self._waiting.popleft()[0].callback(connection)

    # ---- what connections tell ----------------------------------------------------------------

    def joined(self, connection: HsmConnection) -> None:
        """A connection has its transport."""
        if not self._running:
            connection.abort()
            return
        self._up.append(connection)
        self._serve_waiting()

    def answered(self, connection: HsmConnection) -> None:
        """An answer came: there may be room for one that waits."""
        if self._waiting and connection.free:
            self._serve_waiting()

    def left(self, connection: HsmConnection) -> None:
        """A connection is gone."""
        if connection in self._up:
            self._up.remove(connection)
        for slot in self._slots:
            if slot.connection is connection:
                slot.connection = None
                if self._running:
                    _log.warning("hsm_connection_lost", address=str(slot.address))
                self._again(slot, "connection lost")

    def dropped_answer(self, reason: str) -> None:
        """An answer nobody waits for (``late``, ``unknown``) or no frame at all (``frame``)."""
        self._tell_dropped(reason)
        _log.warning("hsm_answer_dropped", reason=reason)

    # ---- opening ------------------------------------------------------------------------------

    def _open(self, slot: _Slot) -> None:
        slot.retry = None

        def opened(connection: HsmConnection) -> None:
            slot.opening = None
            slot.connection = connection
            slot.backoff.reset()
            _log.info("hsm_connected", address=str(slot.address))
            if connection not in self._up:
                # It was lost again before we heard that it was open.
                self.left(connection)

        def failed(failure: Failure) -> None:
            slot.opening = None
            self._again(slot, type(failure.value).__name__)

        slot.opening = self._connect(slot.address, self.protocol)
        slot.opening.addCallbacks(opened, failed)

    def _again(self, slot: _Slot, trouble: str) -> None:
        slot.trouble = trouble
        if self._running:
            at = Millis(self._timeline.now_ms() + slot.backoff.next_ms())
            slot.retry = self._timeline.call_at(at, lambda: self._open(slot))

    def _plan_echo(self) -> None:
        at = Millis(self._timeline.now_ms() + self._config.echo_interval_ms)
        self._echo = self._timeline.call_at(at, self._ask_for_life)

    def _ask_for_life(self) -> None:
        quiet_since = self._timeline.now_ms() - self._config.echo_interval_ms
        for connection in tuple(self._up):
            if connection.answered_at <= quiet_since and connection.free:
                connection.send(_SIGN_OF_LIFE).addErrback(_let_go)
        self._plan_echo()


def _let_go(_failure: Failure) -> None:
    """A missing sign of life has already counted against its connection."""
