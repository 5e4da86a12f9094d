"""A VISA master/session-key pad without hardware: true PIN blocks and MACs, and its bad days."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from hsm.primitives import (
    account12,
    cbc_mac,
    check_value,
    ecb_decrypt,
    ecb_encrypt,
    has_odd_parity,
    odd_parity,
    pin_block_0,
    retail_mac,
)
from terminal_agent.devices.emulator import Emulator
from terminal_agent.devices.interfaces import KeyUse
from terminal_agent.devices.key_file import key_from
from terminal_agent.devices.memory_port import cable
from terminal_agent.devices.pin_slots import read_files
from terminal_agent.devices.visa_frames import ACK, EOT, FS, NAK, Decoder, Frame, Kind, encode
from terminal_agent.devices.visa_pad import VisaPad, VisaPadOptions
from terminal_agent.protocol import Opaque

TRIES_MAX: Final = 3


class VisaPadEmulator(Emulator):
    """One pad. ``unwrap`` opens TR-31 key blocks; without it the pad refuses them."""

    def __init__(self, unwrap: Callable[[str], bytes] | None = None) -> None:
        super().__init__()
        self._unwrap = unwrap
        self._decoder = Decoder()
        self._masters: dict[str, bytes] = {}
        self._active = "0"
        self._coming: tuple[str, bytes] | None = None
        self._last = b""
        self._naks = 0
        self._session: tuple[bytes, str, int, int] | None = None
        self._typed = ""
        self._waiting = ""
        self._macs: tuple[int, bytes] = (0, b"")
        self.refusals = 0
        """Answer the next so many frames with NAK."""

    # ---- hands -----------------------------------------------------------------------------------

    def load_master(self, slot: str, key: bytes) -> None:
        """What custodians do at the pad, two of them."""
        self._masters[slot] = key

    def type(self, pin: Opaque) -> None:
        """The patient types, now or as soon as the pad asks, and confirms."""
        self._waiting = pin.reveal() + "\r"
        self._press_waiting()

    def press(self, keys: str) -> None:
        """Single keys: digits, ``\\r`` confirms, ``\\b`` clears, ``\\x1b`` cancels."""
        for key in keys:
            self._press(key)

    def detach(self) -> None:
        """Without power the keys stay; what was typed does not."""
        super().detach()
        self._session = None
        self._typed = ""
        self._decoder.forget()

    def _press_waiting(self) -> None:
        if self._session is not None:
            keys, self._waiting = self._waiting, ""
            self.press(keys)

    def _press(self, key: str) -> None:
        if self._session is None:
            return
        session, pan, minimum, maximum = self._session
        if key == "\x1b":
            self._session = None
            self.send(bytes([EOT]))
        elif key == "\b":
            self._typed = ""
        elif key == "\r" and len(self._typed) >= minimum:
            block = ecb_encrypt(session, pin_block_0(self._typed, account12(pan)))
            length, self._session, self._typed = len(self._typed), None, ""
            self._reply(f"71.0{length:02d}01{block.hex().upper()}".encode())
        elif key.isdigit() and len(self._typed) < maximum:
            self._typed += key

    # ---- the line --------------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """Frames and control bytes."""
        for item in self._decoder.feed(data):
            if isinstance(item, Frame):
                if not item.good or self.refusals:
                    self.refusals = max(0, self.refusals - 1)
                    self.send(bytes([NAK]))
                    continue
                self.send(bytes([ACK]))
                try:
                    self._perform(item)
                except (ValueError, IndexError):
                    self._reply(item.body[:3] + b"5")
                self._press_waiting()
            else:
                self._told(item)

    def _told(self, control: int) -> None:
        if control == NAK and self._last and self._naks < TRIES_MAX:
            self._naks += 1
            self.answer(self._last)
        elif control == ACK and self._coming is not None:
            slot, key = self._coming
            self._masters[slot] = key
            self._coming = None
            self.send(bytes([EOT]))
        elif control == EOT:
            self._coming = None

    def _reply(self, body: bytes, kind: Kind = Kind.WORK) -> None:
        self._last, self._naks = encode(body, kind), 0
        self.answer(self._last)

    def _perform(self, frame: Frame) -> None:
        text = frame.body.decode("ascii")
        if frame.kind is Kind.ADMINISTRATION:
            self._administer(text)
        elif text.startswith(("Z62.", "70.")):
            self._ask_pin(text)
        elif text.startswith("Z66"):
            self._reply(b"Z67" + self._mac(text))
        elif text == "72":
            self._session, self._typed, self._macs = None, "", (0, b"")

    def _administer(self, text: str) -> None:
        command, slot, rest = text[:2], text[2:3], text[3:]
        if command == "02":
            if self._unwrap is None:
                self.send(bytes([EOT]))
                return
            self._coming = (slot, self._unwrap(rest))
            self._reply(text.encode(), Kind.ADMINISTRATION)
        elif command == "04":
            known = "F" if slot in self._masters else "0"
            self._reply(f"04{known}".encode(), Kind.ADMINISTRATION)
        elif command == "08":
            self._active = slot
            self.send(bytes([EOT]))

    def _ask_pin(self, text: str) -> None:
        """Z62 with limits and prompts; 70 with an amount and the pad's own limits."""
        account, rest = text.partition(".")[2].split(FS.decode(), 1)
        custom = text.startswith("Z62")
        if self._active not in self._masters:
            self._reply(b"719")
            return
        digits = next(n for n in (48, 32, 16) if _is_key(rest[:n], n))
        session = self._opened(rest[:digits], self._active)
        if session is None:
            self._reply(b"715")
            return
        minimum, maximum = (
            (int(rest[digits : digits + 2]), int(rest[digits + 2 : digits + 4]))
            if custom
            else (4, 12)
        )
        self._session = (session, account, minimum, maximum)
        self._typed = ""

    def _mac(self, text: str) -> bytes:
        head, key, _second, message = text.split(FS.decode())
        flag, number, slot = head[3], int(head[4:6]), head[6:7] or self._active
        session = self._opened(key, slot) if slot in self._masters else None
        if slot not in self._masters:
            return b"3"
        if session is None:
            return b"8"
        expected, held = self._macs if number else (0, b"")
        if number != expected:
            return b"2"
        held += bytes.fromhex(message)
        if flag == "7":
            self._macs = (number + 1, held)
            return b"1"
        self._macs = (0, b"")
        mac = cbc_mac(session, held) if len(session) == 8 else retail_mac(session, held)
        return b"0" + mac.hex().upper().encode()

    def _opened(self, cryptogram: str, slot: str) -> bytes | None:
        key = ecb_decrypt(self._masters[slot], bytes.fromhex(cryptogram))
        return key if has_odd_parity(key) else None


def _is_key(text: str, digits: int) -> bool:
    """Capitals only; the letter after the limits (or the amount's sign) ends the longest run."""
    return len(text) == digits and not set(text) - set("0123456789ABCDEF")


class EmulatedVisaOptions(VisaPadOptions, frozen=True, kw_only=True):
    """A pad that is not there: ``port`` is the link to make."""

    key_file: str
    """The PIN key, hex. A session key of the demonstration lies under itself as the master."""
    masters: str = ""
    """The master keys of ``slots``, hex: ``NAME=FILE`` with spaces between."""


class EmulatedVisaPad(VisaPad):
    """Driver and emulated pad in one process, for demonstrations."""

    def __init__(self, options: EmulatedVisaOptions, reactor: Any, **world: Any) -> None:
        self.emulator = VisaPadEmulator()
        self._demo_key = odd_parity(key_from(Path(options.key_file)))
        self.emulator.load_master(options.master_key, self._demo_key)
        self._cable, line = cable(reactor, options.port, self.emulator)
        super().__init__(options, reactor, **line, **world)
        for name, file in read_files(options.masters, "masters").items():
            self.emulator.load_master(self._slots[name].master, key_from(file))

    def start(self) -> None:
        """Plug the pad in, then see SerialDevice."""
        sealed = ecb_encrypt(self._demo_key, self._demo_key).hex().upper()
        self._keys = {
            (use, self._pad.master_key): Opaque(sealed) for use in (KeyUse.PIN, KeyUse.MAC)
        }
        self._cable.plug()
        super().start()

    @property
    def key_check_value(self) -> str:
        """KCV, 6 hex: to compare with the switch's."""
        return check_value(self._demo_key)[:3].hex().upper()

    def type(self, pin: Opaque) -> None:
        """What the patient's fingers do."""
        self.emulator.type(pin)
