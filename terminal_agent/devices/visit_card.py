"""Visit cards (就诊卡) over a PC/SC reader: M1 (MIFARE Classic) and CPU cards, role ``visit_card``.

An M1 card is no ISO card; readers of the ACR122 kind take pseudo-APDUs for it (PC/SC part 3):

    FF CA 00 00 00                     serial number (UID)
    FF 82 00 slot 06 KEY               a key into the reader's own memory
    FF 86 00 00 05 01 00 block T slot  authenticate; T: 60 key A, 61 key B
    FF B0 00 block 10                  read a block
    FF D6 00 block 10 DATA             write a block

A CPU card is asked with plain APDUs from the configuration. Where a hospital's number stands, and
how it is written there, is the card maker's own: all of it is configuration.
"""

import re
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

from terminal_agent.config import ConfigError
from terminal_agent.devices.interfaces import CardReader, Completion, DeviceError, Watcher
from terminal_agent.protocol import Opaque

BLOCK_BYTES: Final = 16
BLOCKS_MAX: Final = 64
"""Of a card of 1 KiB."""
_KEY_BYTES: Final = 6
_COMMANDS_MAX: Final = 16
_OK: Final = b"\x90\x00"

ChipIo = Callable[[bytes], Awaitable[bytes]]


class CardKind(StrEnum):
    """What is read."""

    UID = "uid"
    """The serial number alone, as hex: easily copied, so only for hospitals that have no other."""
    M1 = "m1"
    CPU = "cpu"


class Coding(StrEnum):
    """How the number is written."""

    ASCII = "ascii"
    BCD = "bcd"
    """Two digits in a byte, filled up with F."""
    HEX = "hex"


class VisitCardOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a hospital's card is read; the rest of the role's options are the reader's."""

    kind: CardKind
    coding: Coding = Coding.ASCII
    offset: int = 0
    length: int = 0
    """Bytes of the number within what was read; 0: all that follow ``offset``."""
    block: int = 1
    blocks: int = 1
    """M1: the first block, and how many; they lie in one sector."""
    key_file: str = ""
    """M1: a file with the sector's key, 12 hex digits."""
    key_type: str = "A"
    key_slot: int = 0
    commands: str = ""
    """CPU: APDUs in hex, with spaces between; the data of the last one counts."""


def check_options(options: VisitCardOptions) -> VisitCardOptions:
    """Raises ConfigError."""
    if options.offset < 0 or options.length < 0:
        raise ConfigError("offset and length are not negative")
    if options.kind is CardKind.M1:
        last = options.block + options.blocks - 1
        if not (1 <= options.block <= last < BLOCKS_MAX and options.block // 4 == last // 4):
            raise ConfigError("block and blocks lie in one sector, and leave block 0 out")
        if last % 4 == 3:
            raise ConfigError("the last block of a sector holds its keys, no number")
        if options.key_type not in ("A", "B") or not 0 <= options.key_slot <= 0x1F:
            raise ConfigError("key_type is A or B, key_slot 0 to 31")
    if options.kind is CardKind.CPU:
        listed = options.commands.split()
        if not 1 <= len(listed) <= _COMMANDS_MAX or not all(map(_is_command, listed)):
            raise ConfigError("commands: 1 to 16 APDUs in hex")
    return options


class VisitCard:
    """One card under power: the exchanges, without a reader of their own (``chip_io`` is one)."""

    def __init__(self, chip_io: ChipIo, options: VisitCardOptions, key: Opaque | None) -> None:
        self._chip_io, self._options, self._key = chip_io, options, key

    async def number(self) -> str:
        """The number, as configured. Raises DeviceError: invalidData (no such file, wrong key,
        unreadable), userError (card gone)."""
        options = self._options
        match options.kind:
            case CardKind.UID:
                return (await self.uid()).hex().upper()
            case CardKind.M1:
                data = await self.read_blocks()
            case CardKind.CPU:
                data = b""
                for command in options.commands.split():
                    data = await self._say(bytes.fromhex(command), "the card refuses a command")
        end = options.offset + options.length if options.length else len(data)
        return _decoded(data[options.offset : end], options.coding)

    async def uid(self) -> bytes:
        """The serial number."""
        return await self._say(bytes.fromhex("FFCA000000"), "no serial number")

    async def read_blocks(self) -> bytes:
        """The configured blocks of an M1 card."""
        await self._authenticate()
        blocks = [
            await self._say(bytes([0xFF, 0xB0, 0, block, BLOCK_BYTES]), "block not readable")
            for block in self._blocks()
        ]
        return b"".join(blocks)

    async def write_blocks(self, data: bytes) -> None:
        """Write the configured blocks of an M1 card, and read them again: issuing a card. Never
        the maker's block nor one with keys (:func:`check_options`). Raises DeviceError; when it
        does, the card may hold a part."""
        if len(data) != BLOCK_BYTES * self._options.blocks:
            raise DeviceError(Completion.USER_ERROR, "whole blocks of 16 bytes are written")
        await self._authenticate()
        for at, block in enumerate(self._blocks()):
            part = data[at * BLOCK_BYTES : (at + 1) * BLOCK_BYTES]
            await self._say(bytes([0xFF, 0xD6, 0, block, BLOCK_BYTES]) + part, "block not writable")
        if await self.read_blocks() != data:
            raise DeviceError(Completion.HARDWARE_ERROR, "the card did not keep what was written")

    def _blocks(self) -> range:
        return range(self._options.block, self._options.block + self._options.blocks)

    async def _authenticate(self) -> None:
        options = self._options
        if self._key is None:
            raise DeviceError(Completion.SEQUENCE_ERROR, "no key is configured")
        load = bytes([0xFF, 0x82, 0, options.key_slot, _KEY_BYTES])
        await self._say(load + bytes.fromhex(self._key.reveal()), "the reader takes no key")
        which = 0x60 if options.key_type == "A" else 0x61
        await self._say(
            bytes([0xFF, 0x86, 0, 0, 5, 1, 0, options.block, which, options.key_slot]),
            "wrong key for this card",
        )

    async def _say(self, command: bytes, failed: str) -> bytes:
        answer = await self._chip_io(command)
        if answer[-2:] != _OK:
            raise DeviceError(Completion.INVALID_DATA, failed)
        return answer[:-2]


class Contactless(CardReader, Protocol):
    """A reader that cards are laid on: over PC/SC, or an emulated one."""

    def start(self) -> None:
        """Begin to watch."""
        ...

    def stop(self) -> None:
        """Let go."""
        ...

    async def media_inserted(self, timeout_ms: int) -> bytes:
        """The ATR of the card that lies there, or of the next one. Raises DeviceError."""
        ...


class VisitCardReader:
    """The role ``visit_card``: a reader and what is known of the hospital's cards."""

    def __init__(self, reader: Contactless, options: VisitCardOptions) -> None:
        self._reader, self._options = reader, check_options(options)
        self._key = _key_of(Path(options.key_file)) if options.kind is CardKind.M1 else None

    def start(self) -> None:
        """See PcscReader."""
        self._reader.start()

    def stop(self) -> None:
        """See PcscReader."""
        self._reader.stop()

    async def read_number(self, timeout_ms: int) -> str:
        """Wait for a card and read its number; the card is then given back: the next number is
        another card's, or the same one's put on anew. Raises DeviceError."""
        await self._reader.media_inserted(timeout_ms)
        await self._reader.chip_power()
        try:
            return await VisitCard(self._reader.chip_io, self._options, self._key).number()
        finally:
            await self._reader.move()

    def status(self) -> str:
        """See Device."""
        return self._reader.status()

    def watch(self, watcher: Watcher) -> None:
        """See Device."""
        self._reader.watch(watcher)

    def cancel(self) -> None:
        """See Device."""
        self._reader.cancel()


def split_options(given: dict[str, str]) -> tuple[VisitCardOptions, dict[str, str]]:
    """The card's options, and the rest: the reader's. Raises ConfigError."""
    names = {field.name for field in msgspec.structs.fields(VisitCardOptions)}
    own: dict[str, Any] = {name: value for name, value in given.items() if name in names}
    try:
        options = msgspec.convert(own, VisitCardOptions, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"visit card: {error}") from None
    rest = {name: value for name, value in given.items() if name not in names}
    return check_options(options), rest


def _key_of(file: Path) -> Opaque:
    """Raises ConfigError, which names no digit."""
    text = file.read_text("ascii", errors="replace").strip()
    if not re.fullmatch(r"[0-9A-Fa-f]{12}", text):
        raise ConfigError(f"{file}: a sector's key has 12 hexadecimal digits")
    return Opaque(text)


def _is_command(text: str) -> bool:
    return re.fullmatch(r"(?:[0-9A-Fa-f]{2}){4,261}", text) is not None


def _decoded(data: bytes, coding: Coding) -> str:
    match coding:
        case Coding.ASCII:
            text = data.decode("latin-1").strip(" \x00\xff")
            right = text.isascii() and text.isprintable()
        case Coding.BCD:
            text = data.hex().rstrip("f")
            right = text.isdecimal()
        case Coding.HEX:
            text, right = data.hex().upper(), True
    if not text or not right:
        raise DeviceError(Completion.INVALID_DATA, "no number on this card")
    return text
