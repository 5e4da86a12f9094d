"""Banks' own PIN keys in real slots of the pads: two banks, two merchant numbers each, at once."""

from pathlib import Path
from typing import Any

import pytest

from hsm.primitives import (
    account12,
    check_value,
    ecb_decrypt,
    ecb_encrypt,
    odd_parity,
    pin_block_0,
    pin_from_block_0,
)
from terminal_agent.config import ConfigError
from terminal_agent.devices.interfaces import Completion, DeviceError, KeyUse
from terminal_agent.devices.nlpp60 import NlPp60, NlPp60Options
from terminal_agent.devices.nlpp60_emulator import NlPp60Emulator
from terminal_agent.devices.nlpp60_pairing import Pairing
from terminal_agent.devices.pad_simulator import SimulatedPinPad
from terminal_agent.devices.pin_slots import PinSlot, PinSlots, read_files
from terminal_agent.devices.visa_pad import VisaPad, VisaPadOptions
from terminal_agent.devices.visa_pad_emulator import VisaPadEmulator
from terminal_agent.devices.waiting import Waiting
from terminal_agent.devices.zt598 import Zt598, Zt598Options
from terminal_agent.devices.zt598_emulator import Zt598Emulator
from terminal_agent.protocol import Opaque, Pan
from tests.devices.conftest import Bench

SLOTS = ("icbc.outpatient", "icbc.inpatient", "ccb.outpatient", "ccb.inpatient")
MASTERS = {slot: odd_parity(bytes(range(7 * n, 7 * n + 16))) for n, slot in enumerate(SLOTS, 1)}
PIN_KEYS = {slot: odd_parity(bytes(range(9 * n, 9 * n + 16))) for n, slot in enumerate(SLOTS, 11)}
OWN_MASTER, OWN_KEY = odd_parity(bytes(range(200, 216))), odd_parity(bytes(range(220, 236)))
PAN, PIN = Pan("6225880000000001"), "493817"
LINE = {
    "baud": 9600,
    "answer_timeout_ms": 600,
    "reopen_min_ms": 20,
    "reopen_max_ms": 100,
    "poll_ms": 60_000,
}
PAIRING = (bytes([0x88] * 16), bytes(range(48, 64)), bytes(range(64, 80)))


def zt598(bench: Bench) -> tuple[Any, Any]:
    """Masters at 02 to 05, PIN keys at 40 to 43."""
    emulator = Zt598Emulator()
    emulator.load_master(1, OWN_MASTER)
    slots = " ".join(f"{name}=0{n}/4{n}" for n, name in enumerate(SLOTS, 2))
    for n, name in enumerate(SLOTS, 2):
        emulator.load_master(n, MASTERS[name])
    options = Zt598Options(
        port=str(bench.folder / "port"), master_slot="01", pin_slot="30", mac_slot="31",
        data_slot="32", mac_form="x919", clear_key="backspace", slots=slots, **LINE,
    )  # fmt: skip
    bench.plug(emulator)
    return Zt598(options, bench.reactor), emulator


def visa(bench: Bench) -> tuple[Any, Any]:
    """Masters 1 to 4; the PIN keys travel with every entry."""
    emulator = VisaPadEmulator()
    emulator.load_master("0", OWN_MASTER)
    for n, name in enumerate(SLOTS, 1):
        emulator.load_master(str(n), MASTERS[name])
    options = VisaPadOptions(
        port=str(bench.folder / "port"), master_key="0", entry_timeout_ms=200,
        slots=" ".join(f"{name}={n}" for n, name in enumerate(SLOTS, 1)), **LINE,
    )  # fmt: skip
    bench.plug(emulator)
    return VisaPad(options, bench.reactor), emulator


def nlpp60(bench: Bench) -> tuple[Any, Any]:
    """Masters 01 to 04, PIN keys 21 to 24."""
    emulator = NlPp60Emulator(Pairing(*PAIRING), 1)
    emulator.load_master(KeyUse.PIN, 0, OWN_MASTER)
    for n, name in enumerate(SLOTS, 1):
        emulator.load_master(KeyUse.PIN, n, MASTERS[name])
    pairing = bench.folder / "pairing"
    pairing.write_text("\n".join(part.hex() for part in PAIRING))
    options = NlPp60Options(
        port=str(bench.folder / "port"), directory=1, pin_master="00", mac_master="00",
        pin_key="10", mac_key="1F", key_uses=1000, pairing_file=str(pairing),
        slots=" ".join(f"{name}=0{n}/2{n}" for n, name in enumerate(SLOTS, 1)), **LINE,
    )  # fmt: skip
    bench.plug(emulator)
    return NlPp60(options, bench.reactor), emulator


def simulated(bench: Bench) -> tuple[Any, Any]:
    """Masters in files."""
    (bench.folder / "own").write_text(OWN_KEY.hex())
    for name in SLOTS:
        (bench.folder / name).write_text(MASTERS[name].hex())
    files = read_files(" ".join(f"{n}={bench.folder / n}" for n in SLOTS), "masters")
    pad = SimulatedPinPad(bench.folder / "own", Waiting(bench.reactor), files)
    return pad, pad


class Rig:
    """A pad with its own key and its four slots."""

    def __init__(self, bench: Bench, make: Any) -> None:
        self.bench = bench
        self.pad, self.hands = make(bench)
        self.keeps_own = make is simulated
        if not self.keeps_own:
            bench.start(self.pad)
            self.load("", OWN_MASTER, OWN_KEY)

    def load(self, slot: str, master: bytes, key: bytes) -> None:
        """A PIN key as a bank gives it: its cryptogram and check value."""
        sealed, check = ecb_encrypt(master, key).hex(), check_value(key).hex()[:8]
        self.bench.run(self.pad.import_key(KeyUse.PIN, sealed, check, slot))

    def block(self, slot: str) -> bytes:
        """The patient types; the pad's block."""
        self.hands.type(Opaque(PIN))
        self.bench.run(self.pad.pin_entry(4, 12, 5000, PAN, slot))
        block = self.bench.run(self.pad.get_pin_block(PAN))
        return bytes.fromhex(block.reveal())

    def ends(self, work: Any) -> Completion:
        """How a command that fails ends."""
        with pytest.raises(DeviceError) as error:
            self.bench.run(work)
        return error.value.completion


@pytest.fixture(params=[zt598, visa, nlpp60, simulated])
def rig(bench: Bench, request: pytest.FixtureRequest) -> Rig:
    """Each kind of pad."""
    return Rig(bench, request.param)


def test_each_slot_makes_blocks_under_its_own_key(rig: Rig) -> None:
    """Four keys in the pad at once beside the pad's own, used in turn: a block opens with its own
    slot's key and no other (norm 17)."""
    for slot in SLOTS:
        rig.load(slot, MASTERS[slot], PIN_KEYS[slot])
    keys = {"": OWN_KEY, **PIN_KEYS}
    for slot in (*SLOTS, "", *reversed(SLOTS)):
        made = rig.block(slot)
        opened = {
            name: ecb_decrypt(key, made) == pin_block_0(PIN, account12(PAN.reveal()))
            for name, key in keys.items()
        }
        assert [name for name, opens in opened.items() if opens] == [slot]
    assert pin_from_block_0(ecb_decrypt(OWN_KEY, rig.block("")), account12(PAN.reveal())) == PIN


def test_a_key_of_another_bank_is_refused_by_the_slot(rig: Rig) -> None:
    """Cross use: ccb's cryptogram in icbc's slot does not open, the slot makes no block with it,
    and the other slots are as they were (norm 17)."""
    for slot in SLOTS:
        rig.load(slot, MASTERS[slot], PIN_KEYS[slot])
    for slot, other in (("icbc.outpatient", "ccb.outpatient"), ("ccb.inpatient", "ccb.outpatient")):
        sealed = ecb_encrypt(MASTERS[other], PIN_KEYS[other]).hex()
        work = rig.pad.import_key(KeyUse.PIN, sealed, check_value(PIN_KEYS[other]).hex(), slot)
        assert rig.ends(work) in (Completion.INVALID_DATA, Completion.AUTHORISATION_REQUIRED)
        rig.hands.type(Opaque(PIN))

        async def entered(slot: str = slot) -> None:
            await rig.pad.pin_entry(4, 12, 300, PAN, slot)
            await rig.pad.get_pin_block(PAN)

        assert rig.ends(entered()) is Completion.AUTHORISATION_REQUIRED
        rig.pad.cancel()
    made = rig.block("icbc.inpatient")
    assert ecb_decrypt(PIN_KEYS["icbc.inpatient"], made) == pin_block_0(
        PIN, account12(PAN.reveal())
    )


def test_a_slot_that_is_not_there_is_unsupported(rig: Rig) -> None:
    """By its name, before anything is typed; and a bank's slot has a PIN key alone."""
    unknown = {Completion.UNSUPPORTED_COMMAND, Completion.AUTHORISATION_REQUIRED}
    assert rig.ends(rig.pad.pin_entry(4, 12, 300, PAN, "abc.outpatient")) in unknown
    work = rig.pad.import_key(KeyUse.PIN, "0" * 32, "0" * 8, "abc.outpatient")
    assert rig.ends(work) is Completion.UNSUPPORTED_COMMAND
    work = rig.pad.import_key(KeyUse.MAC, "0" * 32, "0" * 8, "icbc.outpatient")
    assert rig.ends(work) in {Completion.UNSUPPORTED_COMMAND, Completion.INVALID_DATA}


@pytest.mark.parametrize(
    "text",
    [
        "icbc.outpatient",
        "icbc.outpatient=",
        "icbc.outpatient=02",
        "icbc.outpatient=02/40 icbc.outpatient=03/41",
        "ICBC=02/40",
        "icbc.outpatient=01/40",
        "icbc.outpatient=02/30",
        "icbc.outpatient=02/31",
        "icbc.outpatient=02/40 icbc.inpatient=02/41",
        "icbc.outpatient=02/40 icbc.inpatient=03/40",
    ],
)
def test_slots_that_share_a_key_are_refused_at_reading(text: str) -> None:
    """Nor is a name given twice, or a place that the pad does not have."""
    with pytest.raises(ConfigError, match="slots"):
        PinSlots(PinSlot("01", "30"), text, "[01][0-9A-F]/[3-7][0-9A-F]", ("31", "32"))


def test_files_by_name() -> None:
    """As the emulated pads take their masters."""
    assert read_files("a.b=/x/y c=z", "masters") == {"a.b": Path("/x/y"), "c": Path("z")}
    assert read_files("", "masters") == {}
