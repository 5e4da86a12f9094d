"""Commands to a card and its status words (ISO 7816-4, EMV book 1 part II).

A reader speaks T=0 or T=1. In T=0 a command with data carries no Le, and its answer is fetched
with GET RESPONSE (61xx); in T=1 it carries one. Both 61xx and 6Cxx (wrong Le) are answered in
either style, since readers and virtual cards differ.
"""

from collections.abc import Generator
from enum import StrEnum
from typing import Final

from msgspec import Struct

OK: Final = 0x9000
BLOCKED_APPLICATION: Final = 0x6283
BLOCKED_CARD: Final = 0x6A81
NOT_FOUND: Final = 0x6A82
NO_RECORD: Final = 0x6A83
NOT_SATISFIED: Final = 0x6985
NO_ANSWER: Final = 0
"""Stands for an answer of less than two bytes."""

_DATA_MAX: Final = 255


class Style(StrEnum):
    """How commands with data are sent."""

    T0 = "T=0"
    T1 = "T=1"


class Command(Struct, frozen=True):
    """Header, data, and the expected length (0: all there is; None: no data expected)."""

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes = b""
    le: int | None = None

    def encode(self, style: Style) -> bytes:
        """The bytes as they leave. Raises ValueError when the data is too long."""
        if len(self.data) > _DATA_MAX:
            raise ValueError("a command carries at most 255 bytes")
        head = bytes([self.cla, self.ins, self.p1, self.p2])
        if not self.data:
            return head + (b"\0" if self.le is None else bytes([self.le]))
        body = head + bytes([len(self.data)]) + self.data
        return body if self.le is None or style is Style.T0 else body + bytes([self.le])

    def __repr__(self) -> str:
        return f"<command {self.cla:02X}{self.ins:02X}{self.p1:02X}{self.p2:02X}>"


class Answer(Struct, frozen=True):
    """What the card said: its data and status word."""

    data: bytes
    sw: int

    def __repr__(self) -> str:
        return f"<answer of {len(self.data)} bytes, {self.sw:04X}>"


def exchange(command: Command, style: Style, responses_max: int) -> Generator[bytes, bytes, Answer]:
    """Send ``command`` and whatever it takes to have its whole answer: bytes out, bytes in.

    At most ``responses_max`` further commands follow (61xx, one 6Cxx); what has come by then is
    the answer, with its last status word.
    """
    raw = yield command.encode(style)
    data, corrected, fetching = b"", False, False
    for _ in range(responses_max):
        if len(raw) < 2:
            break
        kind, count = raw[-2], raw[-1]
        if kind == 0x61:
            data, fetching = data + raw[:-2], True
            raw = yield bytes([0x00, 0xC0, 0x00, 0x00, count])
        elif kind == 0x6C and not corrected:
            corrected = True
            raw = yield _with_length(command, style, count, fetching)
        else:
            break
    if len(raw) < 2:
        return Answer(b"", NO_ANSWER)
    return Answer(data + raw[:-2], int.from_bytes(raw[-2:], "big"))


def _with_length(command: Command, style: Style, count: int, fetching: bool) -> bytes:
    if fetching:
        return bytes([0x00, 0xC0, 0x00, 0x00, count])
    again = Command(command.cla, command.ins, command.p1, command.p2, command.data, count)
    return again.encode(style)


def select(name: bytes, following: bool = False) -> Command:
    """SELECT by name; ``following``: the next application of the same partial name."""
    return Command(0x00, 0xA4, 0x04, 0x02 if following else 0x00, name, 0)


def read_record(file: int, record: int) -> Command:
    """READ RECORD number ``record`` of the file with this short identifier (SFI)."""
    return Command(0x00, 0xB2, record, file << 3 | 4, le=0)


def get_processing_options(data: bytes) -> Command:
    """GET PROCESSING OPTIONS; ``data`` with its template 83."""
    return Command(0x80, 0xA8, 0x00, 0x00, data, 0)


def generate_ac(asked: int, data: bytes) -> Command:
    """GENERATE AC; ``asked``: 00 AAC, 40 TC, 80 ARQC."""
    return Command(0x80, 0xAE, asked, 0x00, data, 0)


def external_authenticate(data: bytes) -> Command:
    """EXTERNAL AUTHENTICATE with the issuer's data (tag 91); no answer data."""
    return Command(0x00, 0x82, 0x00, 0x00, data)


def get_data(tag: str) -> Command:
    """GET DATA of a tag of two bytes."""
    number = int(tag, 16)
    return Command(0x80, 0xCA, number >> 8, number & 0xFF, le=0)


def ready_made(raw: bytes) -> Command:
    """A command as an issuer script or a log carries it. Raises ValueError when it is none."""
    if len(raw) < 4:
        raise ValueError("a command has at least four bytes")
    cla, ins, p1, p2 = raw[:4]
    if len(raw) <= 5:
        return Command(cla, ins, p1, p2, le=raw[4] if len(raw) == 5 else None)
    data, rest = raw[5 : 5 + raw[4]], raw[5 + raw[4] :]
    if len(data) != raw[4] or len(rest) > 1:
        raise ValueError("a command's length byte does not agree with it")
    return Command(cla, ins, p1, p2, data, rest[0] if rest else None)
