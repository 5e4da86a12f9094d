"""Host connections: frames in, answers out in order, and all of it bounded (I11)."""

from typing import Any

from twisted.internet.interfaces import IAddress, IHandshakeListener
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.basic import Int16StringReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from hsm.daemon.clients import LOCAL, Door
from hsm.daemon.house import House
from hsm.policy import FRAME_MAX


@implementer(IHandshakeListener)
class HostConnection(Int16StringReceiver):
    """One host's connection. Answers go out in the order of their requests."""

    MAX_LENGTH = FRAME_MAX
    transport: Any

    def __init__(self, house: House, door: Door) -> None:
        self._house = house
        self._door = door
        self._client = LOCAL
        self._answers: list[bytes] = []
        self._received = self._consumed = 0
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
        if not self.paused:
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
        self.paused = True
        self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        self.active_at = self._house.now()
        self._received += len(data)
        consumed = self._consumed
        super().dataReceived(data)  # type: ignore[no-untyped-call]
        if self._answers:
            self.transport.write(b"".join(self._answers))
            self._answers.clear()
        if self.paused:
            return
        if self._received == self._consumed:
            self.stuck_since = None
        elif self.stuck_since is None or self._consumed > consumed:
            self.stuck_since = self.active_at

    def stringReceived(self, string: bytes) -> None:
        self._consumed += 2 + len(string)
        frame = self._house.answer(string, self._client)
        self._answers.append(len(frame).to_bytes(2, "big"))
        self._answers.append(frame)

    def lengthLimitExceeded(self, length: int) -> None:
        self._house.drop(self, "frame_too_long")

    def pauseProducing(self) -> None:
        super().pauseProducing()  # type: ignore[no-untyped-call]
        self.stuck_since = self._house.now()

    def resumeProducing(self) -> None:
        self.stuck_since = None
        super().resumeProducing()  # type: ignore[no-untyped-call]

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
