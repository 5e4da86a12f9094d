"""A door: listens for peers, reads their requests, answers them, within stated bounds (I11).

Bad input, strangers and greed are answered politely, in the dialect's own codes, and the connection
lives on; what cannot be cut into frames any more closes it. One connection never holds up another.
"""

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct
from twisted.internet.defer import Deferred

from channels.inbound.answering import Said, echoed, inbound_codes
from channels.inbound.config import DoorConfig, StationConfig
from channels.inbound.reception import Arrived, Reception
from channels.inbound.station import Station
from channels.inbound.wire import Wire
from channels.iso8583.dial import Listener
from channels.iso8583.dialect import Dialect
from channels.iso8583.errors import RemoteError
from channels.iso8583.link import Link
from channels.iso8583.message import Message
from switch.net.allowed import PeerCounts
from switch.observe import metrics
from switch.observe.logs import get_logger
from switch.ports import Context, JournalDown, KeyServiceError, WorkingKeys

_log = get_logger("inbound")

SIGN_ON, SIGN_OFF, ECHO = "sign_on", "sign_off", "echo"


class Desk(Protocol):
    """What a door is for: serves requests that have proven themselves."""

    money: frozenset[str]
    """Kinds of request that begin a payment or take one back. Until the journal was asked each may
    be a repeat: "not served" would deny what lives or is done (I7), so nothing is said (I9)."""

    async def serve(self, arrived: Arrived) -> Said | None:
        """The answer; None: silence. Raises KeyServiceError, JournalDown: not served."""
        ...

    async def open_batch(self, arrived: Arrived) -> str:
        """The batch that a sign-on is told. Raises JournalDown."""
        ...

    def unheard(self, kind: str, request: Message, said: Said | None) -> None:
        """What was said of a request did not reach its peer; None: it could not be served, and
        nothing was said."""
        ...


class _Times(Struct, frozen=True):
    """What a link needs to know (LinkTimes)."""

    connect_timeout_ms: int
    frame_limit_bytes: int
    frame_timeout_ms: int
    echo_idle_ms: int


class Door:
    """See the module. Implements the link's owner."""

    def __init__(
        self,
        name: str,
        config: DoorConfig,
        stations: tuple[StationConfig, ...],
        desk: Desk,
        context: Context,
    ) -> None:
        """Raises TlsFilesError."""
        self.name = name
        self.dialect: Dialect = config.read_dialect()
        self._config = config
        self._desk = desk
        self._context = context
        self._timeline = context.timeline
        self._wire = Wire(self.dialect, context.key_service)
        self._codes = inbound_codes(self.dialect)
        self._times = _Times(
            connect_timeout_ms=config.connect_timeout_ms,
            frame_limit_bytes=config.frame_limit_bytes,
            frame_timeout_ms=config.frame_timeout_ms,
            echo_idle_ms=config.idle_timeout_ms,
        )
        held = (Station(name, one, self.dialect, config.pin_key_type, context) for one in stations)
        self.stations = {(one.config.merchant, one.config.terminal): one for one in held}
        self._reception = Reception(
            name, self._wire, self.stations, config.wrong_macs_per_minute, context
        )
        self._counts = PeerCounts(config.peer_in_flight_limit)
        self._links: set[Link] = set()
        self._listener = Listener(name, config.listen, context.reactor, self._new_link)

    # ---- life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Listen. Raises CannotListenError."""
        self._listener.start()

    def stop(self) -> None:
        """Close the door and every connection; payments go on without their terminal."""
        self._listener.stop()

    def health(self) -> Mapping[str, str]:
        """Listening or not; terminals come and go and are no fault of ours."""
        return {self.name: "up" if self._listener.port else "not listening"}

    def addresses(self) -> Mapping[str, int]:
        """The door's name → the port listened on."""
        return {self.name: self._listener.port} if self._listener.port else {}

    # ---- LinkOwner -------------------------------------------------------------------------------

    def link_up(self, link: Link) -> None:
        self._links.add(link)
        metrics.TERMINALS_CONNECTED.labels(self.name).set(len(self._links))

    def link_down(self, link: Link) -> None:
        self._links.discard(link)
        metrics.TERMINALS_CONNECTED.labels(self.name).set(len(self._links))

    def idle(self, link: Link) -> None:
        link.drop("idle")

    def frame(self, link: Link, frame: bytes) -> None:
        """One frame; an empty one is a heartbeat."""
        if not frame:
            return
        try:
            message = self._wire.decode(frame)
        except RemoteError as error:
            self._not_understood(link, frame, error)
            return
        Deferred.fromCoroutine(self._take(link, message)).addErrback(
            lambda failure: _log.error(
                "request_failed", door=self.name, mti=message.mti, error=str(failure)
            )
        )

    # ---- one request -----------------------------------------------------------------------------

    async def _take(self, link: Link, message: Message) -> None:
        """A defect in serving proves nothing of the payment: it is answered by silence."""
        kind = self._reception.kind(message)
        if not self._counts.take(link.peer):
            metrics.TERMINALS_REFUSED.labels("peer_in_flight").inc()
            said = self._not_served(kind, message, self._codes.busy)
            if said is not None and link.usable:
                link.send(self._wire.answer(message, self._fields(message, said)))
            return
        arrived_at = self._timeline.now_ms()
        said, keys, sent = None, None, False
        try:
            said, keys = await self._served(kind, message, link.peer)
            answer = await self._encoded(message, said, keys) if said is not None else b""
            sent = bool(answer) and self._in_time(link, message, arrived_at)
            if sent:
                link.send(answer)
        finally:
            self._counts.give_back(link.peer)
            if not sent and said is not None and keys is not None:
                self._desk.unheard(kind, message, said)

    def _in_time(self, link: Link, message: Message, arrived_at: int) -> bool:
        """Whether the terminal still waits; after that it has begun to reverse."""
        late_ms = self._timeline.now_ms() - arrived_at - self._config.terminal_timeout_ms
        if late_ms >= 0:
            _log.warning("answer_too_late", door=self.name, mti=message.mti, late_ms=late_ms)
        return late_ms < 0 and link.usable

    def _not_served(self, kind: str, message: Message, code: str) -> Said | None:
        """What is said of a request that could not even be looked up; None: nothing."""
        if kind not in self._desk.money:
            return Said(code)
        self._desk.unheard(kind, message, None)
        return None

    async def _served(
        self, kind: str, message: Message, peer: str
    ) -> tuple[Said | None, WorkingKeys | None]:
        """What to say, and the keys to say it with. Until the request is proven all that can go
        wrong has changed nothing, and is said without a MAC."""
        keys: WorkingKeys | None = None
        try:
            arrived = await self._reception.receive(kind, message, peer)
            if isinstance(arrived, Said):
                return arrived, None
            keys = arrived.keys
            if arrived.kind == SIGN_ON:
                return await self._sign_on(arrived), None
            if arrived.kind in {SIGN_OFF, ECHO}:
                return Said(self._codes.approved), None
            return await self._desk.serve(arrived), keys
        except (KeyServiceError, JournalDown) as error:
            _log.warning("not_served", door=self.name, mti=message.mti, why=str(error))
            return self._not_served(kind, message, self._codes.unavailable), keys

    async def _sign_on(self, arrived: Arrived) -> Said:
        """签到: fresh working keys under the terminal's master key, and the open batch."""
        station = arrived.station
        new = await station.sign_on()
        if new is None:
            return Said(self._codes.busy)
        batch = await self._desk.open_batch(arrived)
        _log.info("terminal_signed_on", door=self.name, terminal=station.config.terminal)
        return Said(self._codes.approved, {new.field: new.block, **self._sign_on_says(batch)})

    def _sign_on_says(self, batch: str) -> dict[str, str]:
        answer = self.dialect.network[SIGN_ON].answer
        texts = {number: text for number, text in answer.items() if isinstance(text, str)}
        return {number: text.replace("{batch}", batch) for number, text in texts.items()}

    # ---- answers ---------------------------------------------------------------------------------

    async def _encoded(self, request: Message, said: Said, keys: WorkingKeys | None) -> bytes:
        fields = self._fields(request, said)
        if keys is None:
            return self._wire.answer(request, fields)
        return await self._wire.sealed_answer(request, fields, keys.mak)

    def _fields(self, request: Message, said: Said) -> dict[str, str]:
        date, time = self._timeline.wall_clock()
        fields = echoed(self.dialect, request) | {"39": said.code}
        for number, value in (("12", time), ("13", date[4:])):
            if number in self.dialect.fields:
                fields[number] = value
        return fields | dict(said.fields)

    def _not_understood(self, link: Link, frame: bytes, error: RemoteError) -> None:
        """Who can be told that it was no message is told so; the connection lives on."""
        _log.warning(
            "frame_not_understood", bank=self.name, path=error.path, rule=error.rule, peer=link.peer
        )
        metrics.TERMINALS_REFUSED.labels("format").inc()
        heading = self._wire.heading(frame)
        if heading is not None and link.usable:
            link.send(self._wire.answer(heading, {"39": self._codes.format_error}))

    def _new_link(self, name: str, expected: frozenset[str] | None) -> Link:
        prefix = self.dialect.length_prefix
        return Link(
            name, self, self._timeline, self._times, prefix, expected=expected, holds_back=True
        )
