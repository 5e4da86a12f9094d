"""PIN pad C: the driver against its emulator, over a real pseudo terminal."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from hsm.primitives import (
    account12,
    check_value,
    ecb_decrypt,
    ecb_encrypt,
    odd_parity,
    pin_from_block_0,
    retail_mac,
)
from terminal_agent.devices.emulator import Fault
from terminal_agent.devices.interfaces import Completion, DeviceError, KeyUse
from terminal_agent.devices.visa_frames import Decoder, Frame, Kind, encode
from terminal_agent.devices.visa_pad import VisaPad, VisaPadOptions
from terminal_agent.devices.visa_pad_emulator import VisaPadEmulator
from terminal_agent.protocol import Opaque, Pan
from tests.devices.conftest import Bench

MASTER = odd_parity(bytes(range(16)))
PIN_KEY = odd_parity(bytes(range(16, 32)))
MAC_KEY = odd_parity(bytes(range(32, 48)))
PAN = Pan("6225880000000001")
PIN = "493817"
BLOCK_TEXT = "B0016K0TB00E0000" + "F" * 16


class Rig:
    """Driver and emulator, plugged together."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.emulator = VisaPadEmulator(unwrap=lambda _block: odd_parity(bytes(range(64, 80))))
        self.emulator.load_master("0", MASTER)
        self.cable = bench.plug(self.emulator)
        options = VisaPadOptions(
            port=str(bench.folder / "port"),
            baud=1200,
            answer_timeout_ms=600,
            reopen_min_ms=20,
            reopen_max_ms=100,
            poll_ms=60_000,
            master_key="0",
            entry_timeout_ms=200,
        )
        self.pad = VisaPad(options, bench.reactor)
        self.events = bench.start(self.pad)

    def load(self, use: KeyUse, key: bytes, master: bytes = MASTER) -> None:
        """A session key under the master key."""
        sealed = ecb_encrypt(master, key).hex()
        self.bench.run(self.pad.import_key(use, sealed, check_value(key).hex()[:6]))

    def ends(self, work: Any) -> Completion:
        """How a command that fails ends."""
        with pytest.raises(DeviceError) as error:
            self.bench.run(work)
        return error.value.completion


@pytest.fixture
def rig(bench: Bench) -> Rig:
    """A pad with both session keys."""
    made = Rig(bench)
    made.load(KeyUse.PIN, PIN_KEY)
    made.load(KeyUse.MAC, MAC_KEY)
    return made


def typed(rig: Rig, keys: str = PIN + "\r") -> int:
    """A PIN entry with these keys."""
    entry = rig.bench.begin(rig.pad.pin_entry(4, 12, 5000, PAN))
    rig.emulator.press(keys)
    return int(rig.bench.end_of(entry))


def opened(rig: Rig) -> str:
    """The PIN of the block that the pad gave."""
    block = rig.bench.run(rig.pad.get_pin_block(PAN))
    clear = ecb_decrypt(PIN_KEY, bytes.fromhex(block.reveal()))
    return pin_from_block_0(clear, account12(PAN.reveal()))


def test_a_pin_becomes_a_true_block(rig: Rig) -> None:
    """Z62 with the session key, 71 with the block; it is given once."""
    assert typed(rig) == len(PIN)
    assert opened(rig) == PIN
    assert rig.ends(rig.pad.get_pin_block(PAN)) is Completion.SEQUENCE_ERROR


def test_a_block_belongs_to_its_card(rig: Rig) -> None:
    """The card is named before, and no other gets the block."""
    assert rig.ends(rig.pad.pin_entry(4, 12, 100)) is Completion.SEQUENCE_ERROR
    typed(rig)

    other = rig.pad.get_pin_block(Pan("6225880000000002"))
    assert rig.ends(other) is Completion.SEQUENCE_ERROR


def test_correcting_and_short_pins(rig: Rig) -> None:
    """The pad minds the limits."""
    assert typed(rig, "12\r\b9876\r") == 4
    assert opened(rig) == "9876"


def test_the_patient_may_give_up_or_go_away(rig: Rig) -> None:
    """EOT at the pad, 72 from the kiosk, time-out; afterwards the pad serves again."""
    for how, end in (
        (lambda: rig.emulator.press("1\x1b"), Completion.CANCELED),
        (rig.pad.cancel, Completion.CANCELED),
        (lambda: None, Completion.TIME_OUT),
    ):
        entry = rig.bench.begin(rig.pad.pin_entry(4, 6, 300, PAN))
        how()
        with pytest.raises(DeviceError) as error:
            rig.bench.end_of(entry)
        assert error.value.completion is end
    assert typed(rig) == len(PIN)


def test_canceled_before_the_pad_has_begun(rig: Rig) -> None:
    """A flow that gives up at once does not wait for the time-out."""
    entry = Deferred.fromCoroutine(rig.pad.pin_entry(4, 6, 60_000, PAN))
    rig.pad.cancel()
    with pytest.raises(DeviceError, match="canceled"):
        rig.bench.end_of(entry)
    rig.bench.settle()
    assert typed(rig) == len(PIN)


@pytest.mark.parametrize("size", [1, 8, 111, 112, 113, 500])
def test_macs(rig: Rig, size: int) -> None:
    """X9.19 under a double-length session key, in as many Z66 as it takes."""
    data = bytes(at % 251 for at in range(size))

    mac = rig.bench.run(rig.pad.generate_authentication(data))

    assert mac == retail_mac(MAC_KEY, data + bytes(-size % 8))


def test_a_key_with_a_wrong_check_value_is_not_used(rig: Rig) -> None:
    """The pad's own word for the key decides."""
    sealed = ecb_encrypt(MASTER, PIN_KEY).hex()
    assert rig.ends(rig.pad.import_key(KeyUse.PIN, sealed, "000000")) is Completion.INVALID_DATA
    entry = rig.pad.pin_entry(4, 12, 100, PAN)
    assert rig.ends(entry) is Completion.AUTHORISATION_REQUIRED
    wrong = ecb_encrypt(PIN_KEY, MAC_KEY).hex()
    assert rig.ends(rig.pad.import_key(KeyUse.MAC, wrong, "000000")) in (
        Completion.AUTHORISATION_REQUIRED,
        Completion.INVALID_DATA,
    )


def test_master_keys_come_as_key_blocks_only(rig: Rig) -> None:
    """02 with its echo; a clear key never leaves the kiosk."""
    new = odd_parity(bytes(range(64, 80)))
    assert rig.ends(rig.pad.load_master(MASTER.hex())) is Completion.INVALID_DATA
    rig.bench.run(rig.pad.load_master(BLOCK_TEXT))
    rig.load(KeyUse.PIN, PIN_KEY, new)

    assert typed(rig) == len(PIN)


def test_a_pad_without_master_key(bench: Bench) -> None:
    """It is there, and says what it lacks."""
    rig = Rig(bench)
    rig.emulator._masters.clear()
    work = rig.pad.import_key(KeyUse.PIN, "0" * 32, "000000")

    assert rig.ends(work) is Completion.AUTHORISATION_REQUIRED


def test_three_naks_and_no_more(rig: Rig) -> None:
    """Twice refused is delivered by the third try; refused three times it is given up."""
    rig.emulator.refusals = 2
    assert typed(rig) == len(PIN)
    rig.emulator.refusals = 3
    assert rig.ends(rig.pad.generate_authentication(b"1")) is Completion.HARDWARE_ERROR


def test_a_bad_answer_is_asked_for_again(rig: Rig) -> None:
    """NAK brings it a second and a third time; three bad ones are given up."""
    rig.emulator.misbehave(Fault.FLIPPED, Fault.FLIPPED)
    assert rig.bench.run(rig.pad.generate_authentication(b"1"))
    rig.emulator.misbehave(Fault.FLIPPED, Fault.FLIPPED, Fault.FLIPPED)
    assert rig.ends(rig.pad.generate_authentication(b"1")) is Completion.HARDWARE_ERROR
    assert rig.bench.run(rig.pad.generate_authentication(b"1"))


@pytest.mark.parametrize("fault", [Fault.SILENT, Fault.HALF])
def test_no_answer_drops_the_line(rig: Rig, fault: Fault) -> None:
    """And the line comes back."""
    rig.emulator.misbehave(fault)

    assert rig.ends(rig.pad.generate_authentication(b"1")) is Completion.DEVICE_NOT_READY
    rig.bench.until(lambda: rig.pad.status() == "online")
    assert rig.bench.run(rig.pad.generate_authentication(b"1"))


@pytest.mark.parametrize("fault", [Fault.SPLIT])
def test_slow_bytes_are_no_failure(rig: Rig, fault: Fault) -> None:
    """An answer that drips is taken."""
    rig.emulator.misbehave(fault, fault)

    assert rig.bench.run(rig.pad.generate_authentication(b"1"))


def test_unplugged_while_typing(rig: Rig) -> None:
    """The entry ends; the pad is found again and needs no new keys."""
    entry = rig.bench.begin(rig.pad.pin_entry(4, 6, 5000, PAN))
    rig.cable.unplug()
    with pytest.raises(DeviceError) as error:
        rig.bench.end_of(entry)
    assert error.value.completion is Completion.DEVICE_NOT_READY
    rig.cable.plug()
    rig.bench.until(lambda: rig.pad.status() == "online")
    assert typed(rig) == len(PIN)


def test_I12_nothing_secret_is_shown(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """No digit, block or key in events, logs and representations."""
    rig.emulator.type(Opaque(PIN))
    rig.bench.run(rig.pad.pin_entry(4, 12, 5000, PAN))
    shown = repr(rig.events) + repr(vars(rig.pad)) + capsys.readouterr().out

    for secret in (PIN, PAN.reveal(), PIN_KEY.hex(), ecb_encrypt(MASTER, PIN_KEY).hex().upper()):
        assert secret not in shown


@given(st.text("0123456789ABCDEFZ.", min_size=1, max_size=100), st.integers(1, 20))
def test_frames_survive_any_cut(text: str, step: int) -> None:
    """Both kinds, cut anywhere."""
    for kind in Kind:
        decoder = Decoder()
        wire = encode(text.encode(), kind) + b"\x06"
        parts = [wire[at : at + step] for at in range(0, len(wire), step)]
        out = [item for part in parts for item in decoder.feed(part)]
        assert out == [Frame(kind, text.encode()), 6]


@given(st.binary(max_size=2000))
def test_any_bytes_are_survived(data: bytes) -> None:
    """Nothing is raised, nothing grows without bound."""
    decoder = Decoder()
    for at in range(0, len(data), 50):
        decoder.feed(data[at : at + 50])
    assert len(decoder._held) <= 600
