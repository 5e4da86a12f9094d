"""The receipt printer: the driver against its emulator over a real pseudo terminal, and the
picture of a slip."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal_agent.devices.emulator import Fault
from terminal_agent.devices.escpos_emulator import EscPosEmulator
from terminal_agent.devices.escpos_paper import Paper, Raster, read_all, text_of
from terminal_agent.devices.escpos_preview import preview
from terminal_agent.devices.escpos_printer import EscPosOptions, EscPosPrinter, document
from terminal_agent.devices.interfaces import Completion, DeviceError
from terminal_agent.preview import find_font
from tests.devices.conftest import Bench

SLIP = "示范医院\n自助缴费凭条\n金额(元): 12.34\n请妥善保管 凭此查询\n"


class Rig:
    """Driver and emulator, plugged together."""

    def __init__(self, bench: Bench, poll_ms: int = 60_000) -> None:
        self.bench = bench
        self.emulator = EscPosEmulator()
        self.cable = bench.plug(self.emulator)
        options = EscPosOptions(
            port=str(bench.folder / "port"),
            baud=9600,
            answer_timeout_ms=600,
            reopen_min_ms=20,
            reopen_max_ms=100,
            poll_ms=poll_ms,
            print_timeout_ms=400,
        )
        self.printer = EscPosPrinter(options, bench.reactor)
        self.events = bench.start(self.printer)

    def print(self, text: str = SLIP) -> Any:
        """One slip."""
        return self.bench.run(self.printer.print_raw("KEY", text))

    def ends(self) -> tuple[Completion, str]:
        """How a slip that does not print ends, and the printer's state."""
        with pytest.raises(DeviceError) as error:
            self.print()
        return error.value.completion, self.printer.status()


@pytest.fixture
def rig(bench: Bench) -> Rig:
    """A printer with paper."""
    return Rig(bench)


def test_a_slip_comes_out(rig: Rig) -> None:
    """Chinese and all, and is cut."""
    rig.print()
    rig.print("第二张\n")

    assert [text.strip() for text, _ in rig.emulator.slips] == [SLIP.strip(), "第二张"]
    assert rig.printer.status() == "online"


def test_no_paper_no_slip(rig: Rig) -> None:
    """Paper out, cover open, cutter broken: nothing is sent."""
    rig.emulator.lines_left = 0
    assert rig.ends() == (Completion.DEVICE_NOT_READY, "paperOut")
    rig.emulator.refill()
    rig.emulator.cover_open = True
    assert rig.ends() == (Completion.DEVICE_NOT_READY, "coverOpen")
    rig.emulator.cover_open = False
    rig.emulator.broken = True
    assert rig.ends() == (Completion.HARDWARE_ERROR, "hardwareError")
    rig.emulator.broken = False
    assert rig.emulator.slips == []
    rig.print()
    assert len(rig.emulator.slips) == 1


def test_K10_paper_that_ends_within_a_slip(rig: Rig) -> None:
    """The slip is not taken for printed; after a refill the printer serves again."""
    rig.emulator.lines_left = 2
    assert rig.ends() == (Completion.DEVICE_NOT_READY, "paperOut")
    rig.emulator.refill()
    rig.print("again\n")

    assert rig.emulator.slips[-1][0].strip() == "again"


def test_paper_that_gets_low_still_prints(bench: Bench) -> None:
    """And the attendant hears of it by himself."""
    rig = Rig(bench, poll_ms=30)
    rig.emulator.near_end = True
    bench.until(lambda: rig.printer.status() == "paperLow")
    rig.print()

    assert [event.detail for event in rig.events] == ["online", "paperLow"]


@pytest.mark.parametrize("fault", [Fault.SILENT])
def test_a_silent_printer_is_none(rig: Rig, fault: Fault) -> None:
    """No status, no slip; the line comes back."""
    rig.emulator.misbehave(fault)
    assert rig.ends() == (Completion.DEVICE_NOT_READY, "noDevice")
    rig.bench.until(lambda: rig.printer.status() == "online")
    rig.print()


def test_noise_is_no_status(rig: Rig) -> None:
    """Bytes without the fixed bits are passed over."""
    rig.emulator.misbehave(*[Fault.GARBAGE] * 3)
    rig.emulator.send(b"\xff\x00\x41")
    rig.print()


def test_unplugged_and_back(rig: Rig) -> None:
    """As every serial device."""
    rig.cable.unplug()
    rig.bench.until(lambda: rig.printer.status() == "noDevice")
    rig.cable.plug()
    rig.bench.until(lambda: rig.printer.status() == "online")
    rig.print()


def test_control_characters_do_not_reach_the_printer() -> None:
    """A name from elsewhere cannot cut the paper or change the type."""
    slip = document("a\x1bi\x1d\x56b\t好\n")

    assert text_of(read_all(slip)).splitlines()[0] == "a?i?Vb?好"


def test_the_picture_of_a_slip(tmp_path: Path) -> None:
    """Width by columns, ink where text is, a QR code in the middle, sizes that differ."""
    from escpos.printer import Dummy
    from PIL import Image

    paper: Any = Dummy()
    paper.set(align="center", double_width=True, double_height=True)
    paper._raw(b"\x1c&" + "示范医院".encode("gb18030") + b"\n")
    paper.set(align="left", normal_textsize=True, bold=True)
    paper._raw("金额 12.34\n".encode("gb18030"))
    paper.set(align="center")
    paper.qr("KIOSK001-20260101-1", size=4)
    paper.cut()

    picture = Image.open(io.BytesIO(preview(paper.output, 32, find_font(""))))

    assert picture.width == 32 * 12 + 48
    assert picture.getextrema() == (0, 255)
    title = picture.crop((0, 24, picture.width, 84)).point(lambda grey: 255 - grey).getbbox()
    assert title is not None
    assert abs((title[0] + title[2]) / 2 - picture.width / 2) < 12
    assert title[2] - title[0] > 8 * 12
    assert any(isinstance(mark, Raster) for mark in read_all(paper.output))


def test_pillow_waits_for_the_first_picture() -> None:
    """A slip is made without Pillow and what else the printers of python-escpos load."""
    code = (
        "import sys; import terminal_agent.devices.escpos_preview; "
        "from terminal_agent.devices.escpos_printer import document; document('示范'); "
        "assert not [m for m in sys.modules if m.split('.')[0] in ('PIL', 'qrcode', 'barcode')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_slip_is_what_python_escpos_makes() -> None:
    """Byte for byte what its own printer sends for the same."""
    from escpos.printer import Dummy

    paper = Dummy()
    paper._raw(b"\x1b@\x1c&")
    paper._raw(SLIP.encode("gb18030"))
    paper.cut()

    assert document(SLIP) == paper.output


@given(st.text(max_size=200), st.integers(1, 30))
def test_any_text_survives_the_paper(text: str, step: int) -> None:
    """Encoded, cut into portions anywhere, read back: the same lines."""
    slip = document(text)
    paper = Paper()
    marks = [
        mark for at in range(0, len(slip), step) for mark in list(paper.feed(slip[at : at + step]))
    ]

    assert text_of(marks) == text_of(read_all(slip))


@given(st.binary(max_size=300))
def test_any_bytes_are_survived(data: bytes) -> None:
    """The reader raises nothing and ends."""
    read_all(data)
