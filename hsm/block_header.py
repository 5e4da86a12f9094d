"""The header of a key block, as TR-31 and scheme S share it: what a key may do, in 16 characters.

``V LLLL UU A M KK E NN RR``: version, length of the whole block, key usage, algorithm, mode of use,
key version, exportability, number of optional blocks, reserved (scheme S: the LMK's id).
"""

import re
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

DES_LETTERS: Final = {8: "D", 16: "T", 24: "T"}
"""Bytes of a DES or triple DES key → the header's letter."""

MODES: Final = frozenset("BCDEGNSTVXY")
EXPORTS: Final = frozenset("NSE")
"""N: never; S: under any key-encrypting key; E: in a key block only."""


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

    def exported(self, version: str, reserved: str) -> "BlockHeader":
        """The same header in a key block of another version, under another key."""
        return replace(self, version=version, reserved=reserved)


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
    """What follows ``#`` in a command: the header a new key block shall have. Some commands leave
    out what they know already: then the algorithm, or all but version and blocks, is empty."""

    usage: str
    algorithm: str
    """Two characters with the length in them: T2, T3, A3 …; empty: from the key itself."""
    mode: str
    key_version: str
    export: str
    blocks: tuple[tuple[str, str], ...] = ()

    def header(self, version: str, reserved: str = "00", length: int = 0) -> BlockHeader:
        """The header with the algorithm's letter, for a key of ``length`` bytes where no algorithm
        is given. CommandError A6 without a usage, A7 for an unknown algorithm."""
        letter = ALGORITHMS.get(self.algorithm)
        if not self.usage:
            raise CommandError("A6", "attributes")
        if not self.algorithm:
            letter = DES_LETTERS.get(length)
        if letter is None:
            raise CommandError("A7", "attributes")
        return BlockHeader(
            version=version, usage=self.usage, algorithm=letter, mode=self.mode,
            key_version=self.key_version, export=self.export, blocks=self.blocks,
            reserved=reserved,
        )  # fmt: skip


def read_attributes(text: str, at: int, where: str = "attributes") -> tuple[Attributes, int]:
    """The attributes at ``at`` and where they end.

    Public clients send three forms: usage 2, algorithm 2, mode 1, key version 2, exportability 1,
    number of optional blocks 2 (A0); the same without the algorithm (A6, A8); key version and
    number of blocks alone (A4). CommandError 15, A7, A8, AA, AC, B3, BC.
    """
    found = next((m for form in _FORMS if (m := form.match(text, at))), None)
    if found is None:
        raise CommandError("15", where)
    parts = {"usage": "", "algorithm": "", "mode": "", "export": "", **found.groupdict()}
    count = parts.pop("count")
    if parts["mode"] and parts["mode"] not in MODES:
        raise CommandError("A8", where)
    if parts["export"] and parts["export"] not in EXPORTS:
        raise CommandError("AA", where)
    if not count.isdecimal():
        raise CommandError("B3", where)
    blocks, end = read_blocks(text, found.end(), int(count), where)
    return Attributes(**parts, blocks=blocks), end


def write_attributes(attributes: Attributes) -> str:
    """The attributes as :func:`read_attributes` takes them."""
    a = attributes
    text = f"{a.usage}{a.algorithm}{a.mode}{a.key_version}{a.export}{len(a.blocks):02d}"
    return text + "".join(f"{name}{4 + len(data):02X}{data}" for name, data in a.blocks)


_KNOWN: Final = "|".join(sorted(ALGORITHMS))
_WHOLE: Final = (
    r"(?P<usage>[0-9A-Za-z]{2})(?P<algorithm>%s)(?P<mode>[0-9A-Z])"
    r"(?P<key_version>[0-9A-Za-z]{2})(?P<export>[0-9A-Z])(?P<count>[0-9A-Z]{2})"
)
_FORMS: Final = (
    re.compile(_WHOLE % _KNOWN),
    re.compile(
        r"(?P<usage>[0-9A-Za-z]{2})(?P<mode>[A-Z])(?P<key_version>[0-9A-Za-z]{2})"
        r"(?P<export>[NSE])(?P<count>[0-9]{2})"
    ),
    re.compile(_WHOLE % "[0-9A-Z]{2}"),
    re.compile(r"(?P<key_version>[0-9A-Za-z]{2})(?P<count>[0-9]{2})(?=[%#&!\x19]|$)"),
)
"""A whole one of a known algorithm comes first: ``P0T2N00E00`` could be read otherwise."""
