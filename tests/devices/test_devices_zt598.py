"""PIN pad A: the driver against its emulator, over a real pseudo terminal."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from hsm.primitives import (
    PIN_FORMS,
    PinAccount,
    account12,
    cbc_mac,
    check_value,
    ecb_decrypt,
    ecb_encrypt,
    odd_parity,
    pin_from_block_0,
    retail_mac,
)
from terminal_agent.devices.emulator import Fault
from terminal_agent.devices.interfaces import Completion, DeviceError, KeyUse
from terminal_agent.devices.zt598 import PinFormat, Zt598, Zt598Options
from terminal_agent.devices.zt598_emulator import Zt598Emulator
from terminal_agent.devices.zt598_frames import Decoder, encode, error_of
from terminal_agent.protocol import Opaque, Pan
from tests.devices.conftest import Bench

MASTER = odd_parity(bytes(range(16)))
PIN_KEY = odd_parity(bytes(range(16, 32)))
MAC_KEY = odd_parity(bytes(range(32, 48)))
PAN = "6225880000000001"
PIN = "493817"


def options(bench: Bench, **other: Any) -> Zt598Options:
    """A pad at the bench's port, impatient."""
    given_options: dict[str, Any] = {
        "port": str(bench.folder / "port"),
        "baud": 9600,
        "answer_timeout_ms": 600,
        "reopen_min_ms": 20,
        "reopen_max_ms": 100,
        "poll_ms": 60_000,
        "master_slot": "01",
        "pin_slot": "30",
        "mac_slot": "31",
        "data_slot": "32",
        "mac_form": "x919",
        "clear_key": "backspace",
    }
    return Zt598Options(**{**given_options, **other})


class Rig:
    """Driver and emulator, plugged together."""

    def __init__(self, bench: Bench, **other: Any) -> None:
        self.bench = bench
        self.emulator = Zt598Emulator()
        self.emulator.load_master(1, MASTER)
        self.cable = bench.plug(self.emulator)
        self.pad = Zt598(options(bench, **other), bench.reactor)
        self.events = bench.start(self.pad)

    def load(self, use: KeyUse, key: bytes) -> None:
        """A working key under the master key."""
        sealed = ecb_encrypt(MASTER, key).hex()
        self.bench.run(self.pad.import_key(use, sealed, check_value(key).hex()[:6]))

    def ends(self, work: Any) -> Completion:
        """How a command that fails ends."""
        with pytest.raises(DeviceError) as error:
            self.bench.run(work)
        return error.value.completion

    def keys(self) -> list[str]:
        """Key events so far."""
        return [event.detail for event in self.events if event.name == "Keyboard.KeyEvent"]


@pytest.fixture
def rig(bench: Bench) -> Rig:
    """A pad with both working keys."""
    made = Rig(bench)
    made.load(KeyUse.PIN, PIN_KEY)
    made.load(KeyUse.MAC, MAC_KEY)
    return made


def test_a_pin_becomes_a_true_block(rig: Rig) -> None:
    """Keys are loaded under the master key; the block opens with the PIN key and no other."""
    entry = rig.bench.begin(rig.pad.pin_entry(4, 12, 5000))
    rig.emulator.press(PIN + "\r")
    assert rig.bench.end_of(entry) == len(PIN)

    block = rig.bench.run(rig.pad.get_pin_block(Pan(PAN)))

    clear = ecb_decrypt(PIN_KEY, bytes.fromhex(block.reveal()))
    assert pin_from_block_0(clear, account12(PAN)) == PIN
    assert rig.ends(rig.pad.get_pin_block(Pan(PAN))) is Completion.SEQUENCE_ERROR


@pytest.mark.parametrize(
    ("pin_format", "form"),
    [(PinFormat.ISO_0, "iso-0"), (PinFormat.ISO_1, "iso-1"), (PinFormat.ISO_3, "iso-3")],
)
def test_pin_block_formats(rig: Rig, pin_format: PinFormat, form: str) -> None:
    """ISO 0, 1 and 3, twelve digits at most."""
    entry = rig.bench.begin(rig.pad.pin_entry(4, 12, 5000))
    rig.emulator.press("123456789012\r")
    assert rig.bench.end_of(entry) == 12

    block = rig.bench.run(rig.pad.get_pin_block(Pan(PAN), pin_format))

    account = account12(PAN)
    opened = PIN_FORMS[form].open(
        PIN_KEY,
        bytes.fromhex(block.reveal()),
        PinAccount(rightmost=account, leftmost=account, pan=account),
    )
    assert opened == "123456789012"


def test_I12_key_events_are_stars(rig: Rig) -> None:
    """Corrections are seen, digits are not; short PINs are not confirmed."""
    entry = rig.bench.begin(rig.pad.pin_entry(4, 6, 5000))
    rig.emulator.press("12\r\b934\r")

    assert rig.bench.end_of(entry) == 4
    assert rig.keys() == ["*", "*", "backspace", "*", "*", "*", "enter"]
    assert not any(digit in repr(rig.events) for digit in "123")


def test_correction_may_clear_everything(bench: Bench) -> None:
    """The other meaning of the correction key."""
    rig = Rig(bench, clear_key="clear")
    entry = bench.begin(rig.pad.pin_entry(4, 6, 5000))
    rig.emulator.press("9876\b12345\r")

    assert bench.end_of(entry) == 5
    assert rig.keys().count("clear") == 1


def test_the_patient_may_give_up_or_go_away(rig: Rig) -> None:
    """Cancel at the pad, cancel by the flow, time-out; the pad is closed and ready again."""
    for how, end in (
        (lambda: rig.emulator.press("12\x1b"), Completion.CANCELED),
        (rig.pad.cancel, Completion.CANCELED),
        (lambda: None, Completion.TIME_OUT),
        (rig.emulator.break_key, Completion.HARDWARE_ERROR),
    ):
        entry = rig.bench.begin(rig.pad.pin_entry(4, 6, 300))
        how()
        with pytest.raises(DeviceError) as error:
            rig.bench.end_of(entry)
        assert error.value.completion is end
        assert rig.ends(rig.pad.get_pin_block(Pan(PAN))) is Completion.SEQUENCE_ERROR
    assert rig.pad.status() == "online"


def test_canceled_before_the_pad_has_begun(rig: Rig) -> None:
    """A flow that gives up at once does not wait for the time-out."""
    entry = Deferred.fromCoroutine(rig.pad.pin_entry(4, 6, 60_000))
    rig.pad.cancel()
    with pytest.raises(DeviceError, match="canceled"):
        rig.bench.end_of(entry)
    rig.emulator.type(Opaque(PIN))
    assert rig.bench.run(rig.pad.pin_entry(4, 12, 5000)) == len(PIN)


def test_typed_before_asked(rig: Rig) -> None:
    """The demo's patient is quick: digits wait in the emulator until the pad asks."""
    rig.emulator.type(Opaque(PIN))

    assert rig.bench.run(rig.pad.pin_entry(4, 12, 5000)) == len(PIN)


def test_clear_text_is_refused_while_a_pin_is_in_hand(rig: Rig) -> None:
    """From the first key of a PIN until its block is fetched or given up."""
    assert_number(rig, "20261")
    entry = rig.bench.begin(rig.pad.pin_entry(4, 12, 5000))
    assert rig.ends(rig.pad.data_entry(8, 1000)) is Completion.SEQUENCE_ERROR
    rig.emulator.press(PIN + "\r")
    rig.bench.end_of(entry)
    assert rig.ends(rig.pad.data_entry(8, 1000)) is Completion.SEQUENCE_ERROR
    rig.bench.run(rig.pad.get_pin_block(Pan(PAN)))
    assert_number(rig, "17")


def assert_number(rig: Rig, number: str) -> None:
    """A number typed in clear arrives, and its key events are stars too."""
    entry = rig.bench.begin(rig.pad.data_entry(8, 5000))
    rig.emulator.press(number + "\r")
    assert rig.bench.end_of(entry) == number
    assert set(rig.keys()) <= {"*", "enter"}


def test_a_pad_that_shows_digits_is_not_believed(rig: Rig) -> None:
    """Clear digits while a PIN is typed end the entry at once."""
    entry = rig.bench.begin(rig.pad.pin_entry(4, 12, 5000))
    rig.emulator.send(b"4")

    with pytest.raises(DeviceError, match="fraudAttempt"):
        rig.bench.end_of(entry)


@pytest.mark.parametrize("size", [1, 8, 16, 511, 512, 513, 1300])
@pytest.mark.parametrize("form", ["x99", "x919", "cbc"])
def test_macs(bench: Bench, size: int, form: str) -> None:
    """Equal to the MAC of the whole, however many commands it took."""
    rig = Rig(bench, mac_form=form)
    rig.load(KeyUse.MAC, MAC_KEY)
    data = bytes(at % 251 for at in range(size))

    mac = bench.run(rig.pad.generate_authentication(data))

    padded = data + bytes(-size % 8)
    expected = {
        "x99": lambda: cbc_mac(MAC_KEY[:8], padded),
        "x919": lambda: retail_mac(MAC_KEY, padded),
        "cbc": lambda: cbc_mac(MAC_KEY, padded),
    }[form]()
    assert mac == expected


def test_a_key_with_a_wrong_check_value_is_not_used(rig: Rig) -> None:
    """Told, and the slot stays unusable until a good key is in it."""
    rig.emulator.wrong_check_values = True
    sealed = ecb_encrypt(MASTER, PIN_KEY).hex()
    work = rig.pad.import_key(KeyUse.PIN, sealed, check_value(PIN_KEY).hex()[:6])
    assert rig.ends(work) is Completion.INVALID_DATA
    rig.emulator.type(Opaque(PIN))
    rig.bench.run(rig.pad.pin_entry(4, 12, 5000))
    assert rig.ends(rig.pad.get_pin_block(Pan(PAN))) is Completion.AUTHORISATION_REQUIRED

    rig.emulator.wrong_check_values = False
    rig.load(KeyUse.PIN, PIN_KEY)
    rig.emulator.type(Opaque(PIN))
    rig.bench.run(rig.pad.pin_entry(4, 12, 5000))
    assert rig.bench.run(rig.pad.get_pin_block(Pan(PAN)))


def test_a_master_key_comes_under_a_master_key(rig: Rig) -> None:
    """Afterwards the old one opens nothing more."""
    new = odd_parity(bytes(range(48, 64)))
    rig.load(KeyUse.MASTER, new)
    sealed = ecb_encrypt(new, PIN_KEY).hex()

    rig.bench.run(rig.pad.import_key(KeyUse.PIN, sealed, check_value(PIN_KEY).hex()))
    old = ecb_encrypt(MASTER, PIN_KEY).hex()
    work = rig.pad.import_key(KeyUse.PIN, old, check_value(PIN_KEY).hex())
    assert rig.ends(work) is Completion.INVALID_DATA


@pytest.mark.parametrize(
    ("cryptogram", "check"),
    [("12", "123456"), ("0" * 32, "12"), ("x" * 32, "123456"), ("0" * 32, "zzzzzz"), ("", "")],
)
def test_a_key_that_is_none(rig: Rig, cryptogram: str, check: str) -> None:
    """Refused before a byte goes to the pad."""
    work = rig.pad.import_key(KeyUse.PIN, cryptogram, check)
    assert rig.ends(work) is Completion.INVALID_DATA


def test_authentication_fails_with_another_uid(bench: Bench) -> None:
    """Another pad than the paired one uses no key for this kiosk."""
    (bench.folder / "uid").write_text("77" * 16)
    rig = Rig(bench, uid_file=str(bench.folder / "uid"))
    work = rig.pad.generate_authentication(b"12345678")

    assert rig.ends(work) is Completion.AUTHORISATION_REQUIRED


def test_tampered_and_taken_off(bench: Bench) -> None:
    """Said at once and in the state; a pad put back is polled back to life."""
    rig = Rig(bench, poll_ms=30)
    rig.emulator.remove()
    bench.until(lambda: rig.pad.status() == "fraudAttempt")
    assert rig.ends(rig.pad.pin_entry(4, 6, 1000)) is Completion.FRAUD_ATTEMPT
    rig.emulator.remove(False)
    bench.until(lambda: rig.pad.status() == "online")
    rig.emulator.tamper()
    bench.until(lambda: rig.pad.status() == "fraudAttempt")
    states = [event.detail for event in rig.events if event.name == "Common.StatusChangedEvent"]
    assert states == ["online", "fraudAttempt", "online", "fraudAttempt"]


def test_unplugged_and_back(rig: Rig) -> None:
    """A pulled cable ends what waits; put back, the pad is found again with its keys."""
    entry = rig.bench.begin(rig.pad.pin_entry(4, 6, 5000))
    rig.cable.unplug()
    with pytest.raises(DeviceError) as error:
        rig.bench.end_of(entry)
    assert error.value.completion is Completion.DEVICE_NOT_READY
    assert rig.pad.status() == "noDevice"
    assert rig.ends(rig.pad.pin_entry(4, 6, 1000)) is Completion.DEVICE_NOT_READY

    rig.cable.plug()
    rig.bench.until(lambda: rig.pad.status() == "online")
    rig.emulator.type(Opaque(PIN))
    rig.bench.run(rig.pad.pin_entry(4, 12, 5000))
    assert rig.bench.run(rig.pad.get_pin_block(Pan(PAN)))


@pytest.mark.parametrize("fault", [Fault.SILENT, Fault.HALF, Fault.FLIPPED])
def test_no_good_answer_drops_the_line(rig: Rig, fault: Fault) -> None:
    """Silence, half an answer and a wrong check are all no answer; the line comes back."""
    rig.emulator.misbehave(fault)

    assert rig.ends(rig.pad.generate_authentication(b"1")) is Completion.DEVICE_NOT_READY
    assert rig.pad.status() == "noDevice"
    rig.bench.until(lambda: rig.pad.status() == "online")
    assert rig.bench.run(rig.pad.generate_authentication(b"1"))


@pytest.mark.parametrize("fault", [Fault.GARBAGE, Fault.SPLIT])
def test_noise_and_slow_bytes_are_no_failure(rig: Rig, fault: Fault) -> None:
    """An answer after noise, and one that drips, are taken."""
    rig.emulator.misbehave(*[fault] * 12)

    expected = retail_mac(MAC_KEY, b"1" + bytes(7))
    assert rig.bench.run(rig.pad.generate_authentication(b"1")) == expected


def test_nothing_there_at_first(bench: Bench) -> None:
    """A kiosk starts without its pad, and finds it when it comes."""
    pad = Zt598(options(bench), bench.reactor)
    bench.start(pad)
    assert pad.status() == "noDevice"

    bench.plug(Zt598Emulator())
    bench.until(lambda: pad.status() == "online")


def test_I11_commands_that_wait_are_bounded(rig: Rig) -> None:
    """While a patient types, a few commands wait for their turn, and no more."""
    entry = rig.bench.begin(rig.pad.pin_entry(4, 6, 5000))
    waiting = [rig.bench.begin(rig.pad.generate_authentication(b"1")) for _ in range(8)]
    assert rig.ends(rig.pad.generate_authentication(b"1")) is Completion.DEVICE_NOT_READY
    rig.emulator.press("1234\r")
    rig.bench.end_of(entry)
    for one in waiting:
        assert rig.bench.end_of(one)


@given(st.binary(min_size=1, max_size=1300), st.integers(1, 64), st.binary(max_size=20))
def test_frames_survive_any_cut(body: bytes, step: int, noise: bytes) -> None:
    """Encoded, cut anywhere, after noise without a start byte: the same body."""
    decoder = Decoder()
    clean = noise.replace(b"\x02", b"")
    wire = clean + encode(body)
    out = [item for at in range(0, len(wire), step) for item in decoder.feed(wire[at : at + step])]

    assert out == [*clean, body]


@given(st.binary(max_size=300))
def test_any_bytes_are_survived(data: bytes) -> None:
    """Whatever comes, nothing is raised, and a frame after a pause is understood."""
    decoder = Decoder()
    decoder.feed(data)
    decoder.forget()

    assert decoder.feed(encode(b"\x60ok")) == [b"\x60ok"]


def test_every_return_code_is_an_error_with_a_text() -> None:
    """Known ones say why; the others say that it failed."""
    assert error_of(0xDD).completion is Completion.FRAUD_ATTEMPT
    assert error_of(0xE7).completion is Completion.INVALID_DATA
    assert error_of(0xED).completion is Completion.AUTHORISATION_REQUIRED
    assert str(error_of(0x31)) == "hardwareError: failed (31)"
