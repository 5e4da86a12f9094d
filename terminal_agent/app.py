"""The agent put together: the only module besides the command that meets the real reactor."""

import datetime
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from terminal_agent import protocol
from terminal_agent.config import AgentConfig
from terminal_agent.control import Control
from terminal_agent.devices import drivers
from terminal_agent.flow import Kiosk
from terminal_agent.journal import Journal
from terminal_agent.link import Link
from terminal_agent.logs import get_logger
from terminal_agent.payments import Payments

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
    ) -> None:
        """``on_news`` returning True takes an answer away from the kiosk's flow (load)."""
        self._config = config
        self._reactor = reactor
        self._on_news = on_news
        self._on_up = on_up
        clock = SteadyClock()
        self.now_ms = clock.now_ms
        self.journal = Journal(Path(config.journal), config.terminal, power_safe=not batch_ms)
        self.pad = drivers.pin_pad(config.devices.pin_pad, reactor)
        self.kiosk = Kiosk(
            config,
            self.journal,
            reader=drivers.card_reader(config.devices.card_reader, reactor),
            pad=self.pad,
            printer=drivers.printer(config.devices.printer, reactor),
            now_ms=clock.now_ms,
            today=today,
        )
        self.payments = Payments(
            reactor,
            self.journal,
            config.payment,
            now_ms=clock.now_ms,
            on_news=self._news,
            batch_ms=batch_ms,
        )
        self.link = Link(
            reactor,
            config.switch,
            config.terminal,
            now_ms=clock.now_ms,
            random=random.random,
            on_up=self._up,
            on_event=self.payments.received,
        )
        self.payments.link = self.kiosk.link = self.link
        self.kiosk.payments = self.payments
        self._control: Any = None

    def start(self) -> None:
        """Listen, recover, dial. The ``agent_ready`` line names the control port."""
        control = self._config.control
        site = Control(self._config, self.kiosk, self.journal).site(self._reactor)
        self._control = self._reactor.listenTCP(control.port, site, interface=control.bind)
        _log.info(
            "agent_ready",
            terminal=self._config.terminal,
            control_port=self._control.getHost().port,
            open=self.payments.open_count,
        )
        self.kiosk.recover()
        self.payments.start()
        self.link.start()
        self._reactor.addSystemEventTrigger("before", "shutdown", self.stop)

    def stop(self) -> None:
        """Before the reactor ends: nothing is lost, the journal has it all."""
        self.payments.stop()
        self.link.stop()
        self.journal.close()

    def _up(self) -> None:
        self.payments.link_came_up()
        self._on_up()

    def _news(self, told: protocol.Told) -> None:
        if not self._on_news(told):
            self.kiosk.answered(told)
