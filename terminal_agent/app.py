"""The agent put together: the only module besides the command that meets the real reactor."""

import datetime
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from terminal_agent import protocol
from terminal_agent.attendant_code import AttendantCode
from terminal_agent.card_payment import CardPayments
from terminal_agent.config import AgentConfig, Device, Devices, Flows
from terminal_agent.control import Control
from terminal_agent.desk import Desk, FlowError
from terminal_agent.devices import drivers
from terminal_agent.finisher import Finisher
from terminal_agent.flow import ScriptedHands, Wish
from terminal_agent.flows.view import DeviceLine
from terminal_agent.identification import Identification
from terminal_agent.journal import Journal
from terminal_agent.link import Connect, Link
from terminal_agent.logs import get_logger
from terminal_agent.management import Management, beside
from terminal_agent.outbox import CARD_RESULTS, OPEN_PAYMENTS, WAITING_STARTS, Outbox
from terminal_agent.page import PageSite
from terminal_agent.payments import Payments
from terminal_agent.settings import Settings
from terminal_agent.slips import Slips
from terminal_agent.visits import Visits

_log = get_logger("agent")


class SteadyClock:
    """Wall time at start plus monotonic time since: a step of the clock moves no timer (I14)."""

    def __init__(self) -> None:
        self._born_ms = int(time.time() * 1000)
        self._born = time.monotonic()

    def now_ms(self) -> int:
        """Milliseconds since 1970, never jumping back."""
        return self._born_ms + int((time.monotonic() - self._born) * 1000)


def today() -> str:
    """YYYYMMDD by the kiosk's calendar: part of a key's name, nothing decides by it."""
    return datetime.datetime.now().astimezone().strftime("%Y%m%d")


def date_time() -> tuple[str, str]:
    """YYMMDD and HHMMSS by the kiosk's calendar, as a chip card hears them."""
    now = datetime.datetime.now().astimezone()
    return now.strftime("%y%m%d"), now.strftime("%H%M%S")


class Agent:
    """One kiosk's process. Raises ConfigError, OSError when it cannot be built."""

    def __init__(
        self,
        config: AgentConfig,
        reactor: Any,
        *,
        on_news: Callable[[protocol.Told], bool] = lambda _told: False,
        on_up: Callable[[], None] = lambda: None,
        batch_ms: int = 0,
        now_ms: Callable[[], int] | None = None,
        connect: Connect | None = None,
    ) -> None:
        """``on_news`` returning True takes an answer away from the kiosk's flow (load). ``now_ms``
        and ``connect`` are a bench's: another clock, another way to the switch."""
        settings = Settings(beside(config, "settings"), config)
        self._config = config = settings.config
        self._settings_version = settings.version
        self._reactor = reactor
        self._on_news = on_news
        self._on_up = on_up
        self._connect = connect
        self.now_ms = now_ms or SteadyClock().now_ms
        self.journal = Journal(Path(config.journal), config.terminal, power_safe=not batch_ms)
        self.devices = _built(config.devices, reactor)
        self.slips = Slips(config.receipt, config.terminal, self.journal, self.devices["printer"])
        self.desk = Desk(self.journal, now_ms=self.now_ms, today=today)
        self.payments = Payments(
            reactor,
            self.journal,
            config.payment,
            now_ms=self.now_ms,
            on_news=self._news,
            batch_ms=batch_ms,
        )
        self.finisher = Finisher(self.journal, self._card_must_stay)
        self.management = Management(
            reactor,
            config,
            settings,
            now_ms=self.now_ms,
            states=self.device_states,
            is_idle=self._is_idle,
        )
        self.hands = ScriptedHands(
            config,
            self.desk,
            self.devices["card_reader"],
            self.devices["pin_pad"],
            self.finisher,
            locked=lambda: self.management.lock.locked,
        )
        self.visits = self._visits(config.flows) if config.flows is not None else None
        self.page = self._page()
        self._outbox = self._made_outbox()
        self._events = {
            protocol.PAYMENT_ANSWER: self.payments.received,
            protocol.CARD_FINISH: self.finisher.received,
            **self.management.events(),
        }
        self.link = self._made_link(config)
        self._control: Any = None

    def _made_link(self, config: AgentConfig) -> Link:
        link = Link(
            self._reactor,
            config.switch,
            config.terminal,
            self.management.identity,
            now_ms=self.now_ms,
            random=random.random,
            boot=self.management.boot,
            heartbeat=self.management.heartbeat,
            on_up=self._up,
            on_down=self._down,
            on_event=self._event,
            connect=self._connect,
        )
        self.desk.link = self.payments.link = self.finisher.link = link
        self.desk.payments = self.payments
        self.management.use(link)
        return link

    def _made_outbox(self) -> Outbox:
        outbox = Outbox()
        outbox.add(CARD_RESULTS, self.finisher.link_came_up)
        outbox.add(OPEN_PAYMENTS, self.payments.ask_open)
        outbox.add(WAITING_STARTS, self.payments.send_waiting)
        return outbox

    def start(self) -> None:
        """Listen, recover, dial. The ``agent_ready`` line names the ports."""
        control = self._config.control
        self._control = self._reactor.listenTCP(
            control.port, self._control_site(), interface=control.bind
        )
        if self.page is not None:
            self.page.start()
        _log.info(
            "agent_ready",
            terminal=self._config.terminal,
            control_port=self._control.getHost().port,
            open=self.payments.open_count,
            settings=self._settings_version,
            **({"page": self.page.url} if self.page is not None else {}),
        )
        self.slips.recover()
        if self.visits is not None:
            self.visits.start()
            self._show_lock()
            self.management.lock.watch(self._show_lock)
        self.payments.start()
        self.management.start()
        self.link.start()
        self._reactor.addSystemEventTrigger("before", "shutdown", self.stop)

    def stop(self) -> None:
        """Before the reactor ends: nothing is lost, the journal has it all."""
        if self.page is not None:
            self.page.stop()
        if self.visits is not None:
            self.visits.stop()
        self.payments.stop()
        self.management.stop()
        self.link.stop()
        self.journal.close()

    def device_states(self) -> dict[str, str]:
        """Role → state."""
        return {role: driver.status() for role, driver in self.devices.items()}

    # ---- building --------------------------------------------------------------------------------

    def _control_site(self) -> Any:
        control = Control(
            self._config,
            self.journal,
            self.desk,
            self.slips,
            pay=self.hands.pay if self.visits is None else _paid_at_the_page,
            devices=self.device_states,
            locked=lambda: self.management.lock.locked,
        )
        return control.site(self._reactor)

    def _visits(self, flows: Flows) -> Visits:
        reader, pad = self.devices["card_reader"], self.devices["pin_pad"]
        visits = Visits(
            self._reactor,
            flows,
            terminal=self._config.terminal,
            hospital=self._config.receipt.hospital_name,
            journal=self.journal,
            desk=self.desk,
            slips=self.slips,
            cards=CardPayments(
                self._config,
                self.journal,
                self.desk,
                self.finisher,
                reader=reader,
                pad=pad,
                date_time=date_time,
            ),
            identification=Identification(
                visit_card=self.devices.get("visit_card"),
                id_reader=self.devices.get("id_reader"),
                scanner=self.devices.get("scanner"),
            ),
            reader=reader,
            pad=pad,
            devices=self._device_lines,
            code=_code(flows, self.now_ms),
            set_lock=self._set_lock,
            restart=self._reactor.stop,
            now_ms=self.now_ms,
        )
        for driver in self.devices.values():
            driver.watch(lambda _event: visits.devices_changed())
        return visits

    def _page(self) -> PageSite | None:
        if self._config.page is None or self.visits is None:
            return None
        hands = None
        if self._config.page.panel:
            from terminal_agent.panel_hands import PanelHands

            hands = PanelHands(self.devices, self._config.receipt)
            self.slips.watch(lambda _key, _what: hands.changed())
        return PageSite(self._config.page, self.visits, hands, self._reactor)

    def _device_lines(self) -> tuple[DeviceLine, ...]:
        return tuple(
            DeviceLine(
                role=role,
                driver=getattr(self._config.devices, role).driver,
                state=driver.status(),
            )
            for role, driver in self.devices.items()
        )

    # ---- events ----------------------------------------------------------------------------------

    def _up(self) -> None:
        self._outbox.link_came_up()
        self.management.link_came_up()
        if self.visits is not None:
            self.visits.link_changed(True)
        self._on_up()

    def _down(self) -> None:
        if self.visits is not None:
            self.visits.link_changed(False)

    def _event(self, envelope: protocol.Envelope) -> None:
        """An event of the switch; names that are not here are for a later kiosk."""
        take = self._events.get(envelope.name)
        if take is not None:
            take(envelope)

    def _news(self, told: protocol.Told) -> None:
        if self._on_news(told):
            return
        _log.info(
            "payment_told", key=told.key, state=told.state, version=told.version, code=told.code
        )
        self.slips.answered(told)
        if self.visits is not None:
            self.visits.answered(told)

    def _card_must_stay(self, key: str) -> None:
        if self.visits is not None:
            self.visits.card_must_stay(key)

    def _set_lock(self, text: str | None) -> None:
        """By the attendant's hand; kept as if the switch had said so."""
        lock = self.management.lock
        try:
            if text is None:
                lock.unlock()
            else:
                lock.lock(text)
        except OSError as error:
            _log.error("lock_not_kept", reason=str(error))

    def _show_lock(self) -> None:
        assert self.visits is not None
        self.visits.locked(self.management.lock.locked)

    def _is_idle(self) -> bool:
        """No patient is here, and no payment is open."""
        visited = self.visits is not None and self.visits.serving
        return self.payments.open_count == 0 and not self.hands.serving and not visited


def _built(devices: Devices, reactor: Any) -> dict[str, Any]:
    """Role → driver. Raises ConfigError."""
    found = {role.name: getattr(devices, role.name) for role in msgspec.structs.fields(Devices)}
    return {
        role: drivers.build(role, device, reactor)
        for role, device in found.items()
        if isinstance(device, Device)
    }


def _code(flows: Flows, now_ms: Callable[[], int]) -> AttendantCode | None:
    file = flows.attendant_code_file
    return AttendantCode(Path(file), now_ms) if file else None


async def _paid_at_the_page(_wish: Wish) -> protocol.Told:
    """The reader and the pad are the page's."""
    raise FlowError("page", "本机请在屏幕上操作")
