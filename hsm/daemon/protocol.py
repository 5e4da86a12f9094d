"""Host connections: frames in, answers out in order, and all of it bounded (I11)."""

from typing import Any, Final

from twisted.internet.interfaces import IAddress, IHandshakeListener
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from hsm.daemon.clients import LOCAL, Door
from hsm.daemon.house import House
from hsm.policy import FRAME_MAX

_PREFIX: Final = 2
"""Bytes of the length before each frame, big endian."""


@implementer(IHandshakeListener)
class HostConnection(Protocol):
    """One host's connection. Answers go out in the order of their requests.

    Twisted's own string receiver would cost a third of what a MAC does.
    """

    transport: Any

    def __init__(self, house: House, door: Door) -> None:
        self._house = house
        self._door = door
        self._client = LOCAL
        self._unread = b""
        """Less than a frame, or what arrived while we were not reading."""
        self._paused = self._turned_away = False
        self.active_at = 0.0
        self.stuck_since: float | None = None
        """Since when half a frame has been waiting, or our answers have been left unread."""

    def connectionMade(self) -> None:
        self.active_at = self._house.now()
        if not self._house.admit(self):
            self._turn_away()
        elif self._door.after_handshake:
            # A handshake is given the time of a frame.
            self.stuck_since = self.active_at
        else:
            self._greet()

    def handshakeCompleted(self) -> None:
        self.stuck_since = None
        if not self._turned_away:
            self._greet()

    def _greet(self) -> None:
        client = self._door.known(self.transport)
        if client is None:
            self._house.stranger(self._door.told(self.transport))
            self._turn_away()
            return
        self._client = client
        if hasattr(self.transport, "setTcpNoDelay"):
            self.transport.setTcpNoDelay(True)
        # As producer of our own answers we stop reading when the client stops reading them.
        self.transport.registerProducer(self, True)

    def _turn_away(self) -> None:
        self._turned_away = True
        if self._door.after_handshake:
            # TLS would wait for the stranger's goodbye, and who gives none would keep his place.
            self.transport.abortConnection()
        else:
            self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        if self._turned_away:
            return
        self.active_at = self._house.now()
        self._unread = self._unread + data if self._unread else data
        if not self._paused:
            self._answer_all()

    def _answer_all(self) -> None:
        """Answer every whole frame; what they answer leaves in one write."""
        data, at, end = self._unread, 0, len(self._unread)
        answers: list[bytes] = []
        while end - at >= _PREFIX:
            length = data[at] << 8 | data[at + 1]
            if length > FRAME_MAX:
                self._house.drop(self, "frame_too_long")
                break
            stop = at + _PREFIX + length
            if stop > end:
                break
            frame = self._house.answer(data[at + _PREFIX : stop], self._client)
            answers += (len(frame).to_bytes(_PREFIX, "big"), frame)
            at = stop
        self._unread = data[at:]
        if not self._unread:
            self.stuck_since = None
        elif self.stuck_since is None or at:
            self.stuck_since = self.active_at
        if answers:
            self.transport.write(b"".join(answers))

    def pauseProducing(self) -> None:
        self._paused = True
        self.transport.pauseProducing()
        self.stuck_since = self._house.now()

    def resumeProducing(self) -> None:
        self._paused = False
        self.stuck_since = None
        self.transport.resumeProducing()
        if self._unread:
            self._answer_all()

    def stopProducing(self) -> None:
        """The connection is gone: there is nothing left to produce."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._house.closed(self)


class HostFactory(Factory):
    """The connections of one listener."""

    noisy = False

    def __init__(self, house: House, door: Door) -> None:
        """``door``: how this listener knows its clients."""
        self._house = house
        self._door = door

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        return HostConnection(self._house, self._door)
