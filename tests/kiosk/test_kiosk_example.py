"""The example an operator copies is a configuration that the agent takes, with real devices."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from terminal_agent.config import AgentConfig, Device, Devices, load
from terminal_agent.devices import drivers
from terminal_agent.devices.escpos_printer import EscPosOptions
from terminal_agent.devices.id_reader import IdReaderOptions
from terminal_agent.devices.pcsc_reader import read_options
from terminal_agent.devices.scanner import ScannerOptions
from terminal_agent.devices.visit_card import split_options
from terminal_agent.devices.zt598 import Zt598Options
from terminal_agent.emv.profile import load_profile
from terminal_agent.flows.businesses import FLOWS, Goal
from tests.docs import pages

EXAMPLE = Path(__file__).parents[2] / "conf" / "kiosk.example.yaml"
INSTALL = pages.ROOT / "docs" / "kiosk-install.md"
SERIAL: dict[str, Any] = {
    "pin_pad": Zt598Options,
    "printer": EscPosOptions,
    "id_reader": IdReaderOptions,
    "scanner": ScannerOptions,
}


@pytest.fixture
def config() -> AgentConfig:
    """As the agent loads it."""
    return load(EXAMPLE)


def devices(config: AgentConfig) -> dict[str, Device]:
    """Role → device of those it has."""
    found = {
        role.name: getattr(config.devices, role.name) for role in msgspec.structs.fields(Devices)
    }
    return {role: device for role, device in found.items() if isinstance(device, Device)}


def test_no_device_of_the_example_is_made_up(config: AgentConfig) -> None:
    """Each driver exists and is a real one."""
    named = {role: device.driver for role, device in devices(config).items()}

    assert named == {
        "card_reader": "pcsc",
        "pin_pad": "zt598",
        "printer": "escpos",
        "visit_card": "pcsc",
        "id_reader": "sam",
        "scanner": "serial",
    }
    assert all(driver in drivers.DRIVERS[role] for role, driver in named.items())


@pytest.mark.parametrize("role", SERIAL)
def test_options_of_serial_devices_are_taken(config: AgentConfig, role: str) -> None:
    """By the driver's own schema; no two devices share a port."""
    ports = [
        device.options["port"] for device in devices(config).values() if "port" in device.options
    ]

    assert drivers.options_of(devices(config)[role], SERIAL[role])
    assert len(set(ports)) == len(ports) == len(SERIAL)


def test_options_of_readers_are_taken(config: AgentConfig) -> None:
    """Two roles, two expressions; the visit card's place of the number is complete."""
    found = devices(config)
    card, rest = split_options(found["visit_card"].options)

    assert read_options(found["card_reader"].options).reader != read_options(rest).reader
    assert card.key_file


def test_page_flows_and_chip_cards_fit_together(config: AgentConfig) -> None:
    """The profile is a shipped one; every business that is paid has a merchant; no side panel."""
    assert config.emv is not None
    assert config.page is not None
    assert config.flows is not None
    cleared = {flow.clearing for flow in FLOWS.values() if flow.goal is Goal.PAY}

    assert load_profile(config.emv.profile)
    assert set(config.emv.merchants) == cleared
    assert not config.page.panel
    assert config.flows.attendant_code_file


def test_the_browsers_open_the_page_of_the_example(config: AgentConfig) -> None:
    """Unit, task and the page about installing name the same address."""
    assert config.page is not None
    address = f"http://{config.page.bind}:{config.page.port}/kiosk"
    places = ("systemd/yyt-kiosk-browser.service", "windows/yyt-kiosk-browser.xml")

    assert all(address in (EXAMPLE.parent / place).read_text("utf-8") for place in places)
    assert address in pages.text(INSTALL)


def test_blocks_of_the_page_are_configuration() -> None:
    """The changes that docs/kiosk-install.md shows for Windows are taken, laid over the example."""
    from terminal_agent.config import load_yaml

    (block,) = [block for block in pages.blocks(INSTALL) if block.language == "yaml"]
    changed = msgspec.to_builtins(load_yaml(EXAMPLE))
    _lay_over(changed, _parsed(block.text))
    config = msgspec.convert(changed, AgentConfig, strict=False)

    assert config.devices.pin_pad.options["port"] == "COM1"
    assert "\\" in config.journal
    assert len(config.devices.printer.options) > 5


def _parsed(text: str) -> Any:
    import yaml

    return yaml.load(text, yaml.BaseLoader)


def _lay_over(below: dict[str, Any], above: dict[str, Any]) -> None:
    for name, value in above.items():
        if isinstance(value, dict):
            _lay_over(below[name], value)
        else:
            assert name in below, name
            below[name] = value
