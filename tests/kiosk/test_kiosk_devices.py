"""Simulated devices fill the interfaces that real drivers will: waiting ends, PINs stay inside."""

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from hsm.primitives import account12, ecb_decrypt, pin_from_block_0
from terminal_agent.config import ConfigError, Device, load
from terminal_agent.devices import drivers
from terminal_agent.devices.card_simulator import SimulatedCardReader, load_cards
from terminal_agent.devices.interfaces import Completion, DeviceError, DeviceEvent
from terminal_agent.devices.pad_simulator import SimulatedPinPad
from terminal_agent.devices.waiting import Waiting
from terminal_agent.protocol import Opaque, Pan
from tests.kiosk.rig import PAD_KEY, PAN, PIN, TRACK2


def result(waiting: "Deferred[Any]") -> Any:
    """What a fired Deferred holds: its value, or its DeviceError's completion."""
    out: list[Any] = []
    waiting.addCallbacks(out.append, lambda failure: out.append(failure.value.completion))
    return out[0] if out else None


@pytest.fixture
def pad(tmp_path: Path) -> SimulatedPinPad:
    """A pad with its key."""
    (tmp_path / "pad.key").write_text(PAD_KEY)
    return SimulatedPinPad(tmp_path / "pad.key", Waiting(Clock()))


def test_the_pad_truly_encrypts(pad: SimulatedPinPad) -> None:
    """ISO format 0 under the pad's key, known to whoever holds that key and to nobody else."""
    pad.type(Opaque(PIN))
    assert result(Deferred.fromCoroutine(pad.pin_entry(4, 12, 1000))) == 6
    block = result(Deferred.fromCoroutine(pad.get_pin_block(Pan(PAN))))

    clear = ecb_decrypt(bytes.fromhex(PAD_KEY), bytes.fromhex(block.reveal()))

    assert pin_from_block_0(clear, account12(PAN)) == PIN
    assert pad.key_check_value == "08D7B4"
    again = result(Deferred.fromCoroutine(pad.get_pin_block(Pan(PAN))))
    assert again is Completion.SEQUENCE_ERROR


def test_I12_key_events_show_stars(pad: SimulatedPinPad) -> None:
    """Whoever watches the keyboard learns the length and no digit."""
    events: list[DeviceEvent] = []
    pad.watch(events.append)

    pad.type(Opaque(PIN))

    assert [event.detail for event in events] == ["*"] * 6 + ["enter"]
    assert PIN not in repr(events) + repr(pad.__dict__["_typed"])


def test_waiting_for_the_patient_ends(tmp_path: Path) -> None:
    """Time-out and cancel, for card and PIN; a card inserted while waiting is read."""
    clock = Clock()
    (tmp_path / "pad.key").write_text(PAD_KEY)
    (tmp_path / "cards.yaml").write_text(
        f'cards: [{{id: good, pan: "{PAN}", expiry: "3012", track2: "{TRACK2}", chip: "9F26"}}]'
    )
    pad = SimulatedPinPad(tmp_path / "pad.key", Waiting(clock))
    reader = SimulatedCardReader(tmp_path / "cards.yaml", Waiting(clock))

    late = Deferred.fromCoroutine(pad.pin_entry(4, 12, 1000))
    no_card = Deferred.fromCoroutine(reader.read_raw_data(1000))
    clock.advance(1.1)
    assert (result(late), result(no_card)) == (Completion.TIME_OUT, Completion.TIME_OUT)

    canceled = Deferred.fromCoroutine(pad.pin_entry(4, 12, 1000))
    pad.cancel()
    gone = Deferred.fromCoroutine(reader.read_raw_data(1000))
    reader.cancel()
    assert (result(canceled), result(gone)) == (Completion.CANCELED, Completion.CANCELED)

    reading = Deferred.fromCoroutine(reader.read_raw_data(1000))
    events: list[DeviceEvent] = []
    reader.watch(events.append)
    reader.insert("good")
    card = result(reading)
    result(Deferred.fromCoroutine(reader.move()))
    assert (card.entry_mode, card.pan.reveal(), repr(card)) == ("051", PAN, "<card>")
    assert [event.name for event in events] == [
        "CardReader.MediaInsertedEvent",
        "CardReader.MediaRemovedEvent",
    ]
    assert clock.getDelayedCalls() == []


@pytest.mark.parametrize("digits", ["123", "1234567890123", "12a4", "１２３４", ""])
def test_a_wrong_number_of_digits_is_a_user_error(pad: SimulatedPinPad, digits: str) -> None:
    """4 to 12 decimal digits, in ASCII."""
    pad.type(Opaque(digits))

    ended = result(Deferred.fromCoroutine(pad.pin_entry(4, 12, 1000)))

    assert ended is Completion.USER_ERROR


def test_unknown_drivers_and_bad_files_are_configuration_errors(tmp_path: Path) -> None:
    """Said before anything starts, without the content of a key file."""
    for choose in (
        lambda: drivers.card_reader(Device(driver="none"), Clock()),
        lambda: drivers.pin_pad(Device(driver="none"), Clock()),
        lambda: drivers.printer(Device(driver="none"), Clock()),
        lambda: drivers.card_reader(Device(driver="simulator"), Clock()),
    ):
        with pytest.raises(ConfigError):
            choose()
    (tmp_path / "pad.key").write_text("not hex 1234")
    with pytest.raises(ConfigError) as refused:
        SimulatedPinPad(tmp_path / "pad.key", Waiting(Clock()))
    assert "1234" not in str(refused.value)
    (tmp_path / "cards.yaml").write_text('cards: [{id: x, pan: "12", expiry: ""}]')
    with pytest.raises(ConfigError, match="12 to 19 digits"):
        load_cards(tmp_path / "cards.yaml")


def test_the_simulated_chip_has_no_contacts_yet(tmp_path: Path) -> None:
    """ChipPower and ChipIO end with their completion code."""
    reader = SimulatedCardReader(tmp_path / "none.yaml", Waiting(Clock()))

    for command in (reader.chip_power(), reader.chip_io(b"\x00\xa4")):
        ended = result(Deferred.fromCoroutine(command))
        assert ended is Completion.UNSUPPORTED_COMMAND
    assert str(DeviceError(Completion.USER_ERROR, "x")) == "userError: x"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("terminal: [", "expected"),
        ("a: 1\na: 2", "stands twice"),
        ("terminal: K1", "missing required field"),
        ("- 1", "Expected `object`"),
    ],
)
def test_configuration_mistakes_are_named(tmp_path: Path, text: str, said: str) -> None:
    """File and path of the first mistake."""
    file = tmp_path / "kiosk.yaml"
    file.write_text(text)

    with pytest.raises(ConfigError, match=said):
        load(file)
