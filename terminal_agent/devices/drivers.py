"""Drivers by role and name; a driver's module is imported only when it is configured."""

from pathlib import Path
from typing import Any, cast

from terminal_agent.config import ConfigError, Device
from terminal_agent.devices.interfaces import CardReader, PinPad, Printer
from terminal_agent.devices.waiting import Waiting


def card_reader(device: Device, reactor: Any) -> CardReader:
    """``simulator``: option ``cards`` (a YAML file). Raises ConfigError."""
    if device.driver == "simulator":
        from terminal_agent.devices.card_simulator import SimulatedCardReader

        return SimulatedCardReader(_path(device, "cards"), Waiting(reactor))
    raise ConfigError(f"devices.card_reader.driver: no driver {device.driver}")


def pin_pad(device: Device, reactor: Any) -> PinPad:
    """``simulator``: option ``key_file`` (the pad's key, hex). Raises ConfigError."""
    if device.driver == "simulator":
        from terminal_agent.devices.pad_simulator import SimulatedPinPad

        return cast(PinPad, SimulatedPinPad(_path(device, "key_file"), Waiting(reactor)))
    raise ConfigError(f"devices.pin_pad.driver: no driver {device.driver}")


def printer(device: Device) -> Printer:
    """``simulator``: option ``folder``. Raises ConfigError."""
    if device.driver == "simulator":
        from terminal_agent.devices.printer_simulator import SimulatedPrinter

        return SimulatedPrinter(_path(device, "folder"))
    raise ConfigError(f"devices.printer.driver: no driver {device.driver}")


def _path(device: Device, option: str) -> Path:
    if option not in device.options:
        raise ConfigError(f"devices: driver {device.driver} needs the option {option}")
    return Path(device.options[option])
