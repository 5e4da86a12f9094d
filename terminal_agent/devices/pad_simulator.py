"""A PIN pad without hardware: it truly encrypts the PIN, ISO format 0 under the terminal's key.

The clear key stands in a file that only this simulated pad reads, as do the master keys of banks
whose own PIN keys it holds: they play the tamper-proof part of a real pad, which custodians load.
Nothing else of the agent ever sees key or PIN.
"""

from collections.abc import Mapping
from pathlib import Path

from twisted.internet.defer import Deferred

from hsm.primitives import account12, ecb_decrypt, ecb_encrypt, pin_block_0
from hsm.primitives import check_value as kcv
from terminal_agent.devices.interfaces import (
    KEYBOARD_OPEN,
    Completion,
    DeviceError,
    DeviceEvent,
    KeyUse,
    Watcher,
)
from terminal_agent.devices.key_file import key_from
from terminal_agent.devices.waiting import Waiting
from terminal_agent.protocol import Opaque, Pan, PinBlock


class SimulatedPinPad:
    """One pad with one working key, and slots for those of banks."""

    def __init__(
        self, key_file: Path, waiting: Waiting, masters: Mapping[str, Path] | None = None
    ) -> None:
        """``masters``: slot → file of its master key. Raises ConfigError."""
        self._key = key_from(key_file)
        self._masters = {slot: key_from(file) for slot, file in (masters or {}).items()}
        self._pin_keys = {"": self._key}
        self._slot = ""
        self._waiting = waiting
        self._typed: Opaque | None = None
        self._wanted: Deferred[None] | None = None
        self._watchers: list[Watcher] = []

    @property
    def key_check_value(self) -> str:
        """KCV, 6 hex: to compare with the switch's."""
        return kcv(self._key)[:3].hex().upper()

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
        self, minimum: int, maximum: int, timeout_ms: int, pan: Pan | None = None, slot: str = ""
    ) -> int:
        """Digits typed already count, as they do in a real pad's buffer."""
        if slot not in self._pin_keys:
            raise DeviceError(Completion.AUTHORISATION_REQUIRED, f"no key in slot {slot}")
        self._slot = slot
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
        return self.encrypt(typed, pan, self._slot)

    def encrypt(self, pin: Opaque, pan: Pan, slot: str = "") -> PinBlock:
        """The cryptogram of a PIN, for the load generator's prepared cards too."""
        block = pin_block_0(pin.reveal(), account12(pan.reveal()))
        return PinBlock(ecb_encrypt(self._pin_keys[slot], block).hex().upper())

    async def import_key(
        self, use: KeyUse, cryptogram: str, check_value: str, slot: str = ""
    ) -> None:
        """See KeyedPinPad; PIN keys in banks' slots alone."""
        master = self._masters.get(slot)
        if master is None or use is not KeyUse.PIN:
            raise DeviceError(Completion.UNSUPPORTED_COMMAND, f"no key slot {slot}")
        self._pin_keys.pop(slot, None)
        key = ecb_decrypt(master, bytes.fromhex(cryptogram))
        if not kcv(key).hex().upper().startswith(check_value.upper()):
            raise DeviceError(Completion.INVALID_DATA, f"check value of the {use} key")
        self._pin_keys[slot] = key

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
