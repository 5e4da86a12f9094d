"""A ZT598 pad without hardware: it holds keys, makes true PIN blocks and MACs, and can misbehave.

What a custodian, a patient or a thief does to a pad are methods: :meth:`load_master`,
:meth:`type`, :meth:`press`, :meth:`tamper`, :meth:`remove`.
"""

import secrets
from pathlib import Path
from typing import Any, Final

from hsm.primitives import (
    PIN_FORMS,
    PinAccount,
    cbc_mac,
    check_value,
    ecb_decrypt,
    ecb_encrypt,
    has_odd_parity,
)
from terminal_agent.devices.emulator import Emulator
from terminal_agent.devices.key_file import key_from
from terminal_agent.devices.memory_port import cable
from terminal_agent.devices.pin_slots import read_files
from terminal_agent.devices.zt598 import (
    BROKEN,
    CANCEL,
    CLEAR,
    CONFIRM,
    DEFAULT_UID,
    STAR,
    Zt598,
    Zt598Options,
    uid_of,
)
from terminal_agent.devices.zt598_frames import Decoder, encode
from terminal_agent.protocol import Opaque

GOOD: Final = b"\x60"
FORMS: Final = {0x20: "iso-0", 0x21: "iso-1", 0x23: "iso-3"}
"""The pad's number of a PIN block format → its name."""
AUTHENTICATIONS_MAX: Final = 5
"""Wrong proofs in a row before the pad locks."""


class _BadCommandError(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(f"{code:02X}")
        self.code = code


class Zt598Emulator(Emulator):
    """One pad."""

    def __init__(self, uid: str = DEFAULT_UID) -> None:
        super().__init__()
        self._uid = uid
        self._decoder = Decoder()
        self._keys: dict[int, tuple[str, bytes]] = {}
        self._alarm = 0
        self._wrong_proofs = 0
        self._challenge = b""
        self._expected = b""
        self._asked_for = self._open_for = -1
        self._mode = ""
        self._backspace = True
        self._shortest, self._longest = 4, 12
        self._typed = ""
        self._pin = ""
        self._waiting = ""
        self.wrong_check_values = False
        """Answer check values that are not the keys'."""

    # ---- hands -----------------------------------------------------------------------------------

    def load_master(self, slot: int, key: bytes) -> None:
        """What custodians do at the pad."""
        self._keys[slot] = ("2", key)

    def load_working(self, slot: int, use: str, key: bytes) -> None:
        """A key that was there before: ``3`` PIN, ``5`` MAC, ``6`` data."""
        self._keys[slot] = (use, key)

    def type(self, pin: Opaque) -> None:
        """The patient types, now or as soon as the pad asks, and confirms."""
        self._waiting = pin.reveal() + "\r"
        self._press_waiting()

    def press(self, keys: str) -> None:
        """Single keys: digits, ``\\r`` confirms, ``\\b`` corrects, ``\\x1b`` cancels."""
        for key in keys:
            self._press(key)

    def break_key(self) -> None:
        """A key sticks."""
        self.send(bytes([BROKEN]))

    def tamper(self) -> None:
        """Somebody opens the pad: it forgets all keys for good."""
        self._keys.clear()
        self._alarm = 0xDD

    def remove(self, removed: bool = True) -> None:
        """Take it off its mounting, or put it back."""
        self._alarm = 0xFF if removed else 0

    def detach(self) -> None:
        """Without power the keys stay, by battery; what was typed does not."""
        super().detach()
        self._mode = self._typed = self._pin = ""
        self._open_for = -1
        self._decoder.forget()

    def _press_waiting(self) -> None:
        if self._mode == "pin":
            keys, self._waiting = self._waiting, ""
            self.press(keys)

    def _press(self, key: str) -> None:
        if not self._mode:
            return
        if key == "\r":
            if len(self._typed) >= (self._shortest if self._mode == "pin" else 1):
                if self._mode == "pin":
                    self._pin, self._typed, self._mode = self._typed, "", ""
                self.send(bytes([CONFIRM]))
        elif key == "\x1b":
            self._mode = self._typed = ""
            self.send(bytes([CANCEL]))
        elif key == "\b":
            self._typed = self._typed[:-1] if self._backspace else ""
            self.send(bytes([CLEAR]))
        elif len(self._typed) < self._longest:
            self._typed += key
            self.send(bytes([STAR]) if self._mode == "pin" else key.encode("ascii"))

    # ---- the line --------------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """Commands."""
        for body in self._decoder.feed(data):
            if isinstance(body, bytes) and body:
                try:
                    self.answer(encode(GOOD + self._perform(body)))
                except _BadCommandError as bad:
                    self.answer(encode(bytes([bad.code])))
                except (ValueError, IndexError):
                    self.answer(encode(b"\xe9"))
                self._press_waiting()

    def _perform(self, body: bytes) -> bytes:
        if self._alarm:
            raise _BadCommandError(self._alarm)
        match body[:1]:
            case b"I":
                return b"88888888" + b"00000000" + b"000000"
            case b"1":
                return self._load(body[1:].decode("ascii"))
            case b"2":
                return self._load_under(body[1:].decode("ascii"))
            case b"5":
                return self._control(body[1:].decode("ascii"))
            case b"6":
                self._backspace = body[5:6] == b"1"
                self._mode, self._typed, self._pin = "pin", "", ""
                return b""
            case b"7":
                return self._pin_block(body)
            case b"8":
                return self._mac(body)
            case b"9":
                return self._crypt(body.decode("ascii"))
            case b":":
                return self._authenticate(body[1:].decode("ascii"))
        raise _BadCommandError(0xEB)

    def _load(self, text: str) -> bytes:
        """A clear master key: the pad takes it, the driver never sends it."""
        key = bytes.fromhex(text[4:])
        if len(key) != 8 * int(text[3]):
            raise _BadCommandError(0xE3)
        self._keys[int(text[:2], 16)] = ("2", key)
        return check_value(key).hex().upper().encode()

    def _load_under(self, text: str) -> bytes:
        master, slot, use = int(text[:2], 16), int(text[2:4], 16), text[4]
        sealed = bytes.fromhex(text[6:])
        if len(sealed) != 8 * int(text[5]):
            raise _BadCommandError(0xE3)
        if self._keys.get(master, ("", b""))[0] != "2":
            raise _BadCommandError(0xE2)
        key = ecb_decrypt(self._key(master), sealed)
        if not has_odd_parity(key):
            raise _BadCommandError(0xE6)
        self._keys[slot] = (use, key)
        return b""

    def _control(self, text: str) -> bytes:
        match text:
            case "033":
                self._mode, self._typed = "text", ""
            case "032":
                self._mode = self._typed = self._pin = ""
            case "031":
                self._keys.clear()
            case _ if text[0] == "4":
                self._shortest = int(text[1:])
            case _ if text[0] == "5":
                self._longest = int(text[1:])
        return b""

    def _pin_block(self, body: bytes) -> bytes:
        key = self._key(int(body[1:3], 16), "3")
        pin, self._pin = self._pin, ""
        if not pin:
            raise _BadCommandError(0xEF)
        digits = body[4:16].decode("ascii") or "0" * 12
        account = PinAccount(rightmost=digits, leftmost=digits, pan=digits)
        block = PIN_FORMS[FORMS[body[3]]].seal(key, pin, account, secrets.token_bytes)
        return b"%02d00" % len(pin) + block.hex().upper().encode()

    def _mac(self, body: bytes) -> bytes:
        key = self._key(int(body[1:3], 16), "5")
        if body[3:4] == b"2":
            key = key[:8]
        return cbc_mac(key, body[4:]).hex().upper().encode()

    def _crypt(self, text: str) -> bytes:
        key = self._key(int(text[1:3], 16))
        made = ecb_encrypt(key, bytes.fromhex(text[4:])).hex().upper().encode()
        return made[::-1] if self.wrong_check_values else made

    def _key(self, slot: int, use: str = "") -> bytes:
        if slot not in self._keys:
            raise _BadCommandError(0xE4)
        of, key = self._keys[slot]
        if use and of != use:
            raise _BadCommandError(0xE5)
        if self._open_for != slot:
            raise _BadCommandError(0xEC)
        return key

    def _authenticate(self, text: str) -> bytes:
        if self._wrong_proofs >= AUTHENTICATIONS_MAX:
            raise _BadCommandError(0xED)
        step, data = text[:2], text[2:]
        if step == "A0":
            if data != self._uid:
                raise _BadCommandError(0xEC)
            self._challenge = secrets.token_bytes(16)
            return self._challenge.hex().upper().encode()
        if step == "90":
            good = bool(self._expected) and bytes.fromhex(data) == self._expected
            self._expected = b""
            self._wrong_proofs = 0 if good else self._wrong_proofs + 1
            self._open_for = self._asked_for if good else -1
            if not good:
                raise _BadCommandError(0xEC)
            return b""
        self._asked_for = int(step, 16)
        if self._asked_for not in self._keys:
            raise _BadCommandError(0xE4)
        if bytes.fromhex(data) != self._challenge:
            raise _BadCommandError(0xEC)
        sealed = ecb_encrypt(self._keys[self._asked_for][1], self._challenge)
        self._expected = ecb_encrypt(bytes.fromhex(self._uid), sealed)
        return sealed.hex().upper().encode()


class EmulatedOptions(Zt598Options, frozen=True, kw_only=True):
    """A pad that is not there: ``port`` is the link to make."""

    key_file: str
    """The PIN key, hex, as custodians would have loaded it."""
    masters: str = ""
    """The master keys of ``slots``, hex: ``NAME=FILE`` with spaces between."""


class EmulatedZt598(Zt598):
    """Driver and emulated pad in one process, for demonstrations."""

    def __init__(self, options: EmulatedOptions, reactor: Any, **world: Any) -> None:
        self.emulator = Zt598Emulator(uid_of(options))
        key = key_from(Path(options.key_file))
        self.emulator.load_working(int(options.pin_slot, 16), "3", key)
        self.emulator.load_working(int(options.mac_slot, 16), "5", key)
        self._cable, line = cable(reactor, options.port, self.emulator)
        super().__init__(options, reactor, **line, **world)
        for name, file in read_files(options.masters, "masters").items():
            self.emulator.load_master(int(self._slots[name].master, 16), key_from(file))

    def start(self) -> None:
        """Plug the pad in, then see SerialDevice."""
        self._cable.plug()
        super().start()

    def type(self, pin: Opaque) -> None:
        """What the patient's fingers do."""
        self.emulator.type(pin)
