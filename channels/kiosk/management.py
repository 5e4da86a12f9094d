"""The side of a terminal's link that is about the terminal itself: who it is and how it does, what
operators want of it, its certificate. No payment depends on anything here.

Rules
- An order goes to a connected terminal, again after a while and after every reconnect, until it is
  answered. A terminal of protocol 1 knows no orders: they wait for its newer program.
- Settings are also pushed to a terminal that took them once and says at Boot that it has older
  ones: its disk was replaced, or it has not been restarted yet.
- A certificate is renewed over the live link of its terminal alone, once in a while (I11).
- What has to be written is written in a thread; the answer follows when it is on the disk.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure

from channels.kiosk.config import KioskConfig
from channels.kiosk.orders import Order, OrderBook, Placed, Reply
from channels.kiosk.pki import PkiError
from channels.kiosk.registry import Registry, RegistryError, Terminal
from channels.kiosk.renewal import Renewals
from channels.kiosk.requests import Handler, Heading
from channels.kiosk.states import States
from switch.observe.logs import get_logger
from switch.ports import Context
from terminal_agent import protocol

_log = get_logger("kiosk")

ORDERS_VERSION = 2
"""The protocol version that brought orders."""
RESEND_MS = 60_000
"""An order without an answer is said again on the same link."""
RENEWAL_WAIT_MS = 3_600_000
"""Between two renewals of one terminal."""

P = ParamSpec("P")
R = TypeVar("R")


class Link(Protocol):
    """What is asked of a terminal's session."""

    record: Terminal
    serial: str
    certificate_ends_at: int
    version: int
    """Protocol version its kiosk booted with; 0: not booted yet."""

    def push(self, name: str, body: object) -> object:
        """An event to the terminal."""
        ...


class Management:
    """One front's management of its terminals."""

    def __init__(self, config: KioskConfig, registry: Registry, context: Context) -> None:
        folder = Path(config.pki)
        self.config = config
        self.timeline = context.timeline
        self.states = States(folder)
        self.orders = OrderBook(folder)
        self.renewals = Renewals(folder, registry)
        self.renewed_at: dict[str, int] = {}
        self._registry = registry
        self._reactor = context.reactor
        self._attended: dict[str, Attended] = {}
        self._writing = False

    def begin(self) -> None:
        """Terminals that should be there count as away until they connect."""
        for state in self.states.read_all():
            self.states.put(replace(state, connected=False))
        try:
            for record in self._registry.all():
                if record.enabled and record.certificates:
                    self.states.expect(record.terminal)
        except RegistryError as error:
            _log.warning("registry_unreadable", reason=str(error))
        self._forget_strangers()

    def attend(self, link: Link) -> "Attended":
        """The management of one link; a newer link of the same terminal takes over."""
        attended = Attended(self, link)
        self._attended[link.record.terminal] = attended
        return attended

    def is_live(self, attended: "Attended") -> bool:
        """Whether this is the terminal's newest link."""
        return self._attended.get(attended.terminal) is attended

    def left(self, attended: "Attended") -> None:
        """A link is gone."""
        if self.is_live(attended):
            del self._attended[attended.terminal]
            self.states.put(replace(self.states.of(attended.terminal), connected=False))

    def check(self) -> None:
        """Every ``registry_check_ms``: say waiting orders, write states."""
        now_ms = self.timeline.now_ms()
        for attended in list(self._attended.values()):
            attended.say_orders(now_ms)
        self._forget_strangers()
        due = [] if self._writing else self.states.due(now_ms)
        if due:
            self._writing = True
            self.in_thread(self.states.write, due).addErrback(_unwritten).addBoth(self._written)

    def in_thread(self, what: Callable[P, R], *args: P.args, **named: P.kwargs) -> "Deferred[R]":
        """Do what blocks elsewhere."""
        pool = self._reactor.getThreadPool()
        work: Deferred[R] = deferToThreadPool(self._reactor, pool, what, *args, **named)
        return work

    def _written(self, _result: object) -> None:
        self._writing = False

    def _forget_strangers(self) -> None:
        """Revoked or disabled terminals are missed by nobody."""
        for terminal in self.states.known():
            if terminal in self._attended:
                continue
            try:
                record = self._registry.get(terminal)
            except RegistryError:
                self.states.forget(terminal)
            else:
                if not record.enabled or not record.certificates:
                    self.states.forget(terminal)


class Attended:
    """One link's management: the handlers of its requests, and what was said to it."""

    def __init__(self, house: Management, link: Link) -> None:
        self.terminal = link.record.terminal
        self._house = house
        self._link = link
        self._settings = 0
        self._said: dict[str, tuple[str, int]] = {}
        """Kind of order → (id, when) said on this link."""
        self.handlers: Mapping[str, Handler] = {
            protocol.BOOT: self._boot,
            protocol.HEARTBEAT: self._heartbeat,
            protocol.DEVICE_STATUS: self._device_status,
            protocol.SETTINGS_APPLIED: self._settings_applied,
            protocol.COMMAND_DONE: self._command_done,
            protocol.CERTIFICATE_RENEW: self._certificate_renew,
        }

    def gone(self) -> None:
        """The link is over."""
        self._house.left(self)

    def say_orders(self, now_ms: int) -> None:
        """Push what waits for this terminal."""
        if self._link.version < ORDERS_VERSION:
            return
        for placed in self._house.orders.placed(self.terminal):
            order = placed.order
            said_id, said_at = self._said.get(order.kind, ("", 0))
            again = said_id != order.id or (placed.reply is None and now_ms - said_at >= RESEND_MS)
            if again and self._is_wanted(placed):
                self._said[order.kind] = (order.id, now_ms)
                _log.info("order_sent", terminal=self.terminal, do=order.do, order=order.id)
                self._link.push(*_event(order))

    def _is_wanted(self, placed: Placed) -> bool:
        order, reply = placed.order, placed.reply
        return reply is None or (reply.ok and order.version > self._settings)

    # ---- requests --------------------------------------------------------------------------------

    async def _boot(self, _heading: Heading, body: protocol.Boot) -> object:
        self._settings = body.settings
        _log.info(
            "terminal_boot",
            terminal=self.terminal,
            software=body.software,
            release=body.release,
            version=self._link.version,
        )
        if self._link.serial in self._link.record.renewals:
            await self._certificate_used()
        self._note(
            connected=self._house.is_live(self),
            software=body.software,
            release=body.release,
            version=self._link.version,
            settings=body.settings,
            devices=body.devices,
            certificate_ends_at=self._link.certificate_ends_at,
        )
        config = self._house.config
        return protocol.BootReply(
            heartbeat_ms=config.heartbeat_ms,
            terminal_timeout_ms=config.terminal_timeout_ms,
            server_ms=self._house.timeline.now_ms(),
            versions=(protocol.OLDEST_VERSION, protocol.VERSION),
        )

    async def _heartbeat(self, _heading: Heading, body: protocol.Heartbeat) -> object:
        self._note(devices=body.devices)
        return protocol.HeartbeatReply(server_ms=self._house.timeline.now_ms())

    async def _device_status(self, _heading: Heading, body: protocol.DeviceStatus) -> object:
        self._note(devices=body.devices)
        return {}

    async def _settings_applied(self, _heading: Heading, body: protocol.SettingsApplied) -> object:
        for placed in self._house.orders.placed(self.terminal):
            if placed.order.do == "settings" and placed.order.version == body.version:
                await self._answered(placed.order, body.ok, body.text)
        return {}

    async def _command_done(self, _heading: Heading, body: protocol.CommandDone) -> object:
        for placed in self._house.orders.placed(self.terminal):
            if placed.order.do != "settings" and placed.order.id == body.command:
                log = body.log if placed.order.do == "logs" else ""
                await self._answered(placed.order, body.ok, body.text, log)
        return {}

    async def _certificate_renew(self, heading: Heading, body: protocol.CertificateRenew) -> object:
        house, now_ms = self._house, self._house.timeline.now_ms()
        asked_at = house.renewed_at.get(self.terminal)
        if asked_at is not None and now_ms - asked_at < RENEWAL_WAIT_MS:
            rule = f"once in {RENEWAL_WAIT_MS // 60_000} minutes"
            raise protocol.ProtocolError("too_soon", rule, request_id=heading.id)
        house.renewed_at[self.terminal] = now_ms
        try:
            certificate = await house.in_thread(
                house.renewals.renew, self.terminal, self._link.serial, body.csr.encode()
            )
        except (PkiError, RegistryError) as error:
            _log.warning("renewal_refused", terminal=self.terminal, reason=str(error))
            raise protocol.ProtocolError(
                "bad_field", "cannot be signed", "csr", heading.id
            ) from None
        _log.info("certificate_renewed", terminal=self.terminal)
        return protocol.Renewed(certificate=certificate.decode())

    # ---- what follows ----------------------------------------------------------------------------

    async def _certificate_used(self) -> None:
        house = self._house
        try:
            await house.in_thread(house.renewals.used, self.terminal, self._link.serial)
        except (RegistryError, OSError) as error:
            # The old certificate lives on, and the next Boot ends it.
            _log.warning("renewal_not_noted", terminal=self.terminal, reason=str(error))

    async def _answered(self, order: Order, ok: bool, text: str, log: str = "") -> None:
        _log.info("order_answered", terminal=self.terminal, do=order.do, order=order.id, ok=ok)
        reply = Reply(
            id=order.id,
            ok=ok,
            text=_printable(text),
            at=self._house.timeline.now_ms() // 1000,
        )
        house = self._house
        lines = "".join(_printable(line) + "\n" for line in log.splitlines())
        await house.in_thread(house.orders.answer, self.terminal, order.kind, reply, lines)

    def _note(self, **said: Any) -> None:
        """Keep what the terminal said; an older link says nothing any more."""
        if self._house.is_live(self):
            states = self._house.states
            heard_at = self._house.timeline.now_ms()
            states.put(replace(states.of(self.terminal), heard_at=heard_at, **said))


def _event(order: Order) -> tuple[str, object]:
    if order.do == "settings":
        body = protocol.SettingsPush(version=order.version, settings=order.settings)
        return protocol.SETTINGS_PUSH, body
    return protocol.COMMAND, protocol.Command(command=order.id, do=order.do, text=order.text)


def _printable(text: str) -> str:
    """Without what could play tricks on the terminal of whoever reads it."""
    return "".join(letter for letter in text if letter.isprintable())


def _unwritten(failure: Failure) -> None:
    """The states are for people: say so, and try again with the next ones."""
    _log.error("states_not_written", exc_info=failure.value)
