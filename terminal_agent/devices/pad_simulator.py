"""A PIN pad without hardware: it truly encrypts the PIN, ISO format 0 under the terminal's key.

The clear key stands in a file that only this simulated pad reads: it plays the tamper-proof part
of a real pad, which custodians load. Nothing else of the agent ever sees key or PIN.
"""

from pathlib import Path

from twisted.internet.defer import Deferred

from hsm.primitives import account12, check_value, ecb_encrypt, pin_block_0
from terminal_agent.devices.interfaces import (
    KEYBOARD_OPEN,
    Completion,
    DeviceError,
    DeviceEvent,
    Watcher,
)
from terminal_agent.devices.key_file import key_from
from terminal_agent.devices.waiting import Waiting
from terminal_agent.protocol import Opaque, Pan, PinBlock


class SimulatedPinPad:
    """One pad with one working key."""

    def __init__(self, key_file: Path, waiting: Waiting) -> None:
        self._key = key_from(key_file)
        self._waiting = waiting
        self._typed: Opaque | None = None
        self._wanted: Deferred[None] | None = None
        self._watchers: list[Watcher] = []

    @property
    def key_check_value(self) -> str:
        """KCV, 6 hex: to compare with the switch's."""
        return check_value(self._key)[:3].hex().upper()

    def type(self, pin: Opaque) -> None:
        """What the patient's fingers do."""
        self._typed = pin
        for watcher in self._watchers:
            for _ in pin.reveal():
                watcher(DeviceEvent(name="Keyboard.KeyEvent", detail="*"))
            watcher(DeviceEvent(name="Keyboard.KeyEvent", detail="enter"))
        if self._wanted is not None:
            wanted, self._wanted = self._wanted, None
            wanted.callback(None)

    async def pin_entry(
        self, minimum: int, maximum: int, timeout_ms: int, pan: Pan | None = None
    ) -> int:
        """Digits typed already count, as they do in a real pad's buffer."""
        for watcher in self._watchers:
            watcher(DeviceEvent(name=KEYBOARD_OPEN))
        if self._typed is None:
            self._wanted = self._waiting.until(timeout_ms, "no PIN typed")
            await self._wanted
        assert self._typed is not None
        digits = self._typed.reveal()
        if not (minimum <= len(digits) <= maximum and digits.isdecimal() and digits.isascii()):
            self._typed = None
            raise DeviceError(Completion.USER_ERROR, "a PIN has 4 to 12 digits")
        return len(digits)

    async def get_pin_block(self, pan: Pan) -> PinBlock:
        """Encrypt and forget."""
        typed, self._typed = self._typed, None
        if typed is None:
            raise DeviceError(Completion.SEQUENCE_ERROR, "nothing was typed")
        return self.encrypt(typed, pan)

    def encrypt(self, pin: Opaque, pan: Pan) -> PinBlock:
        """The cryptogram of a PIN, for the load generator's prepared cards too."""
        block = pin_block_0(pin.reveal(), account12(pan.reveal()))
        return PinBlock(ecb_encrypt(self._key, block).hex().upper())

    def status(self) -> str:
        """Never breaks."""
        return "online"

    def watch(self, watcher: Watcher) -> None:
        """See Device."""
        self._watchers.append(watcher)

    def cancel(self) -> None:
        """The patient pressed cancel, or the flow gave up."""
        self._typed = None
        wanted, self._wanted = self._wanted, None
        if wanted is not None:
            wanted.errback(DeviceError(Completion.CANCELED, "canceled"))
