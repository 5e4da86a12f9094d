"""PIN pad B (NL-PP60): the driver against its emulator, over a real pseudo terminal."""

from pathlib import Path
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
    pin_block_0,
    pin_from_block_0,
    retail_mac,
)
from terminal_agent.config import ConfigError
from terminal_agent.devices.emulator import Fault
from terminal_agent.devices.interfaces import Completion, DeviceError, KeyUse
from terminal_agent.devices.nlpp60 import NlPp60, NlPp60Options
from terminal_agent.devices.nlpp60_emulator import NlPp60Emulator
from terminal_agent.devices.nlpp60_frames import (
    REASONS,
    Command,
    Decoder,
    Frame,
    answers_to,
    encode,
    error_of,
)
from terminal_agent.devices.nlpp60_pairing import AuthKey, Pairing, read_pairing
from terminal_agent.protocol import Opaque, Pan
from tests.devices.conftest import Bench

PIN_MASTER = odd_parity(bytes(range(16)))
MAC_MASTER = odd_parity(bytes(range(80, 96)))
PIN_KEY = odd_parity(bytes(range(16, 32)))
MAC_KEY = odd_parity(bytes(range(32, 48)))
MASTERS = {KeyUse.PIN: PIN_MASTER, KeyUse.MAC: MAC_MASTER}
UID, LOAD_AUTH, USE_AUTH = bytes([0x88] * 16), bytes(range(48, 64)), bytes(range(64, 80))
PAN = Pan("6225880000000001")
OTHER_PAN = Pan("6225880000000002")
PIN = "493817"
DEVICES_PAGE = Path(__file__).parents[2] / "docs/devices.md"


class Rig:
    """Driver and emulator, plugged together."""

    def __init__(self, bench: Bench, cancel_command: str = "D5", **other: Any) -> None:
        self.bench = bench
        pairing = Pairing(UID, LOAD_AUTH, USE_AUTH)
        self.emulator = NlPp60Emulator(pairing, 1, int(cancel_command, 16))
        self.emulator.load_master(KeyUse.PIN, 0, PIN_MASTER)
        self.emulator.load_master(KeyUse.MAC, 0, MAC_MASTER)
        self.cable = bench.plug(self.emulator)
        file = bench.folder / "pairing"
        file.write_text("\n".join(part.hex() for part in (UID, LOAD_AUTH, USE_AUTH)))
        given_options: dict[str, Any] = {
            "port": str(bench.folder / "port"),
            "baud": 9600,
            "answer_timeout_ms": 600,
            "reopen_min_ms": 20,
            "reopen_max_ms": 100,
            "poll_ms": 60_000,
            "directory": 1,
            "pin_master": "00",
            "mac_master": "00",
            "pin_key": "10",
            "mac_key": "1F",
            "key_uses": 1000,
            "pairing_file": str(file),
            "cancel_command": cancel_command,
        }
        self.pad = NlPp60(NlPp60Options(**{**given_options, **other}), bench.reactor)
        self.events = bench.start(self.pad)

    def load(self, use: KeyUse, key: bytes) -> None:
        """A working key under its master key."""
        sealed = ecb_encrypt(MASTERS[use], key).hex()
        self.bench.run(self.pad.import_key(use, sealed, check_value(key).hex()[:6]))

    def ends(self, work: Any) -> Completion:
        """How a command that fails ends."""
        with pytest.raises(DeviceError) as error:
            self.bench.run(work)
        return error.value.completion

    def keys(self) -> list[str]:
        """Key events so far."""
        return [event.detail for event in self.events if event.name == "Keyboard.KeyEvent"]

    def asked(self, minimum: int, maximum: int, timeout_ms: int) -> "Deferred[int]":
        """A PIN entry, as far as that the pad waits for the patient."""
        work = self.pad.pin_entry(minimum, maximum, timeout_ms, PAN)
        entry = Deferred.fromCoroutine(work)
        self.bench.until(lambda: self.emulator.asks)
        return entry

    def serves(self) -> None:
        """A patient types, and the block is good."""
        self.emulator.type(Opaque(PIN))
        self.bench.run(self.pad.pin_entry(4, 12, 5000, PAN))
        block = self.bench.run(self.pad.get_pin_block(PAN))
        clear = ecb_decrypt(PIN_KEY, bytes.fromhex(block.reveal()))
        assert pin_from_block_0(clear, account12(PAN.reveal())) == PIN


@pytest.fixture
def rig(bench: Bench) -> Rig:
    """A pad with both working keys."""
    made = Rig(bench)
    made.load(KeyUse.PIN, PIN_KEY)
    made.load(KeyUse.MAC, MAC_KEY)
    return made


# ---- PIN entry -----------------------------------------------------------------------------------


def test_a_pin_becomes_a_true_block(rig: Rig) -> None:
    """Keys are loaded under the master keys; the block is format 0 under the PIN key, once."""
    entry = rig.asked(4, 12, 5000)
    rig.emulator.press(PIN + "\r")
    assert rig.bench.end_of(entry) == 0

    block = rig.bench.run(rig.pad.get_pin_block(PAN))

    expected = ecb_encrypt(PIN_KEY, pin_block_0(PIN, account12(PAN.reveal())))
    assert block.reveal() == expected.hex().upper()
    assert rig.ends(rig.pad.get_pin_block(PAN)) is Completion.SEQUENCE_ERROR
    assert rig.keys() == ["enter"]


def test_a_block_belongs_to_its_card(rig: Rig) -> None:
    """The card is named before, and no other gets the block."""
    assert rig.ends(rig.pad.pin_entry(4, 12, 100)) is Completion.SEQUENCE_ERROR
    rig.emulator.type(Opaque(PIN))
    rig.bench.run(rig.pad.pin_entry(4, 12, 5000, PAN))

    assert rig.ends(rig.pad.get_pin_block(OTHER_PAN)) is Completion.SEQUENCE_ERROR
    assert rig.ends(rig.pad.get_pin_block(PAN)) is Completion.SEQUENCE_ERROR


def test_the_pad_minds_the_limits(rig: Rig) -> None:
    """Short PINs are not confirmed, corrections count, impossible limits are refused."""
    entry = rig.asked(4, 6, 5000)
    rig.emulator.press(f"12\r\b{PIN}77\r")
    rig.bench.end_of(entry)
    block = rig.bench.run(rig.pad.get_pin_block(PAN))
    clear = ecb_decrypt(PIN_KEY, bytes.fromhex(block.reveal()))
    assert pin_from_block_0(clear, account12(PAN.reveal())) == PIN

    assert rig.ends(rig.pad.pin_entry(3, 6, 5000, PAN)) is Completion.INVALID_DATA


@pytest.mark.parametrize("cancel_command", ["D5", "86"])
def test_the_patient_may_give_up_or_go_away(bench: Bench, cancel_command: str) -> None:
    """Cancel and time-out, at the pad and by the flow; the pad is closed and serves again, whether
    it is reset or has a command for it."""
    rig = Rig(bench, cancel_command)
    rig.load(KeyUse.PIN, PIN_KEY)
    for how, end in (
        (lambda: rig.emulator.press("12\x1b"), Completion.CANCELED),
        (rig.emulator.tire, Completion.TIME_OUT),
        (rig.pad.cancel, Completion.CANCELED),
        (lambda: None, Completion.TIME_OUT),
    ):
        entry = rig.asked(4, 6, 300)
        how()
        with pytest.raises(DeviceError) as error:
            bench.end_of(entry)
        assert error.value.completion is end
        assert rig.ends(rig.pad.get_pin_block(PAN)) is Completion.SEQUENCE_ERROR
        rig.emulator.press(PIN + "\r")  # falls on a closed keyboard
        rig.serves()
    assert rig.keys() == ["cancel", "enter"] * 4
    assert rig.pad.status() == "online"


def test_canceled_before_the_pad_has_begun(rig: Rig) -> None:
    """A flow that gives up at once does not wait for the time-out."""
    entry = Deferred.fromCoroutine(rig.pad.pin_entry(4, 6, 60_000, PAN))
    rig.pad.cancel()
    with pytest.raises(DeviceError, match="canceled"):
        rig.bench.end_of(entry)
    rig.serves()


def test_a_pad_that_does_not_hear_the_cancel(rig: Rig) -> None:
    """The caller hears that the entry was canceled; the line is dropped and comes back."""
    entry = rig.asked(4, 6, 60_000)
    rig.emulator.misbehave(Fault.SILENT, Fault.SILENT)
    rig.pad.cancel()

    with pytest.raises(DeviceError, match="canceled"):
        rig.bench.end_of(entry)
    rig.bench.until(lambda: rig.pad.status() == "online")
    rig.serves()


@pytest.mark.parametrize("shown", [b"4", b"4938", b"\x83\x044938\xbc"])
def test_a_pad_that_shows_digits_is_not_believed(rig: Rig, shown: bytes) -> None:
    """A pad in some mode for clear text: single digits, or an answer full of them, end the entry,
    and nobody gets a block."""
    entry = rig.asked(4, 12, 5000)
    rig.emulator.send(shown)

    with pytest.raises(DeviceError, match="fraudAttempt"):
        rig.bench.end_of(entry)
    assert rig.ends(rig.pad.get_pin_block(PAN)) is Completion.SEQUENCE_ERROR
    assert not hasattr(rig.pad, "data_entry")
    rig.serves()


def test_an_answer_of_the_exchange_before_is_none(rig: Rig) -> None:
    """A pad that says everything twice: no AuthCode passes for a PIN block."""
    send = rig.emulator.send
    rig.emulator.send = lambda data: send(data + data)  # type: ignore[method-assign]

    rig.serves()


def test_a_damaged_block_ends_the_entry(rig: Rig) -> None:
    """The patient is not left before a pad that thinks it is done."""
    entry = rig.asked(4, 12, 60_000)
    rig.emulator.misbehave(Fault.FLIPPED)
    rig.emulator.press(PIN + "\r")

    with pytest.raises(DeviceError, match="damaged"):
        rig.bench.end_of(entry)
    rig.serves()


# ---- keys and MACs -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 8, 9, 239, 240])
def test_macs(rig: Rig, size: int) -> None:
    """X9.19 over whole blocks."""
    data = bytes(at % 251 for at in range(size))

    mac = rig.bench.run(rig.pad.generate_authentication(data))

    assert mac == retail_mac(MAC_KEY, data + bytes(-size % 8))


@pytest.mark.parametrize("size", [0, 241])
def test_macs_are_of_240_bytes_at_most(rig: Rig, size: int) -> None:
    """The pad does not chain, so nothing longer is tried."""
    assert rig.ends(rig.pad.generate_authentication(bytes(size))) is Completion.INVALID_DATA


def test_a_mac_key_with_a_wrong_check_value_is_not_used(rig: Rig) -> None:
    """The pad's own MAC of zeros decides, until a good key is in."""
    rig.emulator.wrong_macs = True
    sealed = ecb_encrypt(MAC_MASTER, MAC_KEY).hex()
    work = rig.pad.import_key(KeyUse.MAC, sealed, check_value(MAC_KEY).hex()[:6])
    assert rig.ends(work) is Completion.INVALID_DATA
    rig.emulator.wrong_macs = False
    assert rig.ends(rig.pad.generate_authentication(b"1")) is Completion.AUTHORISATION_REQUIRED

    rig.load(KeyUse.MAC, MAC_KEY)
    assert rig.bench.run(rig.pad.generate_authentication(b"1"))


def test_a_pin_key_that_the_pad_refuses_is_not_used(rig: Rig) -> None:
    """Under another master key; the old key is not used any more either."""
    sealed = ecb_encrypt(MAC_MASTER, PIN_KEY).hex()
    work = rig.pad.import_key(KeyUse.PIN, sealed, check_value(PIN_KEY).hex()[:6])
    assert rig.ends(work) is Completion.INVALID_DATA
    assert rig.ends(rig.pad.pin_entry(4, 12, 100, PAN)) is Completion.AUTHORISATION_REQUIRED
    rig.load(KeyUse.PIN, PIN_KEY)
    rig.serves()


def test_a_key_serves_as_often_as_it_may(bench: Bench) -> None:
    """Then the pad wants a new one; the check of its value counts as the first use."""
    rig = Rig(bench, key_uses=2)
    rig.load(KeyUse.MAC, MAC_KEY)
    assert bench.run(rig.pad.generate_authentication(b"1"))
    assert rig.ends(rig.pad.generate_authentication(b"1")) is Completion.AUTHORISATION_REQUIRED


@pytest.mark.parametrize(
    ("use", "cryptogram", "check", "end"),
    [
        (KeyUse.PIN, "0" * 16, "123456", Completion.INVALID_DATA),
        (KeyUse.PIN, "0" * 48, "123456", Completion.INVALID_DATA),
        (KeyUse.MAC, "x" * 32, "123456", Completion.INVALID_DATA),
        (KeyUse.MAC, "0" * 32, "12", Completion.INVALID_DATA),
        (KeyUse.MASTER, "0" * 32, "123456", Completion.UNSUPPORTED_COMMAND),
        (KeyUse.DATA, "0" * 32, "123456", Completion.UNSUPPORTED_COMMAND),
    ],
)
def test_a_key_that_is_none(
    rig: Rig, use: KeyUse, cryptogram: str, check: str, end: Completion
) -> None:
    """Refused before a byte goes to the pad, master keys among them."""
    assert rig.ends(rig.pad.import_key(use, cryptogram, check)) is end


# ---- authentication ------------------------------------------------------------------------------


def test_auth_codes_are_the_makers() -> None:
    """The worked example of the public manual: data, random number, UID, zeros."""
    key = AuthKey(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"), bytes([0x88] * 8 + [0x11] * 8))

    code = key.code(bytes.fromhex("008201"), bytes.fromhex("0102030405060708"))

    assert code.hex().upper() == "B5107E8EB4656BC8"


def test_another_pad_than_the_paired_one(rig: Rig) -> None:
    """A pad that cannot prove itself gets no PIN typed into it, and makes no MAC."""
    rig.emulator.foreign = True

    assert rig.ends(rig.pad.pin_entry(4, 12, 5000, PAN)) is Completion.FRAUD_ATTEMPT
    assert rig.ends(rig.pad.generate_authentication(b"1")) is Completion.FRAUD_ATTEMPT
    rig.emulator.foreign = False
    rig.serves()


def test_a_kiosk_that_is_not_paired_locks_the_pad(bench: Bench) -> None:
    """Wrong codes are refused, and too many of them lock it for everybody."""
    rig = Rig(bench)
    rig.pad._pairing = Pairing(bytes(16), LOAD_AUTH, USE_AUTH)
    for said in ["authentication failed"] * 5 + ["locked"]:
        with pytest.raises(DeviceError, match=f"authorisationRequired: {said}"):
            bench.run(rig.pad.generate_authentication(b"1"))
    assert rig.pad.status() == "online"


@pytest.mark.parametrize("text", ["", "88" * 16, f"{'88' * 16}\n{'99' * 16}\nzz", "88 " * 48])
def test_a_pairing_that_is_none(tmp_path: Path, text: str) -> None:
    """Told before anything starts, without a digit of it."""
    (tmp_path / "pairing").write_text(text)
    with pytest.raises(ConfigError, match="three lines of 32 hex digits") as refused:
        read_pairing(tmp_path / "pairing")
    assert "88" * 16 not in str(refused.value)


# ---- the line ------------------------------------------------------------------------------------


def test_every_error_code_is_an_error_with_a_text(rig: Rig) -> None:
    """The pad says it, the driver tells it, and the page lists it."""
    page = DEVICES_PAGE.read_text()
    for code, (completion, _text) in REASONS.items():
        rig.emulator.refuse(code)
        assert rig.ends(rig.pad.generate_authentication(b"1")) is completion
        assert any(f"`{code:02X}`" in row and f"`{completion}`" in row for row in page.split("\n"))
    assert str(error_of(0xFF)) == "hardwareError: failed (FF)"


def test_a_directory_that_the_pad_does_not_have(bench: Bench) -> None:
    """The sign of life chooses it, so the pad is not there for this kiosk until it is right."""
    rig = Rig(bench, poll_ms=30)
    rig.emulator.refuse(0x31)

    bench.until(lambda: rig.pad.status() == "noDevice")
    bench.until(lambda: rig.pad.status() == "online")


@pytest.mark.parametrize("fault", [Fault.SILENT, Fault.HALF])
def test_no_answer_drops_the_line(rig: Rig, fault: Fault) -> None:
    """Silence and half an answer; the line comes back."""
    rig.emulator.misbehave(fault)

    assert rig.ends(rig.pad.generate_authentication(b"1")) is Completion.DEVICE_NOT_READY
    assert rig.pad.status() == "noDevice"
    rig.bench.until(lambda: rig.pad.status() == "online")
    rig.serves()


@pytest.mark.parametrize("good", [0, 1, 2])
def test_a_flipped_bit_is_an_error(rig: Rig, good: int) -> None:
    """In whichever answer of a command; the next command is served."""
    rig.emulator.misbehave(*[Fault.NONE] * good, Fault.FLIPPED)

    assert rig.ends(rig.pad.generate_authentication(b"1")) is Completion.HARDWARE_ERROR
    rig.serves()


@pytest.mark.parametrize("fault", [Fault.GARBAGE, Fault.SPLIT])
def test_noise_and_slow_bytes_are_no_failure(rig: Rig, fault: Fault) -> None:
    """An answer after noise, and one that drips, are taken."""
    rig.emulator.misbehave(*[fault] * 3)

    expected = retail_mac(MAC_KEY, b"1" + bytes(7))
    assert rig.bench.run(rig.pad.generate_authentication(b"1")) == expected


def test_unplugged_and_back(rig: Rig) -> None:
    """A pulled cable ends what waits; put back, the pad is found again with its keys."""
    entry = rig.asked(4, 6, 5000)
    rig.cable.unplug()
    with pytest.raises(DeviceError) as error:
        rig.bench.end_of(entry)
    assert error.value.completion is Completion.DEVICE_NOT_READY
    assert rig.pad.status() == "noDevice"
    assert rig.ends(rig.pad.pin_entry(4, 6, 1000, PAN)) is Completion.DEVICE_NOT_READY

    rig.cable.plug()
    rig.bench.until(lambda: rig.pad.status() == "online")
    rig.serves()


def test_I12_nothing_secret_is_shown(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """No digit, block or key in events, logs and representations."""
    rig.emulator.type(Opaque(PIN))
    rig.bench.run(rig.pad.pin_entry(4, 12, 5000, PAN))
    parts = [vars(rig.pad), vars(rig.pad._pairing), vars(rig.pad._pairing.load)]
    shown = repr(rig.events) + repr(parts) + capsys.readouterr().out

    block = ecb_encrypt(PIN_KEY, pin_block_0(PIN, account12(PAN.reveal())))
    secrets = (PIN_KEY, block, ecb_encrypt(PIN_MASTER, PIN_KEY), UID, LOAD_AUTH, USE_AUTH)
    for secret in (PIN, PAN.reveal(), *[one.hex() for one in secrets]):
        assert secret not in shown
        assert secret.upper() not in shown


# ---- frames --------------------------------------------------------------------------------------


@given(st.sampled_from(Command), st.binary(max_size=255), st.integers(1, 64))
def test_frames_survive_any_cut(command: Command, data: bytes, step: int) -> None:
    """Whole, in portions, byte by byte: the same frame, and what follows it."""
    wire = encode(command, data) + b"\x2a"
    for size in (len(wire), step, 1):
        decoder = Decoder({command: None})
        parts = [wire[at : at + size] for at in range(0, len(wire), size)]
        out = [item for part in parts for item in decoder.feed(part)]
        assert out == [Frame(command, data), 0x2A]


@given(st.sampled_from(Command), st.integers(0, 255), st.binary(max_size=20))
def test_an_answer_is_found_after_noise(command: Command, code: int, noise: bytes) -> None:
    """Both kinds, after anything that holds none of their heads, whole and byte by byte."""
    lengths = answers_to(command)
    clean = bytes(byte for byte in noise if byte not in lengths)
    good = encode(command, bytes([code] * (lengths[command] or 0)))
    bad = encode(command & 0x7F, bytes([code]))
    for answer in (good, bad):
        wire = clean + answer
        for size in (len(wire), 1):
            decoder = Decoder(lengths)
            parts = [wire[at : at + size] for at in range(0, len(wire), size)]
            out = [item for part in parts for item in decoder.feed(part)]
            assert out[:-1] == [*clean]
            assert out[-1] == Frame(answer[0], answer[2:-1])


@given(st.sampled_from(Command), st.binary(max_size=255), st.data())
def test_one_flipped_bit_is_never_a_good_frame(
    command: Command, content: bytes, data: st.DataObject
) -> None:
    """Wherever it falls, no good frame of this command comes out."""
    wire = bytearray(encode(command, content))
    wire[data.draw(st.integers(0, len(wire) - 1))] ^= 1 << data.draw(st.integers(0, 7))

    decoder = Decoder({command: len(content)})
    out = decoder.feed(bytes(wire))

    assert not any(isinstance(item, Frame) and item.good for item in out)


@given(st.sampled_from(Command), st.binary(max_size=2000))
def test_any_bytes_are_survived(command: Command, data: bytes) -> None:
    """Nothing is raised, nothing grows without bound, and a frame after a pause is understood."""
    decoder = Decoder(answers_to(command))
    for at in range(0, len(data), 50):
        decoder.feed(data[at : at + 50])
        assert len(decoder._held) <= 19
    decoder.forget()

    error = encode(command & 0x7F, b"\x76")
    assert decoder.feed(error) == [Frame(command & 0x7F, b"\x76")]
