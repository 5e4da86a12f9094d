"""The pad as a payment uses it: every PIN block is made under the key that the card's route wants.

Before the PIN is asked the switch says by whose key (``Pin.Plan``). *Translate* is the key that
the pad shares with the switch. *Pass-through* is a bank's own: its cryptogram comes with the plan
and is loaded into the slot of that bank and merchant role, unless this very key is there already.
What the block was made for goes with it, and the switch sends it to nobody else.
"""

from typing import Protocol, cast

from terminal_agent import protocol
from terminal_agent.desk import FlowError
from terminal_agent.devices.interfaces import (
    Completion,
    DeviceError,
    DeviceEvent,
    KeyUse,
    PinPad,
    SlottedPinPad,
    Watcher,
)
from terminal_agent.logs import get_logger

_log = get_logger("pad")

_STATUS = "Common.StatusChangedEvent"
_THE_PATIENTS = frozenset({Completion.CANCELED, Completion.TIME_OUT, Completion.USER_ERROR})
"""Ends of an entry that say nothing about the key."""


class PlanDesk(Protocol):
    """Where plans come from: terminal_agent.desk.Desk."""

    async def pin_plan(self, business: str, pan: protocol.Pan) -> protocol.PinPlanReply:
        """Raises FlowError."""
        ...


class NoPlanError(DeviceError):
    """The switch said no, or nothing: no PIN is asked for. ``code`` is for the page."""

    def __init__(self, error: FlowError) -> None:
        super().__init__(Completion.DEVICE_NOT_READY, f"no PIN plan: {error.code}")
        self.code = error.code


class PlannedPad:
    """A PinPad. One payment at a time, on the reactor's thread."""

    def __init__(self, pad: PinPad, desk: PlanDesk) -> None:
        self._pad = pad
        self._desk = desk
        self._business = ""
        self._plan: protocol.PinPlanReply | None = None
        self._loaded: dict[str, protocol.PinPlanReply] = {}
        """Slot → the plan whose key is in it."""
        self._cancelled = False
        self.made_for: protocol.PinFor | None = None
        """Whose key the last block was made under; None: the one shared with the switch."""
        pad.watch(self._noticed)

    def begin(self, business: str) -> None:
        """A payment of this business begins."""
        self._business = business
        self.made_for = self._plan = None

    async def pin_entry(
        self, minimum: int, maximum: int, timeout_ms: int, pan: protocol.Pan | None = None
    ) -> int:
        """See PinPad; the slot is the plan's. Raises DeviceError."""
        if pan is None:
            raise DeviceError(Completion.SEQUENCE_ERROR, "the card says by whose key")
        self._cancelled = False
        self.made_for = self._plan = None
        try:
            plan = await self._desk.pin_plan(self._business, pan)
        except FlowError as error:
            raise NoPlanError(error) from None
        self._must_go_on()
        if plan.mode != protocol.THROUGH:
            self._plan = protocol.PinPlanReply(ok=True)
            return await self._pad.pin_entry(minimum, maximum, timeout_ms, pan)
        pad = self._slotted()
        await self._load(pad, plan)
        self._must_go_on()
        self._plan = plan
        try:
            return await pad.pin_entry(minimum, maximum, timeout_ms, pan, plan.slot)
        except DeviceError as error:
            self._doubt(plan, error)
            raise

    async def get_pin_block(self, pan: protocol.Pan) -> protocol.PinBlock:
        """See PinPad."""
        plan, self._plan = self._plan, None
        if plan is None:
            raise DeviceError(Completion.SEQUENCE_ERROR, "nothing was typed")
        try:
            block = await self._pad.get_pin_block(pan)
        except DeviceError as error:
            self._doubt(plan, error)
            raise
        self.made_for = plan.pin_for
        return block

    def status(self) -> str:
        """See Device."""
        return self._pad.status()

    def watch(self, watcher: Watcher) -> None:
        """See Device."""
        self._pad.watch(watcher)

    def cancel(self) -> None:
        """See Device; while the switch is asked there is nobody at the pad to be told."""
        self._cancelled = True
        self._pad.cancel()

    def _slotted(self) -> SlottedPinPad:
        if not hasattr(self._pad, "import_key"):
            raise DeviceError(Completion.UNSUPPORTED_COMMAND, "this pad has no key slots")
        return cast(SlottedPinPad, self._pad)

    async def _load(self, pad: SlottedPinPad, plan: protocol.PinPlanReply) -> None:
        if plan.pin_for is None or not plan.slot:
            raise DeviceError(Completion.INVALID_DATA, "a plan without its key")
        if self._loaded.get(plan.slot) == plan:
            return
        self._loaded.pop(plan.slot, None)
        await pad.import_key(KeyUse.PIN, plan.cryptogram, plan.check_value, plan.slot)
        self._loaded[plan.slot] = plan
        _log.info("key_loaded", slot=plan.slot, generation=plan.pin_for.generation)

    def _doubt(self, plan: protocol.PinPlanReply, error: DeviceError) -> None:
        """A key that could not be used is loaded again next time: it may have been used up."""
        if error.completion not in _THE_PATIENTS:
            self._loaded.pop(plan.slot, None)

    def _must_go_on(self) -> None:
        if self._cancelled:
            raise DeviceError(Completion.CANCELED, "canceled")

    def _noticed(self, event: DeviceEvent) -> None:
        """A pad that was away may be another one, or an emptied one."""
        if event.name == _STATUS:
            self._loaded.clear()
