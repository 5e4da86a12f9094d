"""PIN pads of the VISA master/session-key type (VeriFone, Uniform and others).

The pad keeps master keys; a session key travels as its cryptogram in every request, so the driver
keeps the cryptograms it was given. The pad encrypts as soon as the PIN is confirmed, bound to the
card number named before; it shows no single keys. A session key's check value is the MAC of eight
zero bytes under it. A frame is sent three times at most, and asked for again three times at most.
"""

from typing import Annotated, Any

from msgspec import Meta

from terminal_agent.devices.interfaces import KEYBOARD_OPEN, Completion, DeviceError, KeyUse
from terminal_agent.devices.pin_slots import PinSlot, PinSlots
from terminal_agent.devices.serial_device import Count, SerialDevice, SerialOptions
from terminal_agent.devices.visa_frames import ACK, EOT, FS, NAK, Decoder, Frame, Kind, encode
from terminal_agent.devices.zt598 import is_hex, must_be_check_value
from terminal_agent.protocol import Opaque, Pan, PinBlock

TRIES_MAX = 3
HEARD_MAX = 8
"""Frames and control bytes kept for whoever listens next; older ones are noise."""
BLOCK = 8
MAC_BYTES_MAX = 112
"""Of one Z66 request: 28 times 8 hex digits."""
LAST, MORE = "6", "7"
"""Z66: hexadecimal data, the last packet or not."""

PIN_ERRORS = {
    "0": (Completion.INVALID_DATA, "no card number"),
    "1": (Completion.AUTHORISATION_REQUIRED, "key value"),
    "2": (Completion.INVALID_DATA, "card number too short"),
    "3": (Completion.INVALID_DATA, "card number too long"),
    "4": (Completion.INVALID_DATA, "card number"),
    "5": (Completion.AUTHORISATION_REQUIRED, "session key"),
    "8": (Completion.INVALID_DATA, "prompt or limits"),
    "9": (Completion.AUTHORISATION_REQUIRED, "no master key"),
    "A": (Completion.AUTHORISATION_REQUIRED, "master key of another use"),
}
MAC_ERRORS = {
    "2": (Completion.SEQUENCE_ERROR, "out of order"),
    "3": (Completion.AUTHORISATION_REQUIRED, "no master key"),
    "4": (Completion.AUTHORISATION_REQUIRED, "second key"),
    "8": (Completion.AUTHORISATION_REQUIRED, "session key"),
    "9": (Completion.AUTHORISATION_REQUIRED, "key of another use"),
}


class VisaPadOptions(SerialOptions, frozen=True, kw_only=True):
    """``master_key`` is the pad's slot, 0 to 9."""

    master_key: Annotated[str, Meta(pattern="^[0-9]$")]
    entry_timeout_ms: Count
    """Administration and MAC answers; PIN entry has its own time."""
    prompt: str = "PIN?"
    processing: str = "..."
    slots: str = ""
    """Banks' own master keys: ``NAME=SLOT`` with spaces between, ``icbc.outpatient=1``."""


class VisaPad(SerialDevice):
    """One pad."""

    role = "pin_pad"

    def __init__(self, options: VisaPadOptions, reactor: Any, **world: Any) -> None:
        super().__init__(options, reactor, **world)
        self._pad = options
        self._decoder = Decoder()
        self._heard: list[Frame | int] = []
        self._slots = PinSlots(PinSlot(options.master_key), options.slots, "[0-9]")
        self._keys: dict[tuple[KeyUse, str], Opaque] = {}
        """By use and master key: their cryptograms."""
        self._block: tuple[Pan, PinBlock] | None = None
        self._typing = False

    # ---- Keyboard, PinPad ------------------------------------------------------------------------

    async def pin_entry(
        self, minimum: int, maximum: int, timeout_ms: int, pan: Pan | None = None, slot: str = ""
    ) -> int:
        """See PinPad."""
        if pan is None:
            raise DeviceError(Completion.SEQUENCE_ERROR, "this pad needs the card first")
        master = self._slots[slot].master
        async with self._turn_of_mine():
            self._block = None
            head = f"Z62.{pan.reveal()}".encode() + FS
            limits = f"{minimum:02d}{maximum:02d}N{self._pad.prompt}".encode("ascii", "replace")
            tail = FS + FS + self._pad.processing.encode("ascii", "replace")
            request = encode(head + self._key(KeyUse.PIN, master).encode() + limits + tail)
            if self._slots.several:
                await self._select(master)
            self._typing = True
            try:
                await self._deliver(request)
                self._tell(KEYBOARD_OPEN)
                answer = await self._reply(timeout_ms, patient=True)
            except DeviceError as error:
                if error.completion in (Completion.TIME_OUT, Completion.CANCELED):
                    self._tell("Keyboard.KeyEvent", "cancel")
                    await self._deliver(encode(b"72"))
                raise
            finally:
                self._typing = False
            return self._typed(answer.decode("ascii", "replace"), pan)

    def _typed(self, answer: str, pan: Pan) -> int:
        """``71.0 nn 01 block``, or ``71`` and one letter that says what was wrong."""
        if answer.startswith("71.0") and len(answer) == 24 and is_hex(answer[8:]):
            self._block = (pan, PinBlock(answer[8:]))
            self._tell("Keyboard.KeyEvent", "enter")
            return int(answer[4:6]) if answer[4:6].isdigit() else 0
        code = answer[2:3]
        raise DeviceError(*PIN_ERRORS.get(code, (Completion.HARDWARE_ERROR, "no PIN block came")))

    async def get_pin_block(self, pan: Pan) -> PinBlock:
        """See PinPad."""
        held, self._block = self._block, None
        if held is None or held[0].reveal() != pan.reveal():
            raise DeviceError(Completion.SEQUENCE_ERROR, "nothing was typed for this card")
        return held[1]

    def cancel(self) -> None:
        """See Device."""
        self._block = None
        if self._typing:
            self._give_up(Completion.CANCELED, "canceled")

    # ---- KeyManagement, Crypto -------------------------------------------------------------------

    async def import_key(
        self, use: KeyUse, cryptogram: str, check_value: str, slot: str = ""
    ) -> None:
        """See KeyedPinPad; a master key comes by :meth:`load_master`."""
        if use is KeyUse.MASTER or len(cryptogram) not in (16, 32, 48) or not is_hex(cryptogram):
            raise DeviceError(Completion.INVALID_DATA, "a session key has 16, 32 or 48 hex digits")
        master = self._slots[slot].master
        if slot and use is not KeyUse.PIN:
            raise DeviceError(Completion.INVALID_DATA, "a bank's slot has a PIN key alone")
        must_be_check_value(check_value)
        async with self._turn_of_mine():
            self._keys.pop((use, master), None)
            key = Opaque(cryptogram.upper())
            made = await self._mac(key, bytes(BLOCK), master)
            if not made.hex().upper().startswith(check_value.upper()):
                raise DeviceError(Completion.INVALID_DATA, f"check value of the {use} key")
            self._keys[use, master] = key

    async def load_master(self, key_block: str) -> None:
        """Load the master key as a TR-31 key block under the pad's transport key (02): the pad
        sends it back, and keeps it when the echo is acknowledged. Clear keys are refused here."""
        if not key_block.isascii() or key_block[:1] not in ("A", "B", "C", "D"):
            raise DeviceError(Completion.INVALID_DATA, "master keys come as TR-31 key blocks")
        async with self._turn_of_mine():
            body = f"02{self._pad.master_key}{key_block}".encode()
            echo = await self._administer(body)
            if echo != body:
                self._send(bytes([EOT]))
                raise DeviceError(Completion.HARDWARE_ERROR, "the key came back changed")
            if not await self._has_master():
                raise DeviceError(Completion.AUTHORISATION_REQUIRED, "the pad did not take the key")

    async def generate_authentication(self, data: bytes) -> bytes:
        """See KeyedPinPad: padded with zeros to whole blocks (ISO 9797-1 method 1)."""
        if not data:
            raise DeviceError(Completion.INVALID_DATA, "a MAC of nothing")
        async with self._turn_of_mine():
            master = self._pad.master_key
            key = Opaque(self._key(KeyUse.MAC, master))
            return await self._mac(key, data + bytes(-len(data) % BLOCK), master)

    async def _mac(self, key: Opaque, data: bytes, master: str) -> bytes:
        parts = [data[at : at + MAC_BYTES_MAX] for at in range(0, len(data), MAC_BYTES_MAX)]
        if len(parts) > 100:
            raise DeviceError(Completion.INVALID_DATA, "a MAC covers 11200 bytes at most")
        for number, part in enumerate(parts):
            flag = LAST if part is parts[-1] else MORE
            head = f"Z66{flag}{number:02d}{master}".encode() + FS
            body = head + key.reveal().encode() + FS + FS + part.hex().upper().encode()
            await self._deliver(encode(body))
            answer = (await self._reply(self._pad.entry_timeout_ms)).decode("ascii", "replace")
            if answer == "Z671" and flag == MORE:
                continue
            if answer[:4] == "Z670" and len(answer) == 20 and is_hex(answer[4:]) and flag == LAST:
                return bytes.fromhex(answer[4:])
            await self._deliver(encode(b"72"))
            code = answer[3:4]
            raise DeviceError(*MAC_ERRORS.get(code, (Completion.HARDWARE_ERROR, "no MAC came")))
        raise AssertionError("the last part returns")

    def _key(self, use: KeyUse, master: str) -> str:
        if (use, master) not in self._keys:
            raise DeviceError(Completion.AUTHORISATION_REQUIRED, f"no {use} key")
        return self._keys[use, master].reveal()

    # ---- the line --------------------------------------------------------------------------------

    async def _greet(self) -> None:
        """Whether the master key is there (04), and that it is the active one (08)."""
        if await self._has_master():
            await self._select(self._pad.master_key)

    async def _select(self, master: str) -> None:
        await self._deliver(encode(b"08" + master.encode(), Kind.ADMINISTRATION))

    async def _has_master(self) -> bool:
        answer = await self._administer(b"04" + self._pad.master_key.encode())
        return answer[2:3] == b"F"

    async def _administer(self, body: bytes) -> bytes:
        await self._deliver(encode(body, Kind.ADMINISTRATION))
        return await self._reply(self._pad.entry_timeout_ms)

    async def _deliver(self, frame: bytes) -> None:
        """Send until it is acknowledged, three times at most."""
        self._heard.clear()
        for _ in range(TRIES_MAX):
            answer = await self._ask(frame)
            while isinstance(answer, Frame) or answer == EOT:
                # The end of an exchange before, or a frame that nobody asked for any more.
                answer = await self._next(self._options.answer_timeout_ms)
            if answer == ACK:
                return
        self._send(bytes([EOT]))
        raise DeviceError(Completion.HARDWARE_ERROR, "the pad refuses the frame")

    async def _reply(self, timeout_ms: int, *, patient: bool = False) -> bytes:
        """The next good frame, acknowledged; EOT instead: the patient gave up, or was too slow.
        Silence drops the line when no patient is waited for."""
        for _ in range(TRIES_MAX):
            try:
                answer = await self._next(timeout_ms)
                while isinstance(answer, int) and answer != EOT:
                    answer = await self._next(timeout_ms)
            except DeviceError as error:
                if patient or error.completion is not Completion.TIME_OUT:
                    raise
                self._drop("silent")
                raise DeviceError(Completion.DEVICE_NOT_READY, "no answer") from None
            if isinstance(answer, int):
                raise DeviceError(Completion.CANCELED, "ended at the pad")
            if answer.good:
                self._send(bytes([ACK]))
                return bytes(answer.body)
            self._send(bytes([NAK]))
        self._send(bytes([EOT]))
        raise DeviceError(Completion.HARDWARE_ERROR, "no good frame came")

    async def _next(self, timeout_ms: int) -> Any:
        return self._heard.pop(0) if self._heard else await self._hear(timeout_ms)

    def _feed(self, data: bytes) -> None:
        for item in self._decoder.feed(data):
            if not self._answered(item):
                self._heard = [*self._heard[1 - HEARD_MAX :], item]

    def _forget(self) -> None:
        self._decoder.forget()
        self._heard.clear()

    def _unplugged(self, error: DeviceError) -> None:
        self._block = None
