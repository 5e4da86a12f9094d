"""What happens to the links, for whoever watches: dialled, not reached, up, down, and why."""

from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct
from twisted.internet import error
from twisted.internet.interfaces import IConnector
from twisted.internet.protocol import Protocol, ReconnectingClientFactory
from twisted.python.failure import Failure

_REDIAL_S_MAX = 2
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (error.ConnectionRefusedError, "refused"),
    (error.TimeoutError, "timed_out"),
    (error.DNSLookupError, "unknown_host"),
    (error.ConnectionDone, "closed"),
    (error.ConnectionLost, "lost"),
)


class LinkEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event of one link."""

    link: Literal["dialling", "failed", "up", "down"]
    peer: str
    """``HOST:PORT``."""
    why: str = ""
    """``refused``, ``timed_out``, ``unknown_host``, ``closed``, ``lost``, ``too_many``, ``dropped``
    (by this bank, on command), else a sentence: the system's, or what is wrong with a frame."""
    branch: bool = False
    """The link of the bank's own kiosk."""


LinkWatch = Callable[[LinkEvent], None]


def reason_of(failure: Failure | None) -> str:
    """Why a link failed or ended, see :attr:`LinkEvent.why`."""
    if failure is None:
        return ""
    for kind, name in _REASONS:
        if failure.check(kind):
            return name
    return str(failure.value)


def peer_of(address: Any) -> str:
    """``HOST:PORT`` of an address of Twisted's.

    >>> from twisted.internet.address import IPv4Address
    >>> peer_of(IPv4Address("TCP", "127.0.0.1", 8583))
    '127.0.0.1:8583'
    """
    return f"{address.host}:{address.port}"


class WatchedLink(Protocol):
    """A connection whose beginning and end are told."""

    def __init__(self, watch: LinkWatch | None, *, branch: bool = False) -> None:
        self._watch = watch
        self._branch = branch
        self._peer = ""
        self._why = ""

    def connectionMade(self) -> None:
        if self._watch is not None and self.transport is not None:
            self._peer = peer_of(self.transport.getPeer())
            self._watch(LinkEvent(link="up", peer=self._peer, branch=self._branch))

    def connectionLost(self, reason: Failure | None = None) -> None:
        if self._watch is not None:
            why = self._why or reason_of(reason)
            self._watch(LinkEvent(link="down", peer=self._peer, why=why, branch=self._branch))

    def hang_up(self, why: str = "dropped") -> None:
        """Drop the link after what was written."""
        self._why = self._why or why
        if self.transport is not None:
            self.transport.loseConnection()


class Dialler(ReconnectingClientFactory):
    """Dials, and again whenever the link is lost. Tries in vain are told once for each reason."""

    noisy = False
    maxDelay = _REDIAL_S_MAX
    _of_branch = False
    _failed = ""

    def watcher(self) -> LinkWatch | None:
        """Who is told of the tries."""
        return None

    def startedConnecting(self, connector: IConnector) -> None:
        if not self._failed:
            self._tell("dialling", connector)

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        why = reason_of(reason)
        if why != self._failed:
            self._failed = why
            self._tell("failed", connector, why)
        super().clientConnectionFailed(connector, reason)  # type: ignore[no-untyped-call]

    def reached(self) -> None:
        """Somebody answers: the next try is soon, and is told."""
        self._failed = ""
        self.resetDelay()  # type: ignore[no-untyped-call]

    def _tell(
        self, what: Literal["dialling", "failed"], connector: IConnector, why: str = ""
    ) -> None:
        watch = self.watcher()
        if watch is not None:
            peer = peer_of(connector.getDestination())
            watch(LinkEvent(link=what, peer=peer, why=why, branch=self._of_branch))
