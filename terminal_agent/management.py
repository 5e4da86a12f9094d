"""The side of the kiosk that its operators see: what it says of itself, what it is ordered to do,
its lock and its certificate. No payment depends on anything here."""

import importlib.metadata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from terminal_agent import logs, protocol
from terminal_agent.certificate import Identity
from terminal_agent.config import AgentConfig
from terminal_agent.device_watch import DeviceWatch
from terminal_agent.link import Link
from terminal_agent.lock import Lock
from terminal_agent.orders import DoneCommands, Orders
from terminal_agent.renewal import Renewal
from terminal_agent.settings import Settings

SOFTWARE = "yinyitong-agent"
ENVELOPE_BYTES = 1_024
"""Left for what surrounds the log in its message."""


def beside(config: AgentConfig, name: str) -> Path:
    """A file of the kiosk's own, beside its journal: ``journal.NAME.json``."""
    return Path(config.journal).with_suffix(f".{name}.json")


class Management:
    """One kiosk's. ``states`` gives role → state, ``is_idle`` says that no patient and no open
    payment is here. Raises ConfigError, OSError without a usable certificate."""

    def __init__(
        self,
        reactor: Any,
        config: AgentConfig,
        settings: Settings,
        *,
        now_ms: Callable[[], int],
        states: Callable[[], Mapping[str, str]],
        is_idle: Callable[[], bool],
    ) -> None:
        self._config = config
        self._settings = settings
        self.identity = Identity(Path(config.switch.pki))
        self.lock = Lock(beside(config, "lock"))
        self._devices = DeviceWatch(reactor, states)
        self._orders = Orders(
            settings=settings,
            lock=self.lock,
            done=DoneCommands(beside(config, "commands")),
            is_idle=is_idle,
            log_tail=self._log_tail,
            restart=reactor.stop,
        )
        self._renewal = Renewal(
            reactor, self.identity, config.terminal, now_ms=now_ms, is_idle=is_idle
        )

    def use(self, link: Link) -> None:
        """The link that all of it goes over."""
        self._devices.link = self._orders.link = self._renewal.link = link

    def start(self) -> None:
        """Begin to look at devices and certificate."""
        self._devices.start()
        self._renewal.start()

    def stop(self) -> None:
        """No timer stays."""
        self._devices.stop()
        self._renewal.stop()

    def link_came_up(self) -> None:
        """What waited for the link; never before money's own (see the outbox)."""
        self._renewal.link_came_up()

    def boot(self) -> protocol.Boot:
        """Who this kiosk is."""
        return protocol.Boot(
            software=SOFTWARE,
            release=importlib.metadata.version("yinyitong"),
            devices=self._devices.states(),
            settings=self._settings.version,
        )

    def heartbeat(self) -> protocol.Heartbeat:
        """How it is."""
        return protocol.Heartbeat(devices=self._devices.states())

    def events(self) -> dict[str, Callable[[protocol.Envelope], None]]:
        """Name of an event of the switch → who takes it."""
        return {
            protocol.SETTINGS_PUSH: self._orders.pushed,
            protocol.COMMAND: self._orders.commanded,
        }

    def _log_tail(self) -> str:
        return logs.RING.tail(self._config.switch.message_bytes_max - ENVELOPE_BYTES)
