"""PIN pads of the ZT598 type (证通): keys, PIN entry, PIN blocks, MAC.

The driver loads nothing in clear: working keys, and master keys under master keys, arrive as
cryptograms (command ``2``); the first master key is the custodians' business at the pad. Before a
key is used the pad wants a challenge answered with its UID, which pairs pad and kiosk and protects
no PIN. Clear-text input is a mode of its own for visit numbers, and is refused from the first key
of a PIN until its block has been fetched.
"""

from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta
from twisted.internet.defer import Deferred

from hsm.primitives import ecb_encrypt
from terminal_agent.config import ConfigError
from terminal_agent.devices.interfaces import KEYBOARD_OPEN, Completion, DeviceError, KeyUse, State
from terminal_agent.devices.pin_slots import PinSlot, PinSlots
from terminal_agent.devices.serial_device import SerialDevice, SerialOptions
from terminal_agent.devices.zt598_frames import Decoder, encode, error_of, is_good
from terminal_agent.protocol import Opaque, Pan, PinBlock

DEFAULT_UID = "88" * 16
MAC_BYTES_MAX = 512
"""Of one command; longer data goes in several, chained by the initial value."""
BLOCK = 8
CONFIRM, CLEAR, CANCEL, BROKEN, STAR = 0x0D, 0x08, 0x1B, 0x80, 0x2A
USES = {KeyUse.MASTER: "2", KeyUse.PIN: "3", KeyUse.MAC: "5", KeyUse.DATA: "6"}
LENGTHS = {16: "1", 32: "2", 48: "3"}
"""Hex digits of a key → the pad's word for it."""
CHECK_DIGITS_MIN = 6


class PinFormat(IntEnum):
    """PIN block formats as the pad numbers them."""

    ISO_0 = 0x20
    ISO_1 = 0x21
    ISO_3 = 0x23


class MacForm(IntEnum):
    """What a MAC is made of: DES all the way, DES with a triple end (X9.19), triple DES."""

    X99 = 1
    X919 = 2
    CBC = 3


Slot = Annotated[str, Meta(pattern="^[0-7][0-9A-F]$")]


class Zt598Options(SerialOptions, frozen=True, kw_only=True):
    """Key slots are two hex digits: masters 01 to 1F, working keys 30 to 7F."""

    master_slot: Slot
    pin_slot: Slot
    mac_slot: Slot
    data_slot: Slot
    mac_form: Literal["x99", "x919", "cbc"]
    clear_key: Literal["backspace", "clear"]
    """What the correction key does."""
    uid_file: str = ""
    """File with the pad's UID, 32 hex; empty: the maker's default."""
    slots: str = ""
    """Banks' own keys: ``NAME=MASTER/PIN`` with spaces between, ``icbc.outpatient=02/40``."""


def account_part(pan: Pan) -> bytes:
    """The rightmost twelve digits without the check digit, as every PIN block wants them."""
    return pan.reveal()[:-1][-12:].rjust(12, "0").encode()


def uid_of(options: Zt598Options) -> str:
    """The pad's UID. Raises ConfigError."""
    if not options.uid_file:
        return DEFAULT_UID
    uid = Path(options.uid_file).read_text("ascii").strip()
    if len(uid) != len(DEFAULT_UID) or not is_hex(uid):
        raise ConfigError(f"{options.uid_file}: a UID has 32 hex digits")
    return uid


def is_hex(text: str) -> bool:
    """Whether the text is nothing but hex digits."""
    return bool(text) and not set(text) - set("0123456789ABCDEFabcdef")


def must_be_check_value(text: str) -> None:
    """Raises DeviceError (invalidData)."""
    if not is_hex(text) or not CHECK_DIGITS_MIN <= len(text) <= 2 * BLOCK:
        raise DeviceError(Completion.INVALID_DATA, "a check value has 6 to 16 hex digits")


class Zt598(SerialDevice):
    """One pad."""

    role = "pin_pad"

    def __init__(self, options: Zt598Options, reactor: Any, **world: Any) -> None:
        super().__init__(options, reactor, **world)
        self._pad = options
        self._form = MacForm[options.mac_form.upper()]
        own = PinSlot(options.master_slot, options.pin_slot)
        others = (options.mac_slot, options.data_slot)
        self._slots = PinSlots(own, options.slots, "[01][0-9A-F]/[3-7][0-9A-F]", others)
        self._slot = own
        """Of the last PIN entry."""
        self._uid = Opaque(uid_of(options))
        self._decoder = Decoder()
        self._refused: set[str] = set()
        self._entry: Deferred[None] | None = None
        self._text: list[str] | None = None
        """What is typed in clear; None: a PIN is being typed."""
        self._count = 0
        self._limits = (0, 0)
        self._pin_waits = False
        self._canceled = False

    # ---- Keyboard --------------------------------------------------------------------------------

    async def pin_entry(
        self, minimum: int, maximum: int, timeout_ms: int, pan: Pan | None = None, slot: str = ""
    ) -> int:
        """See PinPad."""
        self._canceled = False
        chosen = self._slots[slot]
        async with self._turn_of_mine():
            self._slot = chosen
            self._pin_waits = True
            self._limits = (minimum, maximum)
            self._text = None
            try:
                await self._command(f"54{minimum:02d}")
                await self._command(f"55{maximum:02d}")
                await self._command("60001" + ("1" if self._pad.clear_key == "backspace" else "2"))
                self._tell(KEYBOARD_OPEN)
                await self._typing(timeout_ms, "no PIN typed")
            except DeviceError:
                self._pin_waits = False
                raise
            return self._count

    async def data_entry(self, maximum: int, timeout_ms: int) -> str:
        """Let a number be typed in clear (Keyboard.DataEntry). Raises DeviceError: sequenceError
        while a PIN is being typed or waits to be fetched."""
        if self._pin_waits:
            raise DeviceError(Completion.SEQUENCE_ERROR, "a PIN is being typed")
        self._canceled = False
        async with self._turn_of_mine():
            self._limits = (1, maximum)
            typed: list[str] = []
            self._text = typed
            try:
                await self._command("5033")
                await self._typing(timeout_ms, "nothing typed")
                await self._command("5032")
            finally:
                self._text = None
            return "".join(typed)

    def cancel(self) -> None:
        """See Device; a typed PIN that nobody fetched is given up too."""
        self._pin_waits = False
        self._canceled = True
        self._end_typing(DeviceError(Completion.CANCELED, "canceled"))

    async def _typing(self, timeout_ms: int, text: str) -> None:
        """Until the confirming key; every other end closes the keyboard."""
        self._count = 0
        entry: Deferred[None] = self._waiting.until(timeout_ms, text)
        self._entry = entry
        if self._canceled:  # while the pad was being told to begin
            self._end_typing(DeviceError(Completion.CANCELED, "canceled"))
        try:
            await entry
        except DeviceError:
            self._entry = None
            if self._port is not None:
                await self._command("5032")
            raise
        finally:
            self._entry = None

    # ---- PinPad, Crypto, KeyManagement -----------------------------------------------------------

    async def get_pin_block(self, pan: Pan, pin_format: PinFormat = PinFormat.ISO_0) -> PinBlock:
        """See PinPad."""
        async with self._turn_of_mine():
            if not self._pin_waits:
                raise DeviceError(Completion.SEQUENCE_ERROR, "nothing was typed")
            self._pin_waits = False
            slot = self._usable(self._slot.key)
            await self._authenticate(slot)
            account = b"" if pin_format is PinFormat.ISO_1 else account_part(pan)
            answer = await self._command(f"7{slot}{pin_format:c}", account)
            block = answer[4:].decode("ascii", "replace")
            if len(block) != 2 * BLOCK or not is_hex(block):
                raise DeviceError(Completion.HARDWARE_ERROR, "no PIN block came")
            return PinBlock(block)

    async def import_key(
        self, use: KeyUse, cryptogram: str, check_value: str, slot: str = ""
    ) -> None:
        """See KeyedPinPad. A MASTER key replaces the master slot's own."""
        chosen = self._slots[slot]
        if slot and use is not KeyUse.PIN:
            raise DeviceError(Completion.INVALID_DATA, "a bank's slot has a PIN key alone")
        if len(cryptogram) not in LENGTHS or not is_hex(cryptogram):
            raise DeviceError(Completion.INVALID_DATA, "a key has 16, 32 or 48 hex digits")
        must_be_check_value(check_value)
        place = {
            KeyUse.MASTER: self._pad.master_slot,
            KeyUse.PIN: chosen.key,
            KeyUse.MAC: self._pad.mac_slot,
            KeyUse.DATA: self._pad.data_slot,
        }[use]
        async with self._turn_of_mine():
            self._refused.add(place)
            await self._authenticate(chosen.master)
            head = f"2{chosen.master}{place}{USES[use]}{LENGTHS[len(cryptogram)]}"
            await self._command(head + cryptogram.upper())
            await self._authenticate(place)
            made = await self._command(f"9{place}1" + "00" * BLOCK)
            if not made.decode("ascii", "replace").upper().startswith(check_value.upper()):
                raise DeviceError(Completion.INVALID_DATA, f"check value of the {use} key")
            self._refused.discard(place)

    async def generate_authentication(self, data: bytes) -> bytes:
        """See KeyedPinPad: padded with zeros to whole blocks (ISO 9797-1 method 1)."""
        if not data:
            raise DeviceError(Completion.INVALID_DATA, "a MAC of nothing")
        padded = data + bytes(-len(data) % BLOCK)
        async with self._turn_of_mine():
            slot = self._usable(self._pad.mac_slot)
            if self._form is not MacForm.X919:
                stage = "2" if self._form is MacForm.X99 else "A"
                return await self._chained(slot, stage, padded, bytes(BLOCK))
            chain = await self._chained(slot, "2", padded[:-BLOCK], bytes(BLOCK))
            return await self._chained(slot, "A", padded[-BLOCK:], chain)

    async def _chained(self, slot: str, stage: str, data: bytes, chain: bytes) -> bytes:
        for start in range(0, len(data), MAC_BYTES_MAX):
            part = data[start : start + MAC_BYTES_MAX]
            first = bytes(a ^ b for a, b in zip(part[:BLOCK], chain, strict=True))
            await self._authenticate(slot)
            answer = await self._command(f"8{slot}{stage}", first + part[BLOCK:])
            text = answer.decode("ascii", "replace")
            if len(text) != 2 * BLOCK or not is_hex(text):
                raise DeviceError(Completion.HARDWARE_ERROR, "no MAC came")
            chain = bytes.fromhex(text)
        return chain

    def _usable(self, slot: str) -> str:
        if slot in self._refused:
            raise DeviceError(Completion.AUTHORISATION_REQUIRED, f"the key in {slot} is not good")
        return slot

    async def _authenticate(self, slot: str) -> None:
        """The pad's challenge, encrypted under the key's slot by the pad and under the UID here."""
        uid = self._uid.reveal()
        challenge = await self._command(":A0" + uid)
        sealed = await self._command(f":{slot}", challenge)
        try:
            proof = ecb_encrypt(bytes.fromhex(uid), bytes.fromhex(sealed.decode("ascii")))
        except ValueError:
            raise DeviceError(Completion.HARDWARE_ERROR, "no challenge came") from None
        await self._command(":90" + proof.hex().upper())

    # ---- the line --------------------------------------------------------------------------------

    async def _greet(self) -> None:
        await self._command("I")

    async def _command(self, head: str, data: bytes = b"") -> bytes:
        """One exchange: the answer's data. Raises DeviceError."""
        answer: bytes = await self._ask(encode(head.encode("ascii") + data))
        if not answer or not is_good(answer[0]):
            error = error_of(answer[0] if answer else 0)
            if error.completion is Completion.FRAUD_ATTEMPT:
                self._is(State.FRAUD_ATTEMPT)
            raise error
        return answer[1:]

    def _feed(self, data: bytes) -> None:
        for item in self._decoder.feed(data):
            if isinstance(item, int):
                self._key(item)
            elif not self._answered(item) and self._entry is not None:
                self._end_typing(error_of(item[0]))

    def _forget(self) -> None:
        self._decoder.forget()

    def _unplugged(self, error: DeviceError) -> None:
        self._pin_waits = False
        self._end_typing(error)

    # ---- keys ------------------------------------------------------------------------------------

    def _end_typing(self, error: DeviceError | None) -> None:
        entry, self._entry = self._entry, None
        if entry is None:
            return
        if error is None:
            entry.callback(None)
        else:
            entry.errback(error)

    def _key(self, key: int) -> None:
        if self._entry is None:
            return
        minimum, maximum = self._limits
        if key == CONFIRM and self._count >= minimum:
            self._shown("enter")
            self._end_typing(None)
        elif key == CANCEL:
            self._shown("cancel")
            self._end_typing(DeviceError(Completion.CANCELED, "canceled at the pad"))
        elif key == BROKEN:
            self._end_typing(DeviceError(Completion.HARDWARE_ERROR, "a key is broken"))
        elif key == CLEAR:
            self._corrected()
        elif 0x30 <= key <= 0x39 and self._text is None:
            # A pad that sends digits while a PIN is typed is not in PIN mode: nothing goes on.
            self._end_typing(DeviceError(Completion.FRAUD_ATTEMPT, "the pad shows digits"))
        elif (key == STAR or 0x30 <= key <= 0x39) and self._count < maximum:
            self._count += 1
            if self._text is not None:
                self._text.append(chr(key))
            self._shown("*")

    def _corrected(self) -> None:
        one = self._pad.clear_key == "backspace"
        self._count = max(0, self._count - 1) if one else 0
        if self._text is not None:
            del self._text[self._count :]
        self._shown("backspace" if one else "clear")

    def _shown(self, detail: str) -> None:
        self._tell("Keyboard.KeyEvent", detail)
