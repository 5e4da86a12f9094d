"""Looks for secrets in anything that is bytes, in the forms in which they slip out."""

import base64
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from hsm import primitives

PATTERN_BYTES_MIN = 5
"""Shorter patterns would be found by chance in a database's pages."""
_ZEROS = re.compile(rb"\x00{64,}")
_HEAD_BYTES = 4


class Hit(Struct, frozen=True, kw_only=True):
    """One find. It names the secret and its form, never the value."""

    secret: str
    form: str
    place: str


class Scanner:
    """Knows what must not be seen; ``learn`` more at any time."""

    def __init__(self) -> None:
        self._patterns: dict[bytes, tuple[str, str]] = {}
        self._heads: dict[int, list[bytes]] = {}

    def learn(self, name: str, *, digits: str = "", key: str = "", text: str = "") -> None:
        """``digits``: a PAN, a PIN, track data; ``key``: a key or PIN block in hexadecimal;
        ``text``: a passphrase."""
        forms = _forms_of_bytes("text", text.encode()) if text else forms_of_key(key)
        if digits:
            forms = forms_of_digits(digits)
        for form, pattern in forms:
            if len(pattern) >= PATTERN_BYTES_MIN and pattern not in self._patterns:
                self._patterns[pattern] = (name, form)
                (head,) = _words(pattern[:_HEAD_BYTES], 0)
                self._heads.setdefault(head, []).append(pattern)

    def scan(self, place: str, data: bytes) -> list[Hit]:
        """Every secret that shows in ``data``. Thousands of patterns in megabytes: only those are
        looked for whose first bytes stand somewhere."""
        packed = _ZEROS.sub(bytes(64), data)
        seen: set[int] = set()
        for start in range(_HEAD_BYTES):
            seen.update(filter(self._heads.__contains__, _words(packed, start)))
        found = (self._patterns[p] for head in seen for p in self._heads[head] if p in packed)
        return [Hit(secret=secret, form=form, place=place) for secret, form in found]

    def scan_all(self, places: Iterable[tuple[str, bytes]]) -> list[Hit]:
        """:meth:`scan`, place by place."""
        return [hit for place, data in places for hit in self.scan(place, data)]


def _words(data: bytes, start: int) -> "array[int]":
    """``data`` from ``start`` on as numbers of four bytes."""
    return array("I", data[start : start + (len(data) - start) // _HEAD_BYTES * _HEAD_BYTES])


def forms_of_digits(digits: str) -> Iterator[tuple[str, bytes]]:
    """As text, hexadecimal of it, BCD in both alignments, reversed, base64 of text and BCD."""
    text = digits.encode("ascii")
    yield from _forms_of_bytes("text", text)
    yield "reversed", text[::-1]
    yield "UTF-16", digits.encode("utf-16-le")
    nibbles = digits.replace("=", "D")
    for start in (0, 1):
        packed = bytes.fromhex(nibbles[start : start + (len(nibbles) - start) // 2 * 2])
        yield f"BCD from digit {start + 1}", packed
        yield from _base64_of("BCD", packed)


def forms_of_key(key: str) -> Iterator[tuple[str, bytes]]:
    """Each 8 bytes of it: raw, hexadecimal, reversed, base64; and the same with odd parity, as DES
    keys are held."""
    given = bytes.fromhex(key)
    for raw in (given, primitives.odd_parity(given)):
        for start in range(0, len(raw), 8):
            yield from _forms_of_part(raw[start : start + 8])


def _forms_of_part(part: bytes) -> Iterator[tuple[str, bytes]]:
    for name, data in (("raw", part), ("raw, reversed", part[::-1])):
        yield name, data
        yield from _base64_of(name, data)
        for text in (data.hex().upper(), data.hex()):
            yield from _forms_of_bytes("hexadecimal", text.encode())
            yield "hexadecimal, reversed", text[::-1].encode()


def _forms_of_bytes(name: str, text: bytes) -> Iterator[tuple[str, bytes]]:
    yield name, text
    yield f"hexadecimal of {name}", text.hex().encode()
    yield f"hexadecimal of {name}", text.hex().upper().encode()
    yield from _base64_of(name, text)


def _base64_of(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """At each of the three places in a group that ``data`` may begin at; ends that depend on the
    neighbours are cut off."""
    for before in range(3):
        coded = base64.b64encode(bytes(before) + data)
        first = (before * 8 + 5) // 6
        last = (before + len(data)) * 8 // 6
        yield f"base64 of {name}", coded[first:last]


# ---- places --------------------------------------------------------------------------------------


def files(folder: Path, spared: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Every file below ``folder`` except those that match a glob of ``spared``."""
    globs = tuple(spared)
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder)
        if not any(place.match(glob) or _below(place, glob) for glob in globs):
            try:
                if path.is_file():
                    yield str(place), path.read_bytes()
            except FileNotFoundError:  # a database renames and removes its files as it likes
                continue


def _below(place: Path, glob: str) -> bool:
    return any(parent.match(glob) for parent in place.parents if parent.name)


def processes(roots: Mapping[str, int]) -> Iterator[tuple[str, bytes]]:
    """Command line and environment of each process and of all its descendants."""
    for name, root in roots.items():
        for pid in (root, *_descendants(root)):
            for what in ("cmdline", "environ"):
                try:
                    data = Path(f"/proc/{pid}/{what}").read_bytes()
                except (FileNotFoundError, ProcessLookupError):
                    continue
                yield f"{name} {pid} {what}", data


def _descendants(pid: int) -> Iterator[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return
    for child in children:
        yield int(child)
        yield from _descendants(int(child))


PIECE_BYTES = 8 * 1024 * 1024
OVERLAP_BYTES = 256
"""Pieces overlap, so that a pattern on their border is seen."""


def memory(name: str, pid: int) -> Iterator[tuple[str, bytes]]:
    """What a core dump of a process would hold: all its memory but the unwritable parts of files
    (programs and libraries). Raises PermissionError where the system protects it."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as all_of_it:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, access, _, _, inode, *_path = line.split(maxsplit=5)
            if not access.startswith("r") or (access[1] != "w" and inode != "0"):
                continue
            start, end = (int(edge, 16) for edge in span.split("-"))
            for at in range(start, end, PIECE_BYTES):
                try:
                    all_of_it.seek(at)
                    piece = all_of_it.read(min(PIECE_BYTES + OVERLAP_BYTES, end - at))
                except (
                    OSError,
                    ValueError,
                    OverflowError,
                ):  # given back since, or the kernel's own
                    break
                yield f"{name} memory", piece
