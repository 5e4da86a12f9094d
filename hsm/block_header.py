"""The header of a key block, as TR-31 and scheme S share it: what a key may do, in 16 characters.

``V LLLL UU A M KK E NN RR``: version, length of the whole block, key usage, algorithm, mode of use,
key version, exportability, number of optional blocks, reserved (scheme S: the LMK's id).
"""

from dataclasses import dataclass, replace
from typing import Final

from hsm.errors import CommandError

HEADER_LENGTH: Final = 16
PAD_BLOCK: Final = "PB"
"""Optional block that only fills the header up; it carries nothing."""

_BLOCK_HEAD: Final = 4
_LONGEST_BLOCK: Final = 0xFF

ALGORITHMS: Final = {"T1": "D", "D1": "D", "T2": "T", "T3": "T",
                     "A1": "A", "A2": "A", "A3": "A", "41": "4"}  # fmt: skip
"""Algorithm as ``#`` attributes name it → the header's letter. ``4`` is SM4, our own number:
X9.143 leaves the digits to the makers."""

KEY_BYTES: Final = {"T1": 8, "D1": 8, "T2": 16, "T3": 24, "A1": 16, "A2": 24, "A3": 32, "41": 16}
"""Algorithm as ``#`` attributes name it → bytes of its key."""


@dataclass(frozen=True, slots=True)
class BlockHeader:
    """One header. ``usage`` 2, ``algorithm`` 1, ``mode`` 1, ``key_version`` 2, ``export`` 1."""

    version: str
    usage: str
    algorithm: str
    mode: str
    key_version: str = "00"
    export: str = "N"
    blocks: tuple[tuple[str, str], ...] = ()
    """Optional blocks: (id 2, data)."""
    reserved: str = "00"

    def text(self, body_length: int, unit: int) -> str:
        """Header and optional blocks for ``body_length`` characters of cryptogram and MAC. A pad
        block rounds the optional part up to ``unit`` bytes, the cipher's block."""
        options = _options(self.blocks, unit)
        count = len(self.blocks) + (PAD_BLOCK in options[1])
        total = HEADER_LENGTH + len(options[0]) + body_length
        if total > 9999:
            raise CommandError("B2", "key block")
        return (
            f"{self.version}{total:04d}{self.usage}{self.algorithm}{self.mode}{self.key_version}"
            f"{self.export}{count:02d}{self.reserved}{options[0]}"
        )

    def exported(self, export: str = "") -> "BlockHeader":
        """The same header in an export: reserved ``00``, and another exportability if given."""
        return replace(self, export=export or self.export, reserved="00")


def _options(blocks: tuple[tuple[str, str], ...], unit: int) -> tuple[str, tuple[str, ...]]:
    text = "".join(f"{name}{_BLOCK_HEAD + len(data):02X}{data}" for name, data in blocks)
    if not len(text) % unit:
        return text, ()
    missing = -(len(text) + _BLOCK_HEAD) % unit
    return text + f"{PAD_BLOCK}{_BLOCK_HEAD + missing:02X}" + "0" * missing, (PAD_BLOCK,)


def read_header(block: str, where: str) -> tuple[BlockHeader, int]:
    """The header of a whole key block, and where it ends. CommandError B2, AB, AC, BC."""
    head = block[:HEADER_LENGTH]
    numbers = head[1:5] + head[12:14]
    if len(head) < HEADER_LENGTH or not (block.isascii() and numbers.isdecimal()):
        raise CommandError("B2", where)
    if int(head[1:5]) != len(block):
        raise CommandError("B2", where)
    blocks, end = read_blocks(block, HEADER_LENGTH, int(head[12:14]), where)
    kept = tuple(pair for pair in blocks if pair[0] != PAD_BLOCK)
    header = BlockHeader(
        version=head[0], usage=head[5:7], algorithm=head[7], mode=head[8], key_version=head[9:11],
        export=head[11], blocks=kept, reserved=head[14:16],
    )  # fmt: skip
    return header, end


def read_blocks(
    text: str, at: int, count: int, where: str
) -> tuple[tuple[tuple[str, str], ...], int]:
    """``count`` optional blocks from ``at``: their (id, data), and where they end."""
    blocks: list[tuple[str, str]] = []
    for _ in range(count):
        name, length = text[at : at + 2], text[at + 2 : at + 4]
        try:
            size = int(length, 16) if len(length) == 2 else 0
        except ValueError:
            size = 0
        data = text[at + _BLOCK_HEAD : at + size]
        if not name.isalnum() or len(data) != size - _BLOCK_HEAD:
            raise CommandError("AC", where)
        if any(name == known for known, _ in blocks):
            raise CommandError("BC", where)
        blocks.append((name, data))
        at += size
    return tuple(blocks), at


@dataclass(frozen=True, slots=True)
class Attributes:
    """What follows ``#`` in a command: the header a new key block shall have."""

    usage: str
    algorithm: str
    """Two characters with the length in them: T2, T3, A3 …"""
    mode: str
    key_version: str
    export: str
    blocks: tuple[tuple[str, str], ...] = ()

    def header(self, version: str, reserved: str = "00") -> BlockHeader:
        """The header with the algorithm's letter; CommandError A7 for an unknown algorithm."""
        letter = ALGORITHMS.get(self.algorithm)
        if letter is None:
            raise CommandError("A7", "attributes")
        return BlockHeader(
            version=version, usage=self.usage, algorithm=letter, mode=self.mode,
            key_version=self.key_version, export=self.export, blocks=self.blocks,
            reserved=reserved,
        )  # fmt: skip
