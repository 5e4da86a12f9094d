"""One key service of the pool: its connections, and whether commands may go to it.

It is in rotation while a connection is open that passed its examination: a sign of life (NC, with
the LMK check value all members must show) and an echo (B2, which a locked or failing service
refuses as it refuses every command). Both are asked under the configured LMK, or, where that one
was destroyed after a change of LMK, under the one that keys are under now. Out of rotation it is
examined again after growing waits, by one connection; the others follow when that one passed.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from hsm import codec, layouts
from hsm.address import Address
from hsm.client.config import HsmConfig
from hsm.client.connection import Connect, ConnectionFailedError, HsmConnection
from hsm.codec import Tail
from hsm.errors import TEXTS, CommandError
from switch.model.outcome import Millis
from switch.net.backoff import Backoff
from switch.observe.logs import get_logger
from switch.ports import Cancellable, Timeline

LOCKED: Final = "locked"

REFUSALS: Final = {b"13": LOCKED, b"41": f"41 {TEXTS['41']}"}
"""Answers to a command that may mean: this service will do no command at all now."""

_ECHO: Final = b"yyt"

_log = get_logger("hsm")


class Owner(Protocol):
    """The pool, as a member sees it."""

    def same_lmk(self, lmk_id: str, check_value: str) -> str:
        """Empty when it is this LMK of all; else the check value that was expected."""
        ...

    def lmk_in_use(self) -> str:
        """The id of the LMK that keys are under now."""
        ...

    def changed(self) -> None:
        """A connection came into rotation or left it."""
        ...

    def answered(self) -> None:
        """There may be room for one that waits."""
        ...

    def dropped_answer(self, reason: str) -> None: ...


class Member:
    """Keeps the connections to one address."""

    def __init__(
        self,
        address: Address,
        config: HsmConfig,
        owner: Owner,
        *,
        timeline: Timeline,
        connect: Connect,
        random: Callable[[], float],
    ) -> None:
        self.address = address
        self.trouble = "connecting"
        """Why it is out of rotation; empty: it is in."""
        self._config = config
        self._owner = owner
        self._timeline = timeline
        self._connect = connect
        self._backoff = Backoff(config.reconnect_first_ms, config.reconnect_ceiling_ms, random)
        self._peer = config.tls.peer_name if address.tls and config.tls is not None else ""
        self._sign_of_life = codec.build_request(layouts.NC, {}, Tail(config.lmk_id))
        self._sound: list[HsmConnection] = []
        self._examined: set[HsmConnection] = set()
        self._opening: set[Deferred[Any]] = set()
        self._opening_count = 0
        self._retry: Cancellable | None = None
        self._running = False

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._running = True
        self._fill()

    def stop(self) -> None:
        """Close every connection; what is in flight on them fails as ``down``."""
        self._running = False
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        for opening in tuple(self._opening):
            opening.cancel()
        for connection in (*self._sound, *self._examined):
            connection.drop("stopped")

    @property
    def rotation(self) -> tuple[HsmConnection, ...]:
        """The connections that commands may use now."""
        return () if self.trouble else tuple(self._sound)

    def watch(self) -> None:
        """Look after silence on all connections; doubt of one is doubt of all."""
        now = self._timeline.now_ms()
        for connection in tuple(self._examined):
            if now - connection.began_at >= self._config.connect_timeout_ms:
                connection.drop("silent", "timeout")
        for connection in tuple(self._sound):
            connection.watch()
        if any(connection.doubtful for connection in self._sound):
            for connection in self._sound:
                connection.doubt()

    def refused(self, code: bytes) -> None:
        """A command was answered with one of REFUSALS: no more of them until an examination
        shows whether it was the command's fault or the service's."""
        if not self.trouble and self._sound:
            self._out(REFUSALS[code])
            self._examine(self._sound[0])

    # ---- what connections tell ----------------------------------------------------------------

    def connected(self, connection: HsmConnection) -> None:
        """A new connection has its transport."""
        if not self._running:
            connection.drop("stopped")
            return
        self._examined.add(connection)
        self._examine(connection)

    def answered(self, _connection: HsmConnection) -> None:
        """An answer came on one of ours."""
        self._owner.answered()

    def left(self, connection: HsmConnection, why: str) -> None:
        """A connection is gone."""
        self._examined.discard(connection)
        if connection in self._sound:
            self._sound.remove(connection)
            self._owner.changed()
        if not self._sound and self._running:
            self._out(why)
        self._again()

    def dropped_answer(self, reason: str) -> None:
        """An answer nobody waits for (``late``, ``unknown``) or no frame at all (``frame``)."""
        self._owner.dropped_answer(reason)
        _log.warning("hsm_answer_dropped", address=str(self.address), reason=reason)

    # ---- examination --------------------------------------------------------------------------

    def _examine(self, connection: HsmConnection) -> None:
        Deferred.fromCoroutine(self._ask(connection))

    async def _ask(self, connection: HsmConnection) -> None:
        configured, in_use = self._config.lmk_id, self._owner.lmk_in_use()
        try:
            trouble = await self._greeted(connection, configured)
            if trouble == LOCKED and in_use != configured:
                trouble = await self._greeted(connection, in_use)
        except ConnectionFailedError as failed:
            # A lost one has told `left`; a silent one is of no use any more.
            if failed.code == "timeout":
                connection.drop("silent", "timeout")
            return
        if trouble:
            self._out(trouble)
            if connection in self._examined:
                connection.drop(trouble)
            self._again()
        else:
            self._passed(connection)

    async def _greeted(self, connection: HsmConnection, lmk_id: str) -> str:
        """What is the matter with the service under this LMK; empty: nothing."""
        tail = Tail(lmk_id)
        life = await connection.send(codec.build_request(layouts.NC, {}, tail))
        echo = await connection.send(codec.build_request(layouts.B2, {"data": _ECHO}, tail))
        for answer in (life, echo):
            if answer[2:4] in REFUSALS:
                return REFUSALS[answer[2:4]]
        try:
            error, values, _ = codec.parse_response(layouts.NC, life, {})
        except CommandError:
            error = "no answer to NC"
        if error != "00":
            return f"NC: {error}"
        shown = values["lmk_check_value"]
        expected = self._owner.same_lmk(lmk_id, shown)
        return expected and f"another LMK: {shown}, not {expected}"

    def _passed(self, connection: HsmConnection) -> None:
        if connection in self._examined:
            self._examined.remove(connection)
            self._sound.append(connection)
        if self.trouble:
            self.trouble = ""
            _log.info("hsm_in_rotation", address=str(self.address))
        self._backoff.reset()
        self._owner.changed()
        self._fill()

    def _out(self, trouble: str) -> None:
        if trouble != self.trouble:
            self.trouble = trouble
            _log.warning("hsm_out_of_rotation", address=str(self.address), reason=trouble)
        self._owner.changed()

    # ---- opening ------------------------------------------------------------------------------

    def _again(self) -> None:
        if self._running and self._retry is None:
            at = Millis(self._timeline.now_ms() + self._backoff.next_ms())
            self._retry = self._timeline.call_at(at, self._try)

    def _try(self) -> None:
        self._retry = None
        if self.trouble and self._sound:
            self._examine(self._sound[0])
        else:
            self._fill()

    def _fill(self) -> None:
        if self._retry is not None:
            return
        wanted = 1 if self.trouble else self._config.connections
        under_way = len(self._sound) + len(self._examined) + self._opening_count
        for _ in range(wanted - under_way):
            self._open()

    def _open(self) -> None:
        self._opening_count += 1
        opening = self._connect(
            self.address,
            lambda: HsmConnection(
                self, self._config, self._timeline, self._peer, self._sign_of_life
            ),
        )
        self._opening.add(opening)

        def opened(_protocol: object) -> None:
            self._settle(opening)
            self._fill()

        def failed(failure: Failure) -> None:
            self._settle(opening)
            if not self._sound and self._running:
                self._out(type(failure.value).__name__)
            self._again()

        opening.addCallbacks(opened, failed)

    def _settle(self, opening: Deferred[Any]) -> None:
        self._opening.discard(opening)
        self._opening_count -= 1
