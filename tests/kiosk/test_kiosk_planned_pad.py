"""The pad as a payment uses it, with a switch and a clock in the test's hand."""

from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from hsm.primitives import account12, check_value, ecb_decrypt, ecb_encrypt, pin_from_block_0
from terminal_agent import protocol
from terminal_agent.desk import FlowError
from terminal_agent.devices.interfaces import Completion, DeviceError, DeviceEvent, KeyUse
from terminal_agent.devices.pad_simulator import SimulatedPinPad
from terminal_agent.devices.waiting import Waiting
from terminal_agent.planned_pad import PlannedPad
from terminal_agent.protocol import Opaque, Pan

OWN = "0123456789ABCDEFFEDCBA9876543210"
TMK = "CA5D92598DCA48CE8A4C76361A9269E9"
PIKS = ("807A23AD32B36D457AE91FDF927570EA", "1023456789ABCDEFFEDCBA9876543201")
PAN, PIN = Pan("6225880000000001"), "493817"
SHARED = protocol.PinPlanReply(ok=True)


def through(generation: int) -> protocol.PinPlanReply:
    """The plan of a bank, with its first or second key."""
    pik = bytes.fromhex(PIKS[generation - 1])
    return protocol.PinPlanReply(
        ok=True,
        mode="pass_through",
        slot="icbc.outpatient",
        pin_for=protocol.PinFor(bank="icbc", merchant="M", terminal="T", generation=generation),
        cryptogram=ecb_encrypt(bytes.fromhex(TMK), pik).hex().upper(),
        check_value=check_value(pik).hex().upper()[:8],
    )


class Pad(SimulatedPinPad):
    """Counts the keys loaded; ``wears`` makes the next block fail as a key used up does."""

    def __init__(self, folder: Path) -> None:
        (folder / "own").write_text(OWN)
        (folder / "tmk").write_text(TMK)
        super().__init__(folder / "own", Waiting(Clock()), {"icbc.outpatient": folder / "tmk"})
        self.loads = 0
        self.wears = False

    async def import_key(
        self, use: KeyUse, cryptogram: str, check_value: str, slot: str = ""
    ) -> None:
        """See SlottedPinPad."""
        self.loads += 1
        await super().import_key(use, cryptogram, check_value, slot)

    async def get_pin_block(self, pan: Pan) -> protocol.PinBlock:
        """See PinPad."""
        block = await super().get_pin_block(pan)
        if self.wears:
            self.wears = False
            raise DeviceError(Completion.AUTHORISATION_REQUIRED, "used up")
        return block

    def changes(self) -> None:
        """It was unplugged, or comes back."""
        for watcher in self._watchers:
            watcher(DeviceEvent(name="Common.StatusChangedEvent", detail="online"))


class Bench:
    """A planned pad; ``plan`` is what the switch says, or the Deferred of it."""

    def __init__(self, folder: Path) -> None:
        self.pad = Pad(folder)
        self.plan: Any = SHARED
        self.asked: list[tuple[str, str]] = []
        self.planned = PlannedPad(self.pad, self)
        self.planned.begin("outpatient_bill")

    async def pin_plan(self, business: str, pan: Pan) -> protocol.PinPlanReply:
        """As the desk."""
        self.asked.append((business, pan.reveal()))
        plan = await self.plan if isinstance(self.plan, Deferred) else self.plan
        if isinstance(plan, Exception):
            raise plan
        assert isinstance(plan, protocol.PinPlanReply)
        return plan

    def pin(self) -> str:
        """The patient types: the block in hex."""
        self.pad.type(Opaque(PIN))
        assert done(self.planned.pin_entry(4, 12, 1000, PAN)) == len(PIN)
        block: protocol.PinBlock = done(self.planned.get_pin_block(PAN))
        return block.reveal()

    def opens(self, block: str, key: str) -> bool:
        """Whether the block is under this key."""
        clear = ecb_decrypt(bytes.fromhex(key), bytes.fromhex(block))
        try:
            return pin_from_block_0(clear, account12(PAN.reveal())) == PIN
        except ValueError:
            return False


def done(work: "Coroutine[Any, Any, Any]") -> Any:
    """What a coroutine that waits for nothing returns, or raises."""
    ends: list[Any] = []
    Deferred.fromCoroutine(work).addBoth(ends.append)
    assert ends, "it waits"
    if hasattr(ends[0], "raiseException"):
        ends[0].raiseException()
    return ends[0]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A kiosk's pad with its own key and one bank's master."""
    return Bench(tmp_path)


def test_the_plan_chooses_the_key(bench: Bench) -> None:
    """Shared, then the bank's, then shared again: each block under its own key and saying so."""
    assert bench.opens(bench.pin(), OWN)
    assert bench.planned.made_for is None
    bench.plan = through(1)
    assert bench.opens(bench.pin(), PIKS[0])
    assert bench.planned.made_for == through(1).pin_for
    bench.plan = SHARED
    assert bench.opens(bench.pin(), OWN)
    assert bench.planned.made_for is None
    assert bench.asked == [("outpatient_bill", PAN.reveal())] * 3


def test_a_key_is_loaded_once_and_a_newer_one_at_once(bench: Bench) -> None:
    """The generation says which; the block is under the newest."""
    bench.plan = through(1)
    bench.pin()
    bench.pin()
    assert bench.pad.loads == 1
    bench.plan = through(2)
    assert bench.opens(bench.pin(), PIKS[1])
    assert bench.pad.loads == 2


def test_a_pad_that_was_away_gets_its_keys_again(bench: Bench) -> None:
    """It may be another pad, or an emptied one; and a key used up is loaded anew."""
    bench.plan = through(1)
    bench.pin()
    bench.pad.changes()
    bench.pin()
    assert bench.pad.loads == 2
    bench.pad.wears = True
    with pytest.raises(DeviceError, match="used up"):
        bench.pin()
    assert bench.planned.made_for is None
    bench.pin()
    assert bench.pad.loads == 3


def test_a_key_that_is_not_the_plans_makes_no_block(bench: Bench) -> None:
    """Its check value differs: nothing is asked of the patient, and it is tried anew next time."""
    wrong = protocol.PinPlanReply(**{
        **{f: getattr(through(1), f) for f in through(1).__struct_fields__},
        "check_value": "00000000",
    })  # fmt: skip
    bench.plan = wrong
    with pytest.raises(DeviceError) as refused:
        bench.pin()
    assert refused.value.completion is Completion.INVALID_DATA
    bench.plan = through(1)
    assert bench.opens(bench.pin(), PIKS[0])


@pytest.mark.parametrize("code", ["offline", "unavailable", "busy"])
def test_without_a_plan_no_pin_is_asked(bench: Bench, code: str) -> None:
    """The page is told by the reason's own word."""
    bench.plan = FlowError(code, "")
    with pytest.raises(DeviceError) as refused:
        done(bench.planned.pin_entry(4, 12, 1000, PAN))
    assert refused.value.code == code
    assert str(refused.value.completion) == "deviceNotReady"
    with pytest.raises(DeviceError, match="nothing was typed"):
        done(bench.planned.get_pin_block(PAN))


def test_a_patient_who_leaves_while_the_switch_is_asked(bench: Bench) -> None:
    """Cancelled: the pad is never opened, and no key is loaded."""
    bench.plan = Deferred()
    ends: list[Any] = []
    Deferred.fromCoroutine(bench.planned.pin_entry(4, 12, 1000, PAN)).addErrback(ends.append)
    bench.planned.cancel()
    bench.plan.callback(through(1))
    assert ends[0].value.completion is Completion.CANCELED
    assert bench.pad.loads == 0


def test_a_plan_without_its_key_is_no_plan(bench: Bench) -> None:
    """Pass-through, but for whom?"""
    bench.plan = protocol.PinPlanReply(ok=True, mode="pass_through", slot="icbc.outpatient")
    with pytest.raises(DeviceError) as refused:
        bench.pin()
    assert refused.value.completion is Completion.INVALID_DATA


def test_I12_a_plans_answer_shows_no_key() -> None:
    """Not even wrapped, in whatever prints it."""
    assert through(1).cryptogram not in repr(through(1))
