"""A branch on its link to the switch's door, one task after another, each with its time."""

from collections.abc import Mapping
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure

from channels.bank_simulator.branch import Branch, Task
from channels.bank_simulator.link_events import Dialler, LinkWatch, WatchedLink
from channels.bank_simulator.mistakes import mistake
from channels.iso8583.dialect import Dialect
from channels.iso8583.errors import RemoteError
from channels.iso8583.message import Message
from switch.net.frames import FrameError, FrameReader
from switch.observe.http import BadRequestError, Route
from switch.observe.logs import get_logger

FRAME_BYTES_MAX = 4096
TASKS_MAX = 1_000
"""Tasks in flight (I11)."""

_log = get_logger("bank_branch")


class BranchService(Dialler):
    """See the module. Signs on whenever its link comes up."""

    _of_branch = True

    def __init__(self, branch: Branch, dialect: Dialect, reactor: Any) -> None:
        self.branch = branch
        self.watch: LinkWatch | None = None
        """Is told of its link, when somebody looks."""
        self._dialect = dialect
        self._reactor = reactor
        self._link: BranchLink | None = None
        self._waiting: dict[str, Deferred[Message | None]] = {}

    # ---- tasks -----------------------------------------------------------------------------------

    async def do(self, task: Task) -> dict[str, object]:
        """One exchange. Raises ValueError: it cannot be sent."""
        if self._link is None:
            raise ValueError("no link is up")
        if task.do != "sign_on" and not self.branch.signed_on:
            raise ValueError("not signed on")
        if len(self._waiting) >= TASKS_MAX:
            raise ValueError("too much at once")
        stan, data = self.branch.request(task)
        key = f"{task.do}/{stan}"
        if key in self._waiting:
            raise ValueError(f"{key} is in flight")
        waiting: Deferred[Message | None] = Deferred()
        self._waiting[key] = waiting
        late = self._reactor.callLater(task.within_ms / 1000, self._answer, key, None)
        self._link.write(data)
        message = await waiting
        if late.active():
            late.cancel()
        try:
            return self.branch.answered(task, stan, message)
        except RemoteError as error:
            raise ValueError(str(error)) from None

    def arrived(self, message: Message) -> None:
        """An answer from the door: to the oldest task of its type that has its STAN."""
        stan = message.fields.get("11", "")
        for key in self._waiting:
            do, _, asked = key.partition("/")
            if asked == stan and self._answer_mti(do) == message.mti:
                self._answer(key, message)
                return
        _log.warning("unmatched_answer", mti=message.mti)

    def _answer_mti(self, do: str) -> str:
        dialect, origin = self._dialect, self._dialect.origin
        assert origin is not None  # the branch's check
        templates = {
            "sign_on": dialect.network["sign_on"],
            "query": origin.query,
            "pay": origin.pay,
            "reverse": dialect.reversal.template,
        }
        if dialect.settlement is not None:
            templates["settle"] = dialect.settlement.request
        return dialect.mtis[templates[do].mti].answer

    def _answer(self, key: str, message: Message | None) -> None:
        waiting = self._waiting.pop(key, None)
        if waiting is not None:
            waiting.callback(message)

    # ---- the link --------------------------------------------------------------------------------

    def watcher(self) -> LinkWatch | None:
        return self.watch

    def buildProtocol(self, addr: IAddress | None) -> "BranchLink":
        self.reached()
        return BranchLink(self)

    def link_up(self, link: "BranchLink") -> None:
        """Sign on at once."""
        self._link = link
        Deferred.fromCoroutine(self.do(Task(do="sign_on"))).addErrback(
            lambda failure: _log.warning("sign_on_failed", why=str(failure.value))
        )

    def link_down(self, link: "BranchLink") -> None:
        """What was asked on it is not answered any more."""
        if self._link is link:
            self._link = None
        for key in list(self._waiting):
            self._answer(key, None)

    def reader(self) -> FrameReader:
        """A fresh frame reader."""
        return FrameReader(self._dialect.length_prefix, FRAME_BYTES_MAX)

    def decoded(self, frame: bytes) -> Message | None:
        """None for what is no message."""
        try:
            return self.branch.wire.codec.decode(frame)
        except RemoteError as error:
            _log.warning("bad_message", why=str(error))
            return None

    # ---- HTTP ------------------------------------------------------------------------------------

    def routes(self) -> Mapping[tuple[str, str], Route]:
        """``POST /branch`` does a task, ``GET /branch`` tells what it did."""
        return {("GET", "/branch"): lambda _body: self.done(), ("POST", "/branch"): self._do}

    def done(self) -> dict[str, object]:
        """Payments of the branch, and the batch that is open."""
        rows = [
            {name: getattr(one, name) for name in ("batch", "stan", "amount_fen", "bill", "state")}
            for one in self.branch.paid.values()
        ]
        return {"signed_on": self.branch.signed_on, "batch": self.branch.batch, "payments": rows}

    async def _do(self, body: Any) -> dict[str, object]:
        try:
            return await self.do(msgspec.convert(body or {}, Task))
        except msgspec.ValidationError as error:
            raise BadRequestError(mistake(error, Task)) from None
        except ValueError as error:
            raise BadRequestError(str(error)) from None


class BranchLink(WatchedLink):
    """One connection to the door."""

    def __init__(self, service: BranchService) -> None:
        super().__init__(service.watch, branch=True)
        self._service = service
        self._reader = service.reader()

    def connectionMade(self) -> None:
        super().connectionMade()
        self._service.link_up(self)

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._service.link_down(self)
        super().connectionLost(reason)

    def dataReceived(self, data: bytes) -> None:
        try:
            for frame in self._reader.receive(data):
                message = self._service.decoded(frame) if frame else None
                if message is not None:
                    self._service.arrived(message)
        except FrameError as error:
            _log.warning("bad_frame", why=str(error))
            self.hang_up(str(error))

    def write(self, data: bytes) -> None:
        """Send."""
        if self.transport is not None:
            self.transport.write(data)
