"""Open-loop load: sales begin on a fixed schedule, whatever the switch does with them.

What is due while ``in_flight`` are out is *held back*: it begins as soon as one comes in, and its
time counts from when it was due, so that a slow switch cannot hide behind its own slowness. What
has not begun when the time is over is not begun any more.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ClientFactory, Protocol

from channels.iso8583.codec import Codec
from channels.iso8583.errors import RemoteError
from channels.iso8583.message import Message
from channels.pos_simulator.terminal import PosTerminal
from channels.pos_simulator.world import PosCard
from switch.net.frames import FrameError, FrameReader, framed

AMOUNT_FEN = 100
FRAME_BYTES_MAX = 4_096
GRACE_S = 10.0
"""After the last sale so long is waited for answers; what is missing then is *unanswered*."""
SIGN_ON_S = 30.0
_TICK_S = 0.005


class Report(Struct, frozen=True, kw_only=True):
    """What the load came to. Times in ms, from when a sale was due to its proven answer."""

    due: int
    sent: int
    approved: int
    declined: int
    unanswered: int
    unproven: int
    seconds: float
    approved_per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


class PosLink(Protocol):
    """One connection that carries several terminals."""

    def __init__(self, load: "Load") -> None:
        self._load = load
        self._reader = FrameReader(load.codec.dialect.length_prefix, FRAME_BYTES_MAX)

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)  # type: ignore[union-attr]
        self._load.linked(self)

    def dataReceived(self, data: bytes) -> None:
        try:
            for frame in self._reader.receive(data):
                self._load.answered(frame)
        except FrameError as error:
            self._load.failed(str(error))

    def connectionLost(self, reason: Any = None) -> None:
        self._load.failed("the switch closed a connection")

    def send(self, frame: bytes) -> None:
        """One message."""
        prefix = self._load.codec.dialect.length_prefix
        self.transport.write(framed(frame, prefix))  # type: ignore[union-attr]


class Dial(ClientFactory):
    """Opens one link."""

    noisy = False

    def __init__(self, load: "Load") -> None:
        self._load = load

    def buildProtocol(self, addr: object) -> PosLink:
        return PosLink(self._load)

    def clientConnectionFailed(self, connector: object, reason: Any) -> None:
        self._load.failed(f"no connection: {reason.type.__name__}")


class Load:
    """One run: sign on, then ``rate`` sales a second for ``seconds``. ``done`` fires with the
    Report, or with an error that ended it."""

    def __init__(
        self,
        *,
        codec: Codec,
        terminals: Sequence[PosTerminal],
        card: PosCard,
        links: int,
        rate: int,
        seconds: int,
        in_flight: int,
        reactor: Any,
        tell: Callable[[str], None],
    ) -> None:
        self.codec = codec
        self.done: Deferred[Report] = Deferred()
        self._terminals = {terminal.terminal: terminal for terminal in terminals}
        self._free = deque(terminals)
        self._card = card
        self._links_wanted = links
        self._links: list[PosLink] = []
        self._rate = rate
        self._seconds = seconds
        self._in_flight = in_flight
        self._reactor = reactor
        self._tell = tell
        self._out: dict[tuple[str, str], float] = {}
        self._times_ms: list[float] = []
        self._counts = {"approved": 0, "declined": 0, "unproven": 0}
        self._signed_on: set[str] = set()
        self._sent = 0
        self._over = False
        self._began = self._ended = 0.0

    # ---- links -----------------------------------------------------------------------------------

    def linked(self, link: PosLink) -> None:
        """A connection stands; with the last one the terminals sign on."""
        self._links.append(link)
        if len(self._links) == self._links_wanted:
            for number, terminal in enumerate(self._terminals.values()):
                self._links[number % len(self._links)].send(terminal.sign_on())
            self._reactor.callLater(SIGN_ON_S, self._check_signed_on)

    def failed(self, why: str) -> None:
        """The run cannot go on."""
        if not self.done.called:
            self.done.errback(ConnectionError(why))

    def answered(self, frame: bytes) -> None:
        """One frame from the switch."""
        try:
            message = self.codec.decode(frame)
            terminal = self._terminals[message.fields["41"]]
        except (RemoteError, KeyError) as error:
            self.failed(f"an answer that is none: {error}")
            return
        if message.mti == self.codec.dialect.mtis[self._sign_on_mti].answer:
            self._take_keys(terminal, message)
        else:
            self._take(terminal, message)

    @property
    def _sign_on_mti(self) -> str:
        return self.codec.dialect.network["sign_on"].mti

    def _take_keys(self, terminal: PosTerminal, message: Message) -> None:
        try:
            terminal.take_keys(message)
        except RemoteError as error:
            self.failed(f"{terminal.terminal}: {error}")
            return
        self._signed_on.add(terminal.terminal)
        if len(self._signed_on) == len(self._terminals):
            self._tell(f"{len(self._terminals)} terminals signed on")
            self._began = self._reactor.seconds()
            self._tick()

    def _check_signed_on(self) -> None:
        if not self._began:
            missing = len(self._terminals) - len(self._signed_on)
            self.failed(f"{missing} terminals are not signed on after {SIGN_ON_S:.0f} s")

    # ---- sales -----------------------------------------------------------------------------------

    def _tick(self) -> None:
        now = self._reactor.seconds()
        due = min(int((now - self._began) * self._rate) + 1, self._rate * self._seconds)
        while self._sent < due and len(self._out) < self._in_flight and self._free:
            self._begin(self._free.popleft())
        if now - self._began < self._seconds:
            self._reactor.callLater(_TICK_S, self._tick)
            return
        self._over = True
        self._reactor.callLater(GRACE_S, self._finish)
        self._maybe_finished()

    def _maybe_finished(self) -> None:
        if self._over and not self._out:
            self._finish()

    def _begin(self, terminal: PosTerminal) -> None:
        due_at = self._began + self._sent / self._rate
        sale = terminal.sale(self._card, AMOUNT_FEN)
        self._out[sale.terminal, sale.stan] = due_at
        self._links[self._sent % len(self._links)].send(sale.frame)
        self._sent += 1

    def _take(self, terminal: PosTerminal, message: Message) -> None:
        due_at = self._out.pop((terminal.terminal, message.fields.get("11", "")), None)
        if due_at is None:
            return
        self._ended = self._reactor.seconds()
        self._free.append(terminal)
        if message.code != "00":
            self._counts["declined"] += 1
        elif not terminal.proves(message):
            self._counts["unproven"] += 1
        else:
            self._counts["approved"] += 1
            self._times_ms.append((self._ended - due_at) * 1000)
        self._maybe_finished()

    def _finish(self) -> None:
        if self.done.called:
            return
        seconds = max(self._ended - self._began, 0.001)
        times = sorted(self._times_ms)
        self.done.callback(
            Report(
                due=self._rate * self._seconds,
                sent=self._sent,
                unanswered=len(self._out),
                seconds=round(seconds, 2),
                approved_per_s=round(self._counts["approved"] / seconds, 1),
                p50_ms=_percentile(times, 50),
                p95_ms=_percentile(times, 95),
                p99_ms=_percentile(times, 99),
                **self._counts,
            )
        )


def _percentile(times_ms: Sequence[float], per_hundred: int) -> float:
    """Nearest rank; 0 of nothing."""
    if not times_ms:
        return 0.0
    return round(times_ms[min(len(times_ms) - 1, len(times_ms) * per_hundred // 100)], 1)
