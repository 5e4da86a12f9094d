"""Every configured device asked once how it is, for ``yyt agent devices``."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from terminal_agent.config import Device, Devices
from terminal_agent.devices import drivers
from terminal_agent.devices.interfaces import PrinterState, State

PATIENCE_MS: Final = 5000
"""A device that says nothing for so long is shown as it is."""
LOOK_MS: Final = 50
WORKING: Final = (State.ONLINE, PrinterState.PAPER_LOW, PrinterState.TONER_LOW)
"""States of a device that does its work."""


class Survey:
    """Builds the drivers, and calls ``done`` when no device is starting any more. Raises
    ConfigError."""

    def __init__(self, devices: Devices, reactor: Any, done: Callable[[], object]) -> None:
        self._reactor = reactor
        self._done = done
        self._end = reactor.seconds() + PATIENCE_MS / 1000
        self._known: list[tuple[str, str, Any]] = []
        self.found: list[dict[str, str]] = []
        """``role``, ``driver`` and ``state`` of each, once done."""
        for role in msgspec.structs.fields(Devices):
            device = getattr(devices, role.name)
            if isinstance(device, Device):
                driver = drivers.build(role.name, device, reactor)
                self._known.append((role.name, device.driver, driver))
        reactor.callLater(LOOK_MS / 1000, self._look)

    def _look(self) -> None:
        starting = any(driver.status() == State.STARTING for _, _, driver in self._known)
        if starting and self._reactor.seconds() < self._end:
            self._reactor.callLater(LOOK_MS / 1000, self._look)
            return
        self.found = [
            {"role": role, "driver": name, "state": driver.status()}
            for role, name, driver in self._known
        ]
        self._done()
