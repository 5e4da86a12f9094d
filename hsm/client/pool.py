"""The key services that share one LMK, and the queue before them.

Each command goes to the least loaded connection. One that failed, or was refused by a service
that does nothing now, is repeated once on another service when it may be repeated.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from twisted.internet.defer import Deferred

from hsm.address import parse_address
from hsm.client.config import HsmConfig
from hsm.client.connection import Connect, ConnectionFailedError, HsmConnection
from hsm.client.member import LOCKED, REFUSALS, Member
from hsm.errors import TEXTS
from switch.model.outcome import Millis
from switch.ports import Cancellable, KeyServiceError, Timeline

_SAID: Final = {"timeout": "no answer", "down": "lost with its connection"}


class Pool:
    """Hands each command to a member in rotation, or says why none can do it.

    KeyServiceError codes of its own: ``down`` (no connection), ``locked`` (every service that can
    be reached lacks its LMK), ``timeout`` (sent, and no answer), ``busy`` (too many commands).
    """

    def __init__(
        self,
        config: HsmConfig,
        timeline: Timeline,
        connect: Connect,
        random: Callable[[], float],
        tell_dropped: Callable[[str], None],
        *,
        lmk_in_use: Callable[[], str],
    ) -> None:
        """``tell_dropped`` counts answers that belong to nothing any more, by reason;
        ``lmk_in_use`` is the id of the LMK that keys are under now."""
        self._config = config
        self._timeline = timeline
        self._tell_dropped = tell_dropped
        self.lmk_in_use = lmk_in_use
        self._members = [
            Member(
                parse_address(address),
                config,
                self,
                timeline=timeline,
                connect=connect,
                random=random,
            )
            for address in config.addresses
        ]
        stated = config.lmk_check_value
        self._check_values = {config.lmk_id: stated} if stated else {}
        self._rotation: deque[HsmConnection] = deque()
        self._waiting: deque[tuple[Deferred[HsmConnection], int]] = deque()
        self._patience: Cancellable | None = None
        self._watch: Cancellable | None = None
        self._watch_ms = max(1, config.silence_ms // 2)
        self._running = False

    # ---- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._running = True
        for member in self._members:
            member.start()
        self._plan_watch()

    def stop(self) -> None:
        """Close everything; what waits or is in flight fails as ``down``."""
        self._running = False
        for timer in (self._watch, self._patience):
            if timer is not None:
                timer.cancel()
        for member in self._members:
            member.stop()
        self._fail_waiting("down")

    def health(self) -> Mapping[str, str]:
        """Address → ``up``, or why it is out of rotation."""
        return {str(member.address): member.trouble or "up" for member in self._members}

    @property
    def connections_up(self) -> int:
        """How many connections commands may use now."""
        return len(self._rotation)

    # ---- commands -----------------------------------------------------------------------------

    async def exchange(self, name: str, body: bytes, *, idempotent: bool) -> bytes:
        """Send one command and give the answer behind its header. Raises KeyServiceError."""
        connection = self._pick() or await self._wait_for_one(name)
        try:
            answer = await connection.send(body)
        except ConnectionFailedError as failed:
            outcome: bytes | str = failed.code
        else:
            if answer[2:4] not in REFUSALS:
                return answer
            connection.member.refused(answer[2:4])
            outcome = answer
        if idempotent:
            outcome = await self._once_more(name, body, connection, outcome)
        if isinstance(outcome, bytes):
            if outcome[2:4] == b"13":
                raise KeyServiceError(name, LOCKED, f"{TEXTS['13']}: no such LMK, or locked")
            return outcome
        raise KeyServiceError(
            name,
            outcome,
            f"{'no answer' if outcome == 'timeout' else 'lost'}"
            f"{'' if idempotent else ', not repeated'}; {self._troubles()}",
        )

    async def _once_more(
        self, name: str, body: bytes, tried: HsmConnection, outcome: bytes | str
    ) -> bytes | str:
        """The outcome of a second try on another connection, of another service if there is one.
        What was refused or timed out is not kept waiting for one."""
        others = [other for other in self._rotation if other is not tried and other.free]
        if others:
            chosen = min(others, key=lambda other: (other.member is tried.member, other.load))
        elif outcome == "down":
            chosen = await self._wait_for_one(name)
        else:
            return outcome
        try:
            answer = await chosen.send(body)
        except ConnectionFailedError as failed:
            return failed.code
        if answer[2:4] in REFUSALS:
            chosen.member.refused(answer[2:4])
        return answer

    def _pick(self) -> HsmConnection | None:
        """The least loaded; of equals, the one whose turn it is. A doubtful one only if no other
        has room."""
        best: HsmConnection | None = None
        doubtful: HsmConnection | None = None
        self._rotation.rotate(-1)
        for connection in self._rotation:
            if not connection.free:
                continue
            if connection.doubtful:
                doubtful = connection
            elif best is None or connection.load < best.load:
                best = connection
        return best or doubtful

    async def _wait_for_one(self, name: str) -> HsmConnection:
        if not self._running:
            raise KeyServiceError(name, "down", "stopped")
        if self._all_locked():
            raise KeyServiceError(name, LOCKED, self._troubles())
        if len(self._waiting) >= self._config.waiting_limit:
            code = "busy" if self._rotation else "down"
            raise KeyServiceError(name, code, f"too many commands wait; {self._troubles()}")
        deferred: Deferred[HsmConnection] = Deferred()
        deadline = self._timeline.now_ms() + self._config.timeout_ms
        self._waiting.append((deferred, deadline))
        if self._patience is None:
            self._patience = self._timeline.call_at(Millis(deadline), self._lose_patience)
        try:
            return await deferred
        except ConnectionFailedError as failed:
            raise KeyServiceError(name, failed.code, self._troubles()) from None

    def _lose_patience(self) -> None:
        self._patience = None
        now = self._timeline.now_ms()
        code = "busy" if self._rotation else LOCKED if self._all_locked() else "down"
        while self._waiting and self._waiting[0][1] <= now:
            self._waiting.popleft()[0].errback(ConnectionFailedError(code))
        if self._waiting and self._patience is None:
            self._patience = self._timeline.call_at(
                Millis(self._waiting[0][1]), self._lose_patience
            )

    def _all_locked(self) -> bool:
        return all(member.trouble == LOCKED for member in self._members)

    def _troubles(self) -> str:
        """Every service and what is the matter with it, in one line."""
        return ", ".join(f"{address} {state}" for address, state in self.health().items())

    def _fail_waiting(self, code: str) -> None:
        while self._waiting:
            self._waiting.popleft()[0].errback(ConnectionFailedError(code))

    # ---- what members tell --------------------------------------------------------------------

    def same_lmk(self, lmk_id: str, check_value: str) -> str:
        """Empty when it is this LMK of all, which the configuration or else the first service
        shows; otherwise the check value that was expected."""
        expected = self._check_values.setdefault(lmk_id, check_value)
        return "" if check_value == expected else expected

    def changed(self) -> None:
        """A connection came into rotation or left it."""
        self._rotation = deque(
            connection for member in self._members for connection in member.rotation
        )
        if self._waiting and self._all_locked():
            self._fail_waiting(LOCKED)
        self.answered()

    def answered(self) -> None:
        """There may be room for one that waits."""
        while self._waiting:
            connection = self._pick()
            if connection is None:
                return
            # The waiter sends in this very call, so the next pick sees the load it adds.
            self._waiting.popleft()[0].callback(connection)

    def dropped_answer(self, reason: str) -> None:
        """An answer nobody waits for (``late``, ``unknown``) or no frame at all (``frame``)."""
        self._tell_dropped(reason)

    def _plan_watch(self) -> None:
        at = Millis(self._timeline.now_ms() + self._watch_ms)
        self._watch = self._timeline.call_at(at, self._look_after_silence)

    def _look_after_silence(self) -> None:
        for member in self._members:
            member.watch()
        self._plan_watch()
