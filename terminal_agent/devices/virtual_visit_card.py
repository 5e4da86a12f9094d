"""Visit cards without plastic: an M1 card behind a reader's pseudo-APDUs, and a small CPU card.

For demonstrations and tests, played into vpcd or asked directly.
"""

from typing import Final

FACTORY_KEY: Final = bytes.fromhex("FFFFFFFFFFFF")
_BLOCKS: Final = 64
_BLOCK_BYTES: Final = 16
_OK: Final = b"\x90\x00"
_FAILED: Final = b"\x63\x00"
_UNKNOWN: Final = b"\x6a\x81"


class VirtualM1Card:
    """1 KiB in 16 sectors of four blocks; keys A and B in each sector's last block."""

    def __init__(self, uid: str = "01020304") -> None:
        self.atr = bytes.fromhex("3B8F8001804F0CA000000306030001000000006A")
        self._uid = bytes.fromhex(uid)
        trailer = FACTORY_KEY + bytes.fromhex("FF078069") + FACTORY_KEY
        self.blocks = [bytes(_BLOCK_BYTES)] * _BLOCKS
        self.blocks[0] = self._uid.ljust(_BLOCK_BYTES, b"\0")
        self.blocks[3::4] = [trailer] * (_BLOCKS // 4)
        self._loaded: dict[int, bytes] = {}
        self._open: int | None = None

    def key(self, sector: int, key_a: bytes, key_b: bytes = FACTORY_KEY) -> None:
        """Give a sector its keys."""
        self.blocks[sector * 4 + 3] = key_a + bytes.fromhex("FF078069") + key_b

    def reset(self) -> bytes:
        """Power up: the ATR; no sector is open, the reader has no key."""
        self._loaded, self._open = {}, None
        return self.atr

    def transmit(self, command: bytes) -> bytes:
        """The reader's answer."""
        data = command[5:]
        match command[:2]:
            case b"\xff\xca":
                return self._uid + _OK
            case b"\xff\x82" if len(data) == 6:
                self._loaded[command[3]] = data
                return _OK
            case b"\xff\x86" if len(data) == 5:
                return self._authenticate(data[2], data[3], data[4])
            case b"\xff\xb0" | b"\xff\xd6" if self._open != command[3] // 4:
                return _FAILED
            case b"\xff\xb0":
                return self._read(command[3]) + _OK
            case b"\xff\xd6" if len(data) == _BLOCK_BYTES and command[3] != 0:
                self.blocks[command[3]] = data
                return _OK
        return _UNKNOWN

    def _authenticate(self, block: int, kind: int, slot: int) -> bytes:
        self._open = None
        if block >= _BLOCKS:
            return _FAILED
        trailer = self.blocks[block // 4 * 4 + 3]
        if self._loaded.get(slot) != (trailer[:6] if kind == 0x60 else trailer[10:]):
            return _FAILED
        self._open = block // 4
        return _OK

    def _read(self, block: int) -> bytes:
        """Key A never comes out."""
        data = self.blocks[block]
        return bytes(6) + data[6:] if block % 4 == 3 else data


class VirtualCpuCard:
    """One application with transparent files, by short identifier."""

    def __init__(self, name: bytes, files: dict[int, bytes]) -> None:
        self.atr = bytes.fromhex("3B8A80010031C173C84000009000")
        self.atr += bytes([_checksum(self.atr[1:])])
        self._name, self._files = name, files
        self._selected = False

    def reset(self) -> bytes:
        """Power up: the ATR."""
        self._selected = False
        return self.atr

    def transmit(self, command: bytes) -> bytes:
        """SELECT by name and READ BINARY by short identifier; the rest is unknown."""
        if command[:2] == b"\x00\xa4":
            self._selected = command[5 : 5 + command[4]] == self._name
            return _OK if self._selected else b"\x6a\x82"
        if command[:2] == b"\x00\xb0" and self._selected:
            file = self._files.get(command[2] & 0x1F)
            if file is None:
                return b"\x6a\x82"
            length = command[4] or len(file)
            return file[command[3] : command[3] + length] + _OK
        return b"\x6d\x00"


def _checksum(data: bytes) -> int:
    made = 0
    for byte in data:
        made ^= byte
    return made
