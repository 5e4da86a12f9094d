"""One link (链路): a TCP connection with frames, an idle watch and watches for slow peers.

The same class serves a connection we dialled and one the peer dialled. It knows nothing of
messages: whole frames go to its owner. Under TLS it is up when the peer has proven its name, and
not a byte goes out before; there is no way from there to a connection in clear.
"""

from collections.abc import Callable
from typing import Any
from typing import Protocol as Interface

from OpenSSL.SSL import Error as TlsError
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from channels.iso8583.outflow import Outflow
from switch.model.outcome import Millis
from switch.net.frames import FrameError, FrameReader, LengthPrefix, framed
from switch.net.tls import peer_names
from switch.observe import metrics
from switch.observe.logs import get_logger
from switch.ports import Cancellable, Timeline

_log = get_logger("iso8583.link")


Watch = Callable[[str, str, bytes], None]
"""Sees every frame: ``out`` or ``in``, name of the link, the frame without its length prefix."""


class LinkTimes(Interface):
    """What a link needs of the channel's configuration."""

    @property
    def connect_timeout_ms(self) -> int: ...

    @property
    def frame_limit_bytes(self) -> int: ...

    @property
    def frame_timeout_ms(self) -> int: ...

    @property
    def echo_idle_ms(self) -> int: ...


class LinkOwner(Interface):
    """Whom a link reports to."""

    def link_up(self, link: "Link") -> None: ...
    def link_down(self, link: "Link") -> None: ...
    def frame(self, link: "Link", frame: bytes) -> None: ...
    def idle(self, link: "Link") -> None: ...


@implementer(IHandshakeListener)
class Link(Protocol):
    """A connected link. ``name`` is for logs and metrics; ``expected``: under TLS, the names of
    which the peer's certificate must be for one; None: in clear. ``holds_back``: nothing is read
    from a peer that does not read."""

    def __init__(
        self,
        name: str,
        owner: LinkOwner,
        timeline: Timeline,
        times: LinkTimes,
        prefix: LengthPrefix,
        *,
        expected: frozenset[str] | None = None,
        watch: "Watch | None" = None,
        holds_back: bool = False,
    ) -> None:
        self.name = name
        self.entry = name
        """The configured link that this connection belongs to: metrics count by it."""
        self.peer = ""
        """Address of whoever dialled us."""
        self.gone = False
        """Lost for good; until then it counts against the limits of who let it in."""
        self.spoke = False
        """The peer has sent something: it is a host that talks to us, not just a port."""
        self._nudged = False
        self.doubtful = False
        """It owes an answer and said nothing since: others are used while there are others."""
        self.wrong_macs = 0
        self.in_flight = 0
        self.received_at = 0
        self.up = False
        self.usable = False
        """Up, and not being dropped: the only links that messages go out on."""
        self._owner = owner
        self._timeline = timeline
        self._times = times
        self._prefix = prefix
        self._expected = expected
        self._watch = watch
        self._holds_back = holds_back
        self._secure_timer: Cancellable | None = None
        self._dropped = False
        self._reader = FrameReader(prefix, times.frame_limit_bytes)
        self._frame_timer: Cancellable | None = None
        self._idle_timer: Cancellable | None = None

    def send(self, message: bytes) -> None:
        """Write one message. It is *sent* from here on: the wire tells us nothing more."""
        assert self.transport is not None
        self.transport.write(framed(message, self._prefix))
        if self._watch is not None:
            self._watch("out", self.name, message)

    def nudge(self) -> bool:
        """An empty frame, which keeps the link open; False when the last one brought nothing."""
        if self._nudged:
            return False
        self._nudged = True
        self.send(b"")
        return True

    def send_half(self, message: bytes) -> None:
        """For the crash matrix (K3): half of a frame, on the wire now."""
        assert self.transport is not None
        data = framed(message, self._prefix)
        self.transport.write(data[: len(data) // 2])
        self.flush()

    def flush(self) -> None:
        """For the crash matrix: Twisted writes at the end of its turn, which is after our death."""
        write_now = getattr(self.transport, "doWrite", None)
        if write_now is not None:
            write_now()

    def drop(self, why: str) -> None:
        """Close at once: the peer is gone, hostile or out of step."""
        if self.usable:
            _log.warning("link_dropped", link=self.name, why=why)
        self.usable = False
        self._dropped = True
        if self.transport is not None:
            abort = getattr(self.transport, "abortConnection", self.transport.loseConnection)
            abort()

    def connectionMade(self) -> None:
        if self._expected is None:
            self._open()
            return
        self._secure_timer = self._timeline.call_at(
            self._later(self._times.connect_timeout_ms),
            lambda: self._refuse("tls", "TLS did not stand in time"),
        )

    def handshakeCompleted(self) -> None:
        """The peer's certificate is one of the stated authority; now its name."""
        if self._secure_timer is not None:
            self._secure_timer.cancel()
        names = peer_names(self.transport)
        if self._expected is None or names.isdisjoint(self._expected):
            shown = ", ".join(sorted(names)) or "nobody"
            self._refuse("peer_name", f"the certificate is for {shown}")
            return
        self._open()

    def _open(self) -> None:
        self.up = self.usable = True
        self.received_at = self._timeline.now_ms()
        self._tune()
        self._watch_outflow()
        self._watch_idle()
        self._owner.link_up(self)

    def dataReceived(self, data: bytes) -> None:
        if not self.usable:
            return  # it is being dropped
        self.received_at = self._timeline.now_ms()
        self.spoke, self.doubtful, self._nudged = True, False, False
        try:
            for frame in self._reader.receive(data):
                self._stop_frame_timer()
                if self._watch is not None:
                    self._watch("in", self.name, frame)
                self._owner.frame(self, frame)
        except FrameError as error:
            self.drop(str(error))
            return
        if not self._reader.partial:
            self._stop_frame_timer()
        elif self._frame_timer is None:
            self._frame_timer = self._timeline.call_at(
                self._later(self._times.frame_timeout_ms), self._frame_too_slow
            )

    def connectionLost(self, reason: Failure | None = None) -> None:
        was_up = self.up
        self.up = self.usable = False
        self.gone = True
        if self._secure_timer is not None:
            self._secure_timer.cancel()
        if self._expected is not None and not self._dropped:
            # With TLS 1.3 a peer may refuse our certificate after we are content with its own.
            if reason is not None and reason.check(TlsError):
                self._refused("tls", _why(reason.value))
            elif not was_up:
                self._refused("tls", "the peer closed before TLS stood")
        self._stop_frame_timer()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        if was_up:
            self._owner.link_down(self)

    def _refuse(self, reason: str, why: str) -> None:
        self._refused(reason, why)
        self.drop(why)

    def _refused(self, reason: str, why: str) -> None:
        metrics.CONNECTIONS_REFUSED.labels(self.entry, reason).inc()
        _log.error("tls_refused", link=self.name, peer=self.peer, why=why, invariant="I10")

    def _later(self, wait_ms: int) -> Millis:
        return Millis(self._timeline.now_ms() + wait_ms)

    def _tune(self) -> None:
        """Small messages leave at once; a dead peer is noticed by the kernel too."""
        for option, value in (("setTcpNoDelay", True), ("setTcpKeepAlive", True)):
            setter = getattr(self.transport, option, None)
            if setter is not None:
                setter(value)

    def _watch_outflow(self) -> None:
        register = getattr(self.transport, "registerProducer", None)
        if register is not None:
            reading = self._read_on if self._holds_back else None
            limit_ms = self._times.frame_timeout_ms
            register(Outflow(self._timeline, limit_ms, self.drop, reading), True)

    def _read_on(self, reading: bool) -> None:
        transport: Any = self.transport
        (transport.resumeProducing if reading else transport.pauseProducing)()

    def _frame_too_slow(self) -> None:
        self._frame_timer = None
        self.drop("a frame did not end in time")

    def _stop_frame_timer(self) -> None:
        if self._frame_timer is not None:
            self._frame_timer.cancel()
            self._frame_timer = None

    def _watch_idle(self) -> None:
        due = Millis(self.received_at + self._times.echo_idle_ms)
        self._idle_timer = self._timeline.call_at(due, self._maybe_idle)

    def _maybe_idle(self) -> None:
        self._idle_timer = None
        if self._timeline.now_ms() - self.received_at >= self._times.echo_idle_ms:
            self._owner.idle(self)
            self._idle_timer = self._timeline.call_at(
                self._later(self._times.echo_idle_ms), self._maybe_idle
            )
        else:
            self._watch_idle()


def _why(error: object) -> str:
    """The reasons of OpenSSL, without its library's and functions' names."""
    reasons = error.args[0] if isinstance(error, TlsError) and error.args else ()
    return ", ".join(str(reason[-1]) for reason in reasons) or "TLS refused"
