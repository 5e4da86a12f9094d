"""The ID card reader: the driver against its emulator over a real pseudo terminal."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal_agent.devices.emulator import Fault
from terminal_agent.devices.id_reader import IdReaderOptions, SamIdReader
from terminal_agent.devices.id_reader_emulator import SAMPLE, IdReaderEmulator
from terminal_agent.devices.interfaces import Completion, DeviceError
from terminal_agent.devices.sam_frames import (
    NATIONS,
    READ,
    SELECT,
    Decoder,
    card_of,
    data_of,
    encode,
    is_number,
)
from tests.devices.conftest import Bench


class Rig:
    """Driver and emulator, plugged together."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.emulator = IdReaderEmulator()
        self.cable = bench.plug(self.emulator)
        options = IdReaderOptions(
            port=str(bench.folder / "port"),
            baud=115200,
            answer_timeout_ms=600,
            reopen_min_ms=20,
            reopen_max_ms=100,
            poll_ms=60_000,
            find_interval_ms=20,
        )
        self.reader = SamIdReader(options, bench.reactor)
        bench.start(self.reader)

    def ends(self, work: Any) -> Completion:
        """How a command that fails ends."""
        with pytest.raises(DeviceError) as error:
            self.bench.run(work)
        return error.value.completion


@pytest.fixture
def rig(bench: Bench) -> Rig:
    """A reader without a card."""
    return Rig(bench)


def test_a_card_is_read(rig: Rig) -> None:
    """Waited for, read whole, and not read again before it was lifted."""
    waiting = rig.bench.begin(rig.reader.read_identity(5000))
    rig.emulator.put()
    card = rig.bench.end_of(waiting)

    assert card.name.reveal() == "张三"
    assert card.number.reveal() == "11010519491231002X"
    assert (card.sex, card.nation, card.birth) == ("女", "汉", "19491231")
    assert (card.valid_to, card.photo) == ("长期", SAMPLE.photo)
    assert rig.ends(rig.reader.read_identity(100)) is Completion.TIME_OUT
    rig.emulator.put()
    assert rig.bench.run(rig.reader.read_identity(1000)).issuer == SAMPLE.issuer


@pytest.mark.parametrize("moment", [SELECT, READ])
def test_a_card_lifted_too_early_is_waited_for(rig: Rig, moment: bytes) -> None:
    """No half card, no error: the patient puts it back."""
    rig.emulator.lift_before = moment
    rig.emulator.put()
    waiting = rig.bench.begin(rig.reader.read_identity(5000))
    rig.emulator.put()

    assert rig.bench.end_of(waiting).nation == "汉"


def test_giving_up(rig: Rig) -> None:
    """Cancel and unplug end the wait."""
    waiting = rig.bench.begin(rig.reader.read_identity(5000))
    rig.reader.cancel()
    with pytest.raises(DeviceError, match="canceled"):
        rig.bench.end_of(waiting)
    waiting = rig.bench.begin(rig.reader.read_identity(5000))
    rig.cable.unplug()
    with pytest.raises(DeviceError, match="deviceNotReady"):
        rig.bench.end_of(waiting)
    rig.cable.plug()
    rig.bench.until(lambda: rig.reader.status() == "online")


@pytest.mark.parametrize("fault", [Fault.SILENT, Fault.HALF, Fault.FLIPPED])
def test_no_good_answer_drops_the_line(rig: Rig, fault: Fault) -> None:
    """And it comes back."""
    rig.emulator.misbehave(fault)
    assert rig.ends(rig.reader.read_identity(1000)) is Completion.DEVICE_NOT_READY
    rig.bench.until(lambda: rig.reader.status() == "online")


@pytest.mark.parametrize("fault", [Fault.GARBAGE, Fault.SPLIT])
def test_noise_and_slow_bytes_are_no_failure(rig: Rig, fault: Fault) -> None:
    """The card is read all the same."""
    rig.emulator.put()
    rig.emulator.misbehave(fault, fault, fault)
    assert rig.bench.run(rig.reader.read_identity(1000)).nation == "汉"


@pytest.mark.parametrize(
    "data",
    [b"", bytes(4), data_of(SAMPLE)[:600], data_of(SAMPLE).replace(b"X\0", b"1\0")],
)
def test_a_card_that_is_none(rig: Rig, data: bytes) -> None:
    """Wrong lengths, half a card, a wrong check digit: said so, without its content."""
    rig.emulator.put_raw(data)
    assert rig.ends(rig.reader.read_identity(1000)) is Completion.INVALID_DATA


def test_I12_personal_data_is_not_shown() -> None:
    """Neither the card nor its parts print themselves."""
    assert repr(SAMPLE) == "<identity card>"
    assert "张三" not in f"{SAMPLE.name}{SAMPLE.number}{SAMPLE.address}"


def test_numbers_and_nations() -> None:
    """Check digits by GB 11643; 56 nations."""
    assert is_number("11010519491231002X")
    assert not is_number("110105194912310029")
    assert not is_number("١١٠١٠٥١٩٤٩١٢٣١٠٠٢X")
    assert (len(NATIONS), NATIONS[55]) == (56, "基诺")


@given(st.binary(max_size=1300), st.integers(1, 200), st.binary(max_size=20))
def test_frames_survive_any_cut(body: bytes, step: int, noise: bytes) -> None:
    """Cut anywhere, after noise without a start byte."""
    decoder = Decoder()
    wire = noise.replace(b"\xaa", b"") + encode(b"\0" + body)
    out = [item for at in range(0, len(wire), step) for item in decoder.feed(wire[at : at + step])]
    assert out == [b"\0" + body]


@given(st.binary(max_size=1400))
def test_any_card_content_is_a_card_or_an_error(data: bytes) -> None:
    """Nothing but ValueError."""
    try:
        card_of(data_of(SAMPLE)[:4] + data)
    except ValueError:
        return
