"""PIN pads of the type Newland NL-PP60.

Custodians load the master keys at the pad; working keys arrive as cryptograms under them. The pad
encrypts as soon as the PIN is confirmed, bound to the card number named before; it shows no single
keys, says nothing of the PIN's length, and has no mode for numbers typed in clear. Every command
chooses its directory anew, for a pad that lost its power stands in the root.
"""

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from terminal_agent.devices.interfaces import KEYBOARD_OPEN, Completion, DeviceError, KeyUse
from terminal_agent.devices.nlpp60_frames import (
    Command,
    Decoder,
    Frame,
    answers_to,
    encode,
    error_of,
)
from terminal_agent.devices.nlpp60_pairing import AuthKey, read_pairing
from terminal_agent.devices.pin_slots import PinSlot, PinSlots
from terminal_agent.devices.serial_device import SerialDevice, SerialOptions
from terminal_agent.devices.zt598 import BLOCK, account_part, is_hex, must_be_check_value
from terminal_agent.protocol import Pan, PinBlock

MAC_BYTES_MAX = 240
"""Of one command, and of one MAC: the pad does not chain."""
KEY_DIGITS = 32
LOAD_MODES = {KeyUse.PIN: 0x92, KeyUse.MAC: 0x91}
PIN_MODE = 0x81
MAC_MODE = 0x82
"""Triple DES with a working key under a master key."""
RESERVED = bytes(2)
CARD_DIGITS = 16

KeyNumber = Annotated[str, Meta(pattern="^[0-9A-F]{2}$")]


class NlPp60Options(SerialOptions, frozen=True, kw_only=True):
    """Key numbers are two hex digits."""

    directory: Annotated[int, Meta(ge=0, le=4)]
    """Where this hospital's keys are; 0 is the root."""
    pin_master: KeyNumber
    mac_master: KeyNumber
    pin_key: KeyNumber
    mac_key: KeyNumber
    key_uses: Annotated[int, Meta(ge=1, le=65_535)]
    """How often a working key may be used before the pad wants a new one."""
    pairing_file: str
    """See :func:`read_pairing`."""
    cancel_command: Annotated[str, Meta(pattern="^[89A-F][0-9A-F]$")] = "D5"
    """Ends a PIN entry. The manual has a command for it; here the pad is reset instead."""
    slots: str = ""
    """Banks' own keys: ``NAME=MASTER/PIN`` with spaces between, ``icbc.outpatient=01/11``."""


def card_field(pan: Pan) -> bytes:
    """The card number as command 83 wants it: 16 digits, of which the pad takes the last twelve
    into the PIN block. So the check digit is left away here (to be confirmed with the maker)."""
    return account_part(pan).rjust(CARD_DIGITS, b"0")


class NlPp60(SerialDevice):
    """One pad."""

    role = "pin_pad"

    def __init__(self, options: NlPp60Options, reactor: Any, **world: Any) -> None:
        super().__init__(options, reactor, **world)
        self._pad = options
        self._pairing = read_pairing(Path(options.pairing_file))
        own = PinSlot(options.pin_master, options.pin_key)
        self._slots = PinSlots(own, options.slots, "[0-9A-F]{2}/[0-9A-F]{2}")
        self._decoder = Decoder({})
        self._refused: set[tuple[KeyUse, str]] = set()
        self._block: tuple[Pan, PinBlock] | None = None
        self._typing = False
        self._canceled = False

    # ---- Keyboard, PinPad ------------------------------------------------------------------------

    async def pin_entry(
        self, minimum: int, maximum: int, timeout_ms: int, pan: Pan | None = None, slot: str = ""
    ) -> int:
        """See PinPad; the number of digits stays unknown."""
        key = self._slots[slot].key
        if pan is None:
            raise DeviceError(Completion.SEQUENCE_ERROR, "this pad needs the card first")
        self._canceled = False
        async with self._turn_of_mine():
            self._block = None
            number = self._usable(KeyUse.PIN, key)
            await self._choose_directory()
            await self._proven(
                self._pairing.use, Command.SELECT_PIN_KEY, bytes([number, PIN_MODE]) + RESERVED
            )
            if self._canceled:  # while the pad was being told to begin
                raise DeviceError(Completion.CANCELED, "canceled")
            try:
                block = await self._typed(bytes([minimum, maximum]) + card_field(pan), timeout_ms)
            except DeviceError as error:
                if error.completion in (Completion.TIME_OUT, Completion.CANCELED):
                    self._tell("Keyboard.KeyEvent", "cancel")
                raise
            self._block = (pan, PinBlock(block.hex().upper()))
            self._tell("Keyboard.KeyEvent", "enter")
            return 0

    async def _typed(self, data: bytes, timeout_ms: int) -> bytes:
        """Until the pad answers; every end that is not the pad's own closes its keyboard."""
        self._decoder = Decoder(answers_to(Command.PIN_ENTRY))
        answer = self._hear(timeout_ms)
        self._send(encode(Command.PIN_ENTRY, data))
        self._typing = True
        self._tell(KEYBOARD_OPEN)
        try:
            heard = await answer
        except DeviceError:
            self._typing = False
            # How the entry ended is what the caller hears, not how its ending went.
            with suppress(DeviceError):
                await self._command(int(self._pad.cancel_command, 16))
            raise
        finally:
            self._typing = False
        return self._good(heard)

    async def get_pin_block(self, pan: Pan) -> PinBlock:
        """See PinPad."""
        held, self._block = self._block, None
        if held is None or held[0].reveal() != pan.reveal():
            raise DeviceError(Completion.SEQUENCE_ERROR, "nothing was typed for this card")
        return held[1]

    def cancel(self) -> None:
        """See Device."""
        self._block = None
        self._canceled = True
        if self._typing:
            self._give_up(Completion.CANCELED, "canceled")

    # ---- KeyManagement, Crypto -------------------------------------------------------------------

    async def import_key(
        self, use: KeyUse, cryptogram: str, check_value: str, slot: str = ""
    ) -> None:
        """See KeyedPinPad; PIN and MAC keys of double length. The check value of a MAC key is the
        MAC of eight zero bytes. The pad tells nothing of a PIN key's value: its proven answer is
        all there is, and a wrong key shows when its first block does not open."""
        chosen = self._slots[slot]
        if use not in LOAD_MODES or (slot and use is not KeyUse.PIN):
            raise DeviceError(Completion.UNSUPPORTED_COMMAND, f"no {use} key is loaded from here")
        if len(cryptogram) != KEY_DIGITS or not is_hex(cryptogram):
            raise DeviceError(Completion.INVALID_DATA, "a key of this pad has 32 hex digits")
        must_be_check_value(check_value)
        pad = self._pad
        numbers = chosen if use is KeyUse.PIN else (pad.mac_master, pad.mac_key)
        head = bytes.fromhex("".join(numbers)) + bytes([LOAD_MODES[use]])
        async with self._turn_of_mine():
            self._refused.add((use, numbers[1]))
            await self._choose_directory()
            key = bytes.fromhex(cryptogram) + pad.key_uses.to_bytes(2, "big")
            await self._proven(self._pairing.load, Command.WORKING_KEY, head + key)
            if use is KeyUse.MAC:
                made = await self._mac(bytes(BLOCK))
                if not made.hex().upper().startswith(check_value.upper()):
                    raise DeviceError(Completion.INVALID_DATA, f"check value of the {use} key")
            self._refused.discard((use, numbers[1]))

    async def generate_authentication(self, data: bytes) -> bytes:
        """See KeyedPinPad: X9.19, padded with zeros to whole blocks (ISO 9797-1 method 1)."""
        if not 0 < len(data) <= MAC_BYTES_MAX:
            raise DeviceError(Completion.INVALID_DATA, "a MAC of this pad covers 1 to 240 bytes")
        async with self._turn_of_mine():
            self._usable(KeyUse.MAC, self._pad.mac_key)
            await self._choose_directory()
            return await self._mac(data + bytes(-len(data) % BLOCK))

    async def _mac(self, data: bytes) -> bytes:
        head = bytes([int(self._pad.mac_key, 16), MAC_MODE])
        return await self._proven(self._pairing.use, Command.MAC, head + data)

    def _usable(self, use: KeyUse, number: str) -> int:
        if (use, number) in self._refused:
            raise DeviceError(Completion.AUTHORISATION_REQUIRED, f"the {use} key is not good")
        return int(number, 16)

    # ---- the line --------------------------------------------------------------------------------

    async def _greet(self) -> None:
        await self._choose_directory()

    async def _choose_directory(self) -> None:
        await self._command(Command.DIRECTORY, bytes([self._pad.directory]))

    async def _proven(self, key: AuthKey, command: Command, data: bytes) -> bytes:
        """An exchange in which both sides prove themselves: the answer's data without its code.
        Raises DeviceError (fraudAttempt: another pad than the paired one answers)."""
        random = await self._command(Command.RANDOM)
        answer = key.opened(await self._command(command, data + key.code(data, random)), random)
        if answer is None:
            raise DeviceError(Completion.FRAUD_ATTEMPT, "the pad does not prove itself")
        return answer

    async def _command(self, command: int, data: bytes = b"") -> bytes:
        """One exchange: the answer's data. Raises DeviceError."""
        self._decoder = Decoder(answers_to(command))
        return self._good(await self._ask(encode(command, data)))

    def _good(self, answer: Frame) -> bytes:
        if answer.head & 0x80:
            return answer.data
        raise error_of(answer.data[0])

    def _feed(self, data: bytes) -> None:
        decoder = self._decoder
        for item in decoder.feed(data):
            if decoder is not self._decoder:
                return  # the next exchange has begun, and what came before it is not its answer
            if isinstance(item, Frame):
                if item.good:
                    self._answered(item)
                else:
                    self._give_up(Completion.HARDWARE_ERROR, "a damaged answer")
            elif self._typing and 0x30 <= item <= 0x39:
                # The pad is silent while a PIN is typed; one that sends digits is not believed.
                self._give_up(Completion.FRAUD_ATTEMPT, "the pad shows digits")

    def _forget(self) -> None:
        self._decoder.forget()

    def _unplugged(self, error: DeviceError) -> None:
        self._block = None
