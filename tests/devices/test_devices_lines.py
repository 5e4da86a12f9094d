"""What all serial devices share: Windows, back-off on the injected clock, drivers by role, and
``yyt agent devices``."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from terminal_agent.config import ConfigError, Device
from terminal_agent.devices import drivers
from terminal_agent.devices.scanner import ScannerOptions, SerialScanner
from tests.kiosk.rig import Kiosk

ROOT = Path(__file__).parents[2]
POSIX_FREE = Path(__file__).with_name("posix_free.py")
LINE = {
    "baud": "9600",
    "answer_timeout_ms": "500",
    "reopen_min_ms": "100",
    "reopen_max_ms": "1000",
    "poll_ms": "60000",
}
ZT598 = {
    "master_slot": "01",
    "pin_slot": "30",
    "mac_slot": "31",
    "data_slot": "32",
    "mac_form": "x919",
    "clear_key": "clear",
}


def test_nothing_is_posix_only(tmp_path: Path) -> None:
    """All of the agent is imported, and every driver and a kiosk's patients are served, where
    fcntl, termios, pty, tty and the like do not exist."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(POSIX_FREE), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    drivers_line, outcomes, modules = done.stdout.splitlines()[-3:]
    assert outcomes.split() == ["approved", "approved", "approved", "left", "approved", "0"]
    assert int(modules) > 90
    assert drivers_line.split() == [
        "Zt598",
        "VisaPad",
        "NlPp60",
        "EscPosPrinter",
        "SamIdReader",
        "SerialScanner",
        "CashAcceptor",
        "IppPrinter",
    ]


class Line:
    """A port that opens as ordered."""

    def __init__(self, *ends: Exception | None) -> None:
        self.ends = list(ends)
        self.tries: list[float] = []
        self.ear: Any = None
        self.clock = Clock()

    def __call__(self, ear: Any, _options: Any, _reactor: Any) -> "Line":
        self.tries.append(round(self.clock.seconds(), 3))
        end = self.ends.pop(0) if self.ends else None
        if end is not None:
            raise end
        self.ear = ear
        return self

    def write(self, data: bytes) -> None:
        """Nobody listens."""

    def close(self) -> None:
        """Nothing to do."""


def scanner(line: Line, chance: float) -> SerialScanner:
    """A device whose greeting is always good."""
    options = ScannerOptions(
        port="COM1",
        baud=9600,
        answer_timeout_ms=100,
        reopen_min_ms=100,
        reopen_max_ms=1000,
        poll_ms=60_000,
        debounce_ms=100,
        gap_ms=100,
    )
    return SerialScanner(options, line.clock, open_port=line, chance=lambda: chance)


@pytest.mark.parametrize(
    ("chance", "waits"),
    [(1.0, [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]), (0.0, [0.05, 0.1, 0.2, 0.4, 0.5, 0.5])],
)
def test_I14_reopening_backs_off_with_jitter(chance: float, waits: list[float]) -> None:
    """Twice as long each time up to the limit, between half of it and all of it, on the injected
    clock; ENOTTY of a line without modem wires counts as any other failure to open."""
    line = Line(*[OSError(25, "ENOTTY")] * 3, *[ValueError("no such rate")] * 3)
    device = scanner(line, chance)
    device.start()
    for _ in range(9000):
        line.clock.advance(0.0005)

    assert device.status() == "online"
    gaps = [later - first for first, later in zip(line.tries, line.tries[1:], strict=False)]
    assert gaps == pytest.approx(waits, abs=0.003)


def test_an_exception_does_not_close_the_port(capsys: pytest.CaptureFixture[str]) -> None:
    """A defect in a driver costs the bytes, not the line, and the log tells its kind alone."""
    line = Line()
    device = scanner(line, 1.0)
    device.start()
    line.clock.advance(0)
    device._scanned = lambda *_: 1 / int("4938170"[-1])  # type: ignore[method-assign,assignment]
    line.ear.dataReceived(b"4938\r")

    assert device.status() == "online"
    out = capsys.readouterr().out
    assert "ZeroDivisionError" in out
    assert "4938" not in out


@pytest.mark.parametrize(
    ("role", "driver", "options", "said"),
    [
        ("pin_pad", "none", {}, "no driver none; there are simulator, zt598"),
        ("pin_pad", "zt598", {**LINE, **ZT598}, "missing required field `port`"),
        ("pin_pad", "zt598", {**LINE, **ZT598, "port": "x", "speed": "1"}, "unknown field `speed`"),
        ("pin_pad", "zt598", {**LINE, **ZT598, "port": "x", "baud": "0"}, r"\$\.baud"),
        ("pin_pad", "zt598", {**LINE, **ZT598, "port": "x", "mode": "9X1"}, r"\$\.mode"),
        ("pin_pad", "zt598", {**LINE, **ZT598, "port": "x", "uid_file": "/no"}, "No such file"),
        ("scanner", "serial", {**LINE, "port": "x"}, "missing required field"),
        ("toaster", "any", {}, "there are none"),
    ],
)
def test_unknown_drivers_and_fields_are_named(
    role: str, driver: str, options: dict[str, str], said: str
) -> None:
    """Before anything starts, with the place in the file."""
    with pytest.raises(ConfigError, match=said) as refused:
        drivers.build(role, Device(driver=driver, options=options), Clock())
    assert f"devices.{role}." in str(refused.value)


def test_yyt_agent_devices(tmp_path: Path) -> None:
    """A kiosk of emulated devices, asked by the command; one device is missing."""
    (tmp_path / "authority").mkdir()
    kiosk = Kiosk(tmp_path, tmp_path / "authority", 1)
    config = json.loads(kiosk.config.read_text())
    key = str(tmp_path / "pad.key")
    ipp = {"answer_timeout_ms": "4000", "print_timeout_ms": "500", "job_poll_ms": "50"}

    def at(name: str, **other: str) -> dict[str, str]:
        return {**LINE, "port": str(tmp_path / name), **other}

    config["devices"] |= {
        "pin_pad": {"driver": "zt598-emulator", "options": at("pad", **ZT598, key_file=key)},
        "printer": {"driver": "escpos-emulator", "options": at("prn", print_timeout_ms="500")},
        "id_reader": {"driver": "sam-emulator", "options": at("id", find_interval_ms="100")},
        "scanner": {
            "driver": "serial",
            "options": at("nothing-there", debounce_ms="100", gap_ms="100"),
        },
        "report_printer": {
            "driver": "ipp-emulator",
            "options": {**ipp, "poll_ms": "60000", "folder": str(tmp_path / "reports")},
        },
    }
    kiosk.config.write_text(json.dumps(config))
    config_file = str(kiosk.config)

    done = subprocess.run(
        [sys.executable, "-m", "switch.cli", "agent", "devices", "--json", "--config", config_file],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=ROOT,
    )

    found = {line["role"]: line["state"] for line in json.loads(done.stdout)}
    assert found == {
        "card_reader": "online",
        "pin_pad": "online",
        "printer": "online",
        "id_reader": "online",
        "scanner": "noDevice",
        "report_printer": "online",
    }
    assert done.returncode == 1
