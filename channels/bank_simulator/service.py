"""Sockets and HTTP around the bank host: listening for switches, or dialling one.

Answers of one reactor turn leave together after one commit (group commit), so the simulator stays
cheap beside the switch that it rehearses.
"""

from typing import Any, Literal

import msgspec
from msgspec import Struct
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from channels.bank_simulator.habits import Order
from channels.bank_simulator.host import BankHost
from channels.bank_simulator.link_events import (
    Dialler,
    LinkEvent,
    LinkWatch,
    WatchedLink,
    peer_of,
)
from channels.bank_simulator.mistakes import mistake
from switch.net.frames import FrameError, FrameReader, LengthPrefix
from switch.observe.http import BadRequestError, Route
from switch.observe.logs import get_logger

FRAME_BYTES_MAX = 4096
LINKS_MAX = 64

_log = get_logger("bank_simulator")


class PushError(Exception):
    """What cannot be sent now; the text says why."""


class Push(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /push``: what the bank sends, and for which terminal (the first one)."""

    kind: Literal["key_reset", "day_cut_start", "day_cut_end", "echo"] = "key_reset"
    merchant: str = ""
    terminal: str = ""
    wrong_kcv: bool = False
    """A check value that is not the key's; where a block has none, another key."""


class BankService:
    """The links of one simulated bank. ``reactor`` schedules delays and the commit of a turn."""

    def __init__(self, host: BankHost, reactor: Any, prefix: LengthPrefix) -> None:
        self.host = host
        self.links: list[BankLink] = []
        self.watch: LinkWatch | None = None
        """Is told of every link, when somebody looks."""
        self._reactor = reactor
        self._prefix = prefix
        self._waiting: list[tuple[BankLink, int, bytes]] = []
        self._hanging_up: list[BankLink] = []
        self._scheduled = False

    def reader(self) -> FrameReader:
        """A fresh frame reader for a link."""
        return FrameReader(self._prefix, FRAME_BYTES_MAX)

    def frame(self, link: "BankLink", frame: bytes) -> None:
        """Let the host answer; the answers leave after the turn's commit."""
        for delay_ms, data in self.host.receive(frame):
            self._waiting.append((link, delay_ms, data))
        if self.host.hang_up:
            self.host.hang_up = False
            self._hanging_up.append(link)
        self._flush_soon()

    def push(self, order: Push) -> None:
        """Send something of the bank's own accord, on the youngest link. Raises PushError."""
        if not self.links:
            raise PushError("no link is up")
        host = self.host
        owners = host.keyring.owners
        owner = (order.merchant, order.terminal) if order.terminal else owners[0]
        if not host.keyring.knows(owner):
            raise PushError(f"terminal {owner[1]} is not in the keys file")
        if not host.pushes.has(order.kind):
            raise PushError(f"this dialect has no {order.kind}")
        sent = host.push(order.kind, owner, wrong_kcv=order.wrong_kcv)
        self._waiting += [(self.links[-1], delay_ms, data) for delay_ms, data in sent]
        self._flush_soon()

    def _flush_soon(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._reactor.callLater(0, self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        self.host.ledger.commit()
        waiting, self._waiting = self._waiting, []
        for link, delay_ms, data in waiting:
            if delay_ms:
                self._reactor.callLater(delay_ms / 1000, link.send, data)
            else:
                link.send(data)
        hanging_up, self._hanging_up = self._hanging_up, []
        for link in hanging_up:
            link.hang_up()

    def routes(self) -> dict[tuple[str, str], Route]:
        """What the simulator tells and takes over HTTP."""
        return {
            ("GET", "/ledger"): lambda _body: self.host.debits(),
            ("GET", "/health"): lambda _body: {
                "status": "up",
                "links": len(self.links),
                "counts": self.host.counts,
            },
            ("POST", "/habits"): self._set_habits,
            ("POST", "/push"): self._push,
            ("POST", "/day"): self._cut_over,
        }

    def _push(self, body: Any) -> dict[str, bool]:
        try:
            self.push(msgspec.convert(body or {}, Push))
        except msgspec.ValidationError as error:
            raise BadRequestError(mistake(error, Push)) from None
        except PushError as error:
            raise BadRequestError(str(error)) from None
        return {"ok": True}

    def _cut_over(self, _body: Any) -> dict[str, str]:
        date = self.host.cut_over()
        self._flush_soon()
        return {"date": date}

    def _set_habits(self, body: Any) -> dict[str, bool]:
        try:
            self.host.habits.set(msgspec.convert(body, Order))
        except msgspec.ValidationError as error:
            raise BadRequestError(mistake(error, Order)) from None
        except ValueError as error:
            raise BadRequestError(str(error)) from None
        return {"ok": True}


class BankLink(WatchedLink):
    """One connection, whoever dialled."""

    def __init__(self, service: BankService) -> None:
        super().__init__(service.watch)
        self._service = service
        self._reader = service.reader()
        self._up = False

    def connectionMade(self) -> None:
        self._up = True
        set_no_delay = getattr(self.transport, "setTcpNoDelay", None)
        if set_no_delay is not None:
            set_no_delay(True)
        self._service.links.append(self)
        super().connectionMade()

    def dataReceived(self, data: bytes) -> None:
        try:
            for frame in self._reader.receive(data):
                self._service.frame(self, frame)
        except FrameError as error:
            _log.warning("bad_frame", why=str(error))
            self.hang_up(str(error))

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._up = False
        self._service.links.remove(self)
        super().connectionLost(reason)

    def send(self, data: bytes) -> None:
        """Write if the link still stands; a late answer to a lost link goes nowhere."""
        if self._up and self.transport is not None:
            self.transport.write(data)


class BankListener(Factory):
    """Takes the switch's links."""

    noisy = False

    def __init__(self, service: BankService) -> None:
        self._service = service

    def buildProtocol(self, addr: IAddress | None) -> BankLink | None:
        service = self._service
        if len(service.links) < LINKS_MAX:
            return BankLink(service)
        if service.watch is not None:
            service.watch(LinkEvent(link="failed", peer=peer_of(addr), why="too_many"))
        return None


class BankDialer(Dialler):
    """Dials the switch, and again whenever the link is lost."""

    def __init__(self, service: BankService) -> None:
        self._service = service

    def watcher(self) -> LinkWatch | None:
        return self._service.watch

    def buildProtocol(self, addr: IAddress | None) -> BankLink:
        self.reached()
        return BankLink(self._service)
