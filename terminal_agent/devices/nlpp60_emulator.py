"""An NL-PP60 pad without hardware: true PIN blocks, MACs and AuthCodes, and its bad days."""

import secrets
from pathlib import Path
from typing import Any, Final

from hsm.primitives import ecb_decrypt, ecb_encrypt, has_odd_parity, pin_block_0, retail_mac
from terminal_agent.devices.emulator import Emulator
from terminal_agent.devices.interfaces import KeyUse
from terminal_agent.devices.key_file import key_from
from terminal_agent.devices.memory_port import cable
from terminal_agent.devices.nlpp60 import (
    LOAD_MODES,
    MAC_BYTES_MAX,
    MAC_MODE,
    PIN_MODE,
    NlPp60,
    NlPp60Options,
)
from terminal_agent.devices.nlpp60_frames import Command, Decoder, Frame, encode
from terminal_agent.devices.nlpp60_pairing import CODE_BYTES, AuthKey, Pairing, read_pairing
from terminal_agent.devices.pin_slots import read_files
from terminal_agent.protocol import Opaque

DIRECTORIES_MAX: Final = 4
WRONG_CODES_MAX: Final = 5
"""Wrong AuthCodes in a row before the pad locks."""
PIN_DIGITS: Final = range(4, 13)
USES: Final = {mode: use for use, mode in LOAD_MODES.items()}
PIN_KEY_BYTES: Final = 16


class _BadCommandError(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(f"{code:02X}")
        self.code = code


class NlPp60Emulator(Emulator):
    """One pad with its keys in ``directory``. ``cancel_command`` ends a PIN entry, as a reset
    does."""

    def __init__(
        self, pairing: Pairing, directory: int = 1, cancel_command: int = Command.RESET
    ) -> None:
        super().__init__()
        self._pairing = pairing
        self._home = directory
        self._cancel = cancel_command
        self._decoder = Decoder(dict.fromkeys([*Command, cancel_command]))
        self._masters: dict[tuple[KeyUse, int], bytes] = {}
        self._working: dict[tuple[KeyUse, int], tuple[bytes, int]] = {}
        self._directory = 0
        self._random = b""
        self._wrong_codes = 0
        self._refusal = 0
        self._selected: int | None = None
        self._entry: tuple[int, int, str] | None = None
        """Least and most digits, account digits of the PIN being typed."""
        self._typed = ""
        self._waiting = ""
        self.foreign = False
        """It is another pad than the paired one, and cannot prove itself."""
        self.wrong_macs = False

    # ---- hands -----------------------------------------------------------------------------------

    def load_master(self, use: KeyUse, number: int, key: bytes) -> None:
        """What custodians do at the pad."""
        self._masters[use, number] = key

    def load_working(self, use: KeyUse, number: int, key: bytes, uses: int = 65_535) -> None:
        """A key that was there before."""
        self._working[use, number] = (key, uses)

    def type(self, pin: Opaque) -> None:
        """The patient types, now or as soon as the pad asks, and confirms."""
        self._waiting = pin.reveal() + "\r"
        self._press_waiting()

    @property
    def asks(self) -> bool:
        """Whether it waits for a PIN."""
        return self._entry is not None

    def press(self, keys: str) -> None:
        """Single keys: digits, ``\\r`` confirms, ``\\b`` clears, ``\\x1b`` cancels."""
        for key in keys:
            self._press(key)

    def tire(self) -> None:
        """The pad waits no longer for the patient."""
        if self._entry is not None:
            self._end_entry(0x76)

    def refuse(self, code: int) -> None:
        """Answer the next command with this error code."""
        self._refusal = code

    def detach(self) -> None:
        """Without power the keys stay; everything else does not."""
        super().detach()
        self._reset()
        self._decoder.forget()

    def _reset(self) -> None:
        self._directory, self._random, self._selected = 0, b"", None
        self._entry, self._typed = None, ""

    def _press_waiting(self) -> None:
        if self._entry is not None:
            keys, self._waiting = self._waiting, ""
            self.press(keys)

    def _press(self, key: str) -> None:
        if self._entry is None:
            return
        minimum, maximum, account = self._entry
        if key == "\x1b":
            self._end_entry(0x77)
        elif key == "\b":
            self._typed = ""
        elif key == "\r" and len(self._typed) >= minimum:
            assert self._selected is not None
            pin_key = self._use(KeyUse.PIN, self._selected)
            block = ecb_encrypt(pin_key, pin_block_0(self._typed, account))
            self._entry, self._typed = None, ""
            self.answer(encode(Command.PIN_ENTRY, block))
        elif key.isdigit() and len(self._typed) < maximum:
            self._typed += key

    def _end_entry(self, code: int) -> None:
        self._entry, self._typed = None, ""
        self._refuse(Command.PIN_ENTRY, code)

    # ---- the line --------------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """Commands."""
        for frame in self._decoder.feed(data):
            if isinstance(frame, Frame):
                try:
                    answer = self._perform(frame)
                except _BadCommandError as bad:
                    self._refuse(frame.head, bad.code)
                else:
                    if answer is not None:
                        self.answer(encode(frame.head, answer))
                self._press_waiting()

    def _refuse(self, command: int, code: int) -> None:
        self.answer(encode(command & 0x7F, bytes([code])))

    def _perform(self, frame: Frame) -> bytes | None:
        """The answer's data; None: the patient makes it."""
        refusal, self._refusal = self._refusal, 0
        if refusal or not frame.good:
            raise _BadCommandError(refusal or 0x0D)
        if frame.head in (Command.RESET, self._cancel):
            if self._entry is not None:
                self._end_entry(0x77)
            if frame.head == Command.RESET:
                self._reset()
            return b""
        match frame.head:
            case Command.DIRECTORY:
                return self._choose(frame.data)
            case Command.RANDOM:
                self._random = secrets.token_bytes(CODE_BYTES)
                return self._random
            case Command.WORKING_KEY:
                return self._proven(self._pairing.load, frame.data, self._load)
            case Command.SELECT_PIN_KEY:
                return self._proven(self._pairing.use, frame.data, self._select)
            case Command.MAC:
                return self._proven(self._pairing.use, frame.data, self._mac)
        self._ask_pin(frame.data)
        return None

    def _choose(self, data: bytes) -> bytes:
        if len(data) != 1:
            raise _BadCommandError(0x01)
        if data[0] > DIRECTORIES_MAX:
            raise _BadCommandError(0x31)
        self._directory = data[0]
        return b""

    def _proven(self, key: AuthKey, sealed: bytes, perform: Any) -> bytes:
        """The random number serves once, for the command and for its answer."""
        random, self._random = self._random, b""
        if self._wrong_codes >= WRONG_CODES_MAX:
            raise _BadCommandError(0x0B)
        data = key.opened(sealed, random) if random else None
        if data is None:
            self._wrong_codes += 1
            raise _BadCommandError(0x08)
        self._wrong_codes = 0
        answer: bytes = perform(data)
        return answer + (bytes(CODE_BYTES) if self.foreign else key.code(answer, random))

    def _load(self, data: bytes) -> bytes:
        if len(data) != 3 + PIN_KEY_BYTES + 2:
            raise _BadCommandError(0x01)
        master, number, mode = data[:3]
        if mode not in USES:
            raise _BadCommandError(0x62)
        use = USES[mode]
        if self._directory != self._home or (use, master) not in self._masters:
            raise _BadCommandError(0x63)
        key = ecb_decrypt(self._masters[use, master], data[3:-2])
        if not has_odd_parity(key):
            raise _BadCommandError(0x64)
        self._working[use, number] = (key, int.from_bytes(data[-2:], "big"))
        return b""

    def _select(self, data: bytes) -> bytes:
        if len(data) != 4:
            raise _BadCommandError(0x01)
        if data[1] != PIN_MODE:
            raise _BadCommandError(0x72)
        if self._directory != self._home or (KeyUse.PIN, data[0]) not in self._working:
            raise _BadCommandError(0x61)
        self._selected = data[0]
        return b""

    def _mac(self, data: bytes) -> bytes:
        if len(data) < 2:
            raise _BadCommandError(0x01)
        number, mode, covered = data[0], data[1], data[2:]
        if mode != MAC_MODE:
            raise _BadCommandError(0x81)
        if not covered or len(covered) > MAC_BYTES_MAX or len(covered) % 8:
            raise _BadCommandError(0x82)
        mac = retail_mac(self._use(KeyUse.MAC, number), covered)
        return mac[::-1] if self.wrong_macs else mac

    def _use(self, use: KeyUse, number: int) -> bytes:
        """The working key, one use less."""
        key, uses = self._working.get((use, number), (b"", 0))
        if self._directory != self._home or not uses:
            raise _BadCommandError(0x61)
        self._working[use, number] = (key, uses - 1)
        return key

    def _ask_pin(self, data: bytes) -> None:
        if len(data) != 18:
            raise _BadCommandError(0x01)
        if self._selected is None:
            raise _BadCommandError(0x71)
        minimum, maximum = data[:2]
        if minimum not in PIN_DIGITS or maximum not in PIN_DIGITS or maximum < minimum:
            raise _BadCommandError(0x74)
        if not self._working[KeyUse.PIN, self._selected][1]:
            raise _BadCommandError(0x61)
        self._entry = (minimum, maximum, data[-12:].decode("ascii", "replace"))
        self._typed = ""


class EmulatedNlPp60Options(NlPp60Options, frozen=True, kw_only=True):
    """A pad that is not there: ``port`` is the link to make."""

    key_file: str
    """The PIN key, hex, as if it had been loaded before."""
    masters: str = ""
    """The master keys of ``slots``, hex: ``NAME=FILE`` with spaces between."""


class EmulatedNlPp60(NlPp60):
    """Driver and emulated pad in one process, for demonstrations."""

    def __init__(self, options: EmulatedNlPp60Options, reactor: Any, **world: Any) -> None:
        pairing = read_pairing(Path(options.pairing_file))
        cancel = int(options.cancel_command, 16)
        self.emulator = NlPp60Emulator(pairing, options.directory, cancel)
        key = key_from(Path(options.key_file))
        self.emulator.load_working(KeyUse.PIN, int(options.pin_key, 16), key)
        self.emulator.load_working(KeyUse.MAC, int(options.mac_key, 16), key)
        self._cable, line = cable(reactor, options.port, self.emulator)
        super().__init__(options, reactor, **line, **world)
        for name, file in read_files(options.masters, "masters").items():
            self.emulator.load_master(KeyUse.PIN, int(self._slots[name].master, 16), key_from(file))

    def start(self) -> None:
        """Plug the pad in, then see SerialDevice."""
        self._cable.plug()
        super().start()

    def type(self, pin: Opaque) -> None:
        """What the patient's fingers do."""
        self.emulator.type(pin)
