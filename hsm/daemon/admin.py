"""The officers' socket: a file of mode 0600, peers by user id, one request at a time."""

import os
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, connectionDone
from twisted.protocols.basic import Int32StringReceiver
from twisted.python.failure import Failure

from hsm.admin import protocol as ask
from hsm.admin.protocol import FRAME_MAX, Reply, framed, read_request
from hsm.daemon.ceremonies import Ceremony
from hsm.daemon.desk import REFUSALS, Desk
from hsm.daemon.hardening import peer_uid
from hsm.errors import CommandError
from hsm.sealing.errors import SealingError

CONNECTIONS_MAX: Final = 4
Handler = Callable[[Any], Awaitable[dict[str, Any]]]
_LATE: Final = "idle"


class AdminConnection(Int32StringReceiver):
    """One officers' tool."""

    MAX_LENGTH = FRAME_MAX
    transport: Any

    def __init__(self, office: "AdminFactory") -> None:
        self._office = office
        self._ceremony = Ceremony(office.desk)
        self._handlers = _handlers(office.desk, self._ceremony)
        self._late: Any = None
        self._busy = False

    def connectionMade(self) -> None:
        if not self._office.admit(self):
            self.transport.loseConnection()
            return
        self._restart()

    def stringReceived(self, string: bytes) -> None:
        if self._busy:
            # Answers come in order, and nobody types two requests at once.
            self.transport.abortConnection()
            return
        self._busy = True
        self._restart()
        request = read_request(string)
        Deferred.fromCoroutine(self._answer(request)).addErrback(self._broken)

    def lengthLimitExceeded(self, length: int) -> None:
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._office.closed(self)
        if self._late is not None and self._late.active():
            self._late.cancel()
        if not self._busy:
            self._ceremony.abandon("connection")

    async def _answer(self, request: ask.Request | None) -> None:
        try:
            async with self._office.turn():
                reply = Reply(await self._perform(request))
        except REFUSALS as error:
            reply = _refusal(error)
        self._busy = False
        if self.connected:
            self.transport.write(framed(reply))
        else:
            self._ceremony.abandon("connection")

    async def _perform(self, request: ask.Request | None) -> dict[str, Any]:
        if request is None:
            raise CommandError("15", "request")
        return await self._handlers[type(request)](request)

    def _restart(self) -> None:
        """The time in which the next thing must be typed."""
        if self._late is not None and self._late.active():
            self._late.cancel()
        self._late = self._office.later(self._silent)

    def _silent(self) -> None:
        if not self._busy:
            self._ceremony.abandon(_LATE)
        self.transport.abortConnection()

    def _broken(self, failure: Failure) -> None:
        # A fault of ours: its text might hold what was typed.
        self._office.log.error("admin_fault", error=type(failure.value).__name__)
        self._busy = False
        self._ceremony.abandon("fault")
        self.transport.abortConnection()


class AdminFactory(Factory):
    """All officers' connections; what they ask is done one after the other."""

    noisy = False

    def __init__(
        self, desk: Desk, uids: Collection[int], idle_ms: int, reactor: Any, log: Any
    ) -> None:
        """``uids`` may connect besides our own user."""
        self.desk = desk
        self.log = log
        self._uids = frozenset({os.geteuid(), *uids})
        self._idle_s = idle_ms / 1000
        self._reactor = reactor
        self._open: set[AdminConnection] = set()
        self._lock = DeferredLock()

    def buildProtocol(self, addr: IAddress | None) -> AdminConnection:
        return AdminConnection(self)

    def admit(self, connection: AdminConnection) -> bool:
        """Whether this user may talk to us, and there is room."""
        uid = peer_uid(connection.transport)
        if uid not in self._uids or len(self._open) >= CONNECTIONS_MAX:
            self.log.warning("admin_refused", uid=uid)
            return False
        self._open.add(connection)
        return True

    def closed(self, connection: AdminConnection) -> None:
        """Forget a connection."""
        self._open.discard(connection)

    def later(self, call: Callable[[], None]) -> Any:
        """``call`` when nothing was typed for too long."""
        return self._reactor.callLater(self._idle_s, call)

    def turn(self) -> "_Turn":
        """Wait for one's turn."""
        return _Turn(self._lock)

    def abort(self) -> None:
        """Hang up on everybody; their ceremonies are wiped."""
        for connection in tuple(self._open):
            connection.transport.abortConnection()


class _Turn:
    def __init__(self, lock: DeferredLock) -> None:
        self._lock = lock

    async def __aenter__(self) -> None:
        await self._lock.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._lock.release()


def _handlers(desk: Desk, ceremony: Ceremony) -> dict[type, Handler]:
    return {
        ask.Status: desk.status,
        ask.Unlock: desk.unlock,
        ask.Lock: desk.lock,
        ask.Authorise: desk.authorise,
        ask.Withdraw: desk.withdraw,
        ask.ListPeople: desk.list_people,
        ask.AddPerson: desk.add_person,
        ask.RemovePerson: desk.remove_person,
        ask.DestroyLmk: desk.destroy,
        ask.LmkToToken: desk.to_token,
        ask.BeginLmk: ceremony.begin_lmk,
        ask.BeginKey: ceremony.begin_key,
        ask.Component: ceremony.component,
        ask.Confirm: ceremony.confirm,
        ask.Abandon: ceremony.abandoned,
    }


def _refusal(error: Exception) -> Reply:
    if isinstance(error, SealingError):
        return Reply(error="sealing", what=str(error))
    if isinstance(error, CommandError):
        return Reply(error="command", what=str(error))
    code: str = getattr(error, "code", "command")
    what: str = getattr(error, "what", "") or getattr(error, "who", "")
    return Reply(error=code, what=what)
