"""A bounded, masked record of what went to a bank and came from it, for its tester (验收测试).

Off by default. Every frame is written as ``yyt describe`` shows it: field by field, masked (I12),
with its length on the wire, and beside it what we made of an answer. Nothing of a frame that cannot
be read is kept but its length.

A ring (I11): ``BANK.jsonl`` is written, and renamed to ``BANK.1.jsonl`` … when it is full; of these
``files`` are kept. A disk that does not take it costs the record, never a payment.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from channels.iso8583.codec import Codec
from channels.iso8583.config import TraceConfig
from channels.iso8583.describe import Explainer
from channels.iso8583.errors import RemoteError
from channels.iso8583.message import Message
from channels.iso8583.rule_texts import problem_text
from channels.iso8583.sentences import english
from switch.net.frames import LengthPrefix, framed
from switch.observe.logs import get_logger
from switch.ports import Timeline

_log = get_logger("iso8583.trace")
_OLDER = re.compile(r"\.[0-9]+$")
_PLAIN = re.compile(r"[^0-9A-Za-z._-]")

OUT, IN, NOTE = "out", "in", "note"


class Line(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the record."""

    at: str
    """Local ``YYYYMMDD hhmmss`` of the time line."""
    way: str
    """``out``, ``in``, or ``note``: what we made of a message."""
    link: str
    wire_bytes: int = 0
    """Of the frame with its length prefix."""
    message_bytes: int = 0
    """Without it."""
    message: dict[str, object] = {}
    """As ``yyt describe --json`` has it."""
    terminal: str = ""
    """F41 and F11 tell which lines belong together."""
    stan: str = ""
    payment: str = ""
    text: str = ""


class Trace:
    """The record of one bank."""

    def __init__(self, bank: str, config: TraceConfig, codec: Codec, timeline: Timeline) -> None:
        self._config = config
        self._codec = codec
        self._explainer = Explainer(codec.dialect)
        self._prefix: LengthPrefix = codec.dialect.length_prefix
        self._timeline = timeline
        self._path = file_of(Path(config.directory), bank)
        self._file: int | None = None
        self._off = False

    def frame(self, way: str, link: str, frame: bytes) -> None:
        """A frame without its length prefix, just written or just read."""
        if not frame or self._off:
            return
        facts: dict[str, object]
        terminal = stan = ""
        try:
            message = self._codec.decode(frame)
        except RemoteError as error:
            facts = {"problem": problem_text([error], self._codec.dialect, english=english())}
        else:
            facts = self._explainer.described(message, english=english()).as_json()
            terminal, stan = _names(message)
        self._write(
            Line(
                at=self._now(),
                way=way,
                link=link,
                wire_bytes=len(framed(frame, self._prefix)),
                message_bytes=len(frame),
                message=facts,
                terminal=terminal,
                stan=stan,
            )
        )

    def about(self, link: str, fields: dict[str, str], payment: str) -> None:
        """Whose the message was that has just been written."""
        if payment and not self._off:
            terminal, stan = fields.get("41", ""), fields.get("11", "")
            self._write(
                Line(
                    at=self._now(),
                    way=NOTE,
                    link=link,
                    terminal=terminal,
                    stan=stan,
                    payment=payment,
                    text="payment",
                )
            )

    def reading(self, link: str, message: Message, text: str) -> None:
        """What we made of an answer."""
        if not self._off:
            terminal, stan = _names(message)
            self._write(
                Line(at=self._now(), way=NOTE, link=link, terminal=terminal, stan=stan, text=text)
            )

    def _now(self) -> str:
        return " ".join(self._timeline.wall_clock())

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write(self, line: Line) -> None:
        try:
            os.write(self._opened(), msgspec.json.encode(line) + b"\n")
        except OSError as error:
            self.close()
            self._off = True
            _log.error("trace_off", path=str(self._path), why=error.strerror)

    def _opened(self) -> int:
        """The file, kept open; a fresh one when it is full or somebody has taken it away."""
        if self._file is not None:
            facts = os.fstat(self._file)
            if facts.st_nlink and facts.st_size < self._config.bytes:
                return self._file
            self.close()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._path.exists() and self._path.stat().st_size >= self._config.bytes:
            self._turn()
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        return self._file

    def _turn(self) -> None:
        """The full file becomes the newest of those that are kept; the oldest goes."""
        kept = [self._path, *(numbered(self._path, n) for n in range(1, self._config.files))]
        for older, newer in zip(reversed(kept), reversed(kept[:-1]), strict=False):
            if newer.exists():
                newer.replace(older)
        if self._config.files == 1:
            self._path.unlink()


def file_of(directory: Path, bank: str) -> Path:
    """Where a bank's newest lines are."""
    return directory / f"{_PLAIN.sub('_', bank)}.jsonl"


def banks(directory: Path) -> list[str]:
    """Those that have a record here, as their files are named."""
    stems = (path.stem for path in directory.glob("*.jsonl"))
    return sorted(stem for stem in stems if not _OLDER.search(stem))


def numbered(path: Path, number: int) -> Path:
    """An older file of the ring.

    >>> str(numbered(Path("icbc.jsonl"), 2))
    'icbc.2.jsonl'
    """
    return path.with_suffix(f".{number}{path.suffix}")


def lines(directory: Path, bank: str) -> Iterator[Line]:
    """Everything that is kept, oldest first; a line that was cut short is left out."""
    newest = file_of(directory, bank)
    older: list[Path] = []
    while (path := numbered(newest, len(older) + 1)).exists():
        older.append(path)
    for path in [*reversed(older), newest]:
        if not path.exists():
            continue
        for text in path.read_bytes().splitlines():
            try:
                yield msgspec.json.decode(text, type=Line)
            except msgspec.DecodeError:
                continue


def _names(message: Message) -> tuple[str, str]:
    return message.fields.get("41", ""), message.fields.get("11", "")
