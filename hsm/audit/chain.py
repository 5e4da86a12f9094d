"""The chain over the records: each MAC covers its record and the MAC before it. Pure."""

import hashlib
import hmac
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from hsm.audit.record import Detail, Event, canonical

MAC_BYTES: Final = 32
LINE_BYTES_MAX: Final = 65_536
RECOVERED: Final = "log.recovered"
"""The record that closes an unfinished end left by a crash or a full disk."""

_FIELDS = {"details": dict, "result": str, "seq": int, "time_ms": int, "what": str, "who": list}
_TIME_MS_MAX = 253_402_300_800_000  # the year 10000
_TAIL = len(b',"mac":"') + 2 * MAC_BYTES + len(b'"}\n')


class Link(NamedTuple):
    """A place in the chain: a record's number and its MAC."""

    seq: int
    mac: bytes

    def __str__(self) -> str:
        return f"{self.seq}:{self.mac.hex()}"


GENESIS: Final = Link(0, bytes(MAC_BYTES))
"""What the first record continues."""


def parse_link(text: str) -> Link:
    """``SEQ:MAC`` as a Link prints itself. ValueError: it is none."""
    seq, _, mac = text.partition(":")
    if not (seq.isascii() and seq.isdigit()) or len(mac) != 2 * MAC_BYTES:
        raise ValueError(text)
    return Link(int(seq), bytes.fromhex(mac))


class AuditKey:
    """32 random bytes of their own. Shows its id only."""

    __slots__ = ("_key", "id")

    def __init__(self, key: bytes) -> None:
        if len(key) != MAC_BYTES:
            raise ValueError("an audit key has 32 bytes")
        self._key = key
        self.id = hashlib.sha256(b"yyt hsm audit key\0" + key).hexdigest()[:8]
        """Names the key in the log's first record."""

    def __repr__(self) -> str:
        return f"AuditKey({self.id})"

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("an audit key is not copied out of the process")

    def mac(self, data: bytes) -> bytes:
        """HMAC-SHA-256."""
        return hmac.digest(self._key, data, "sha256")


def seal(
    key: AuditKey, before: Link, time_ms: int, event: Event, *, opens_file: bool = False
) -> tuple[bytes, Link]:
    """The line of the next record, with its end of line, and its place in the chain.

    A file's first record names the MAC that it continues, so that each file can be checked alone.
    """
    seq = before.seq + 1
    body = canonical(seq, time_ms, event, before.mac.hex() if opens_file else "")
    link = Link(seq, key.mac(before.mac + body))
    return b'%b,"mac":"%b"}\n' % (body[:-1], link.mac.hex().encode()), link


def seal_head(key: AuditKey, head: Link) -> bytes:
    """The content of the head file: the newest record's place, under a MAC of its own."""
    text = str(head).encode()
    return b"%b %b\n" % (text, key.mac(b"head\0" + text).hex().encode())


def open_head(key: AuditKey, content: bytes) -> Link | None:
    """What a head file says; None when it was changed or another key made it."""
    text, _, mac = content.rstrip(b"\n").partition(b" ")
    if not hmac.compare_digest(key.mac(b"head\0" + text).hex().encode(), mac):
        return None
    return parse_link(text.decode("ascii"))


def parse(line: bytes) -> dict[str, Any] | None:
    """The record in a line, unverified; None when there is none."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):  # the latter of brackets in brackets, made on purpose
        return None
    if not isinstance(record, dict):
        return None
    right = all(isinstance(record.get(name), kind) for name, kind in _FIELDS.items())
    return record if right and 0 <= record["time_ms"] < _TIME_MS_MAX else None


def start_of(lines: Iterable[bytes]) -> Link | None:
    """What a file's first record says it continues; None without such a record. Unverified."""
    for line in lines:
        record = parse(line)
        if record is not None and isinstance(record.get("previous"), str):
            try:
                return Link(record["seq"] - 1, bytes.fromhex(record["previous"]))
            except ValueError:
                return None
    return None


class Flaw(NamedTuple):
    """The first thing that is wrong: where, a reason's name, and the record that belongs there."""

    place: str
    reason: str
    expected: int
    found: int | None = None


@dataclass(frozen=True, slots=True)
class Verified:
    """What :func:`verify` found."""

    last: Link
    """The newest record that proves itself."""
    records: int
    recoveries: int
    """Unfinished ends that a later record closes."""
    last_what: str
    torn: "Torn | None"
    """An unfinished end that no record closes yet."""
    flaw: Flaw | None


class Torn:
    """Lines in a row that prove nothing: an unfinished end, or the first sign of a flaw."""

    def __init__(self, flaw: Flaw) -> None:
        self.flaw = flaw
        self.length = 0
        self.ends_line = False
        self.forged = False
        """A whole record stands among them, which no crash leaves."""
        self._digest = hashlib.sha256()

    def add(self, line: bytes) -> None:
        """One more of these lines."""
        self.length += len(line)
        self.ends_line = line.endswith(b"\n")
        self.forged |= self.ends_line and parse(line) is not None
        self._digest.update(line)

    def details(self) -> dict[str, Detail]:
        """What the record that closes them says of them."""
        return {"torn_bytes": self.length, "torn_digest": self._digest.hexdigest()[:8]}

    def closed_by(self, record: dict[str, Any]) -> bool:
        """Whether the next good record says that a crash left exactly these bytes."""
        said = record["details"]
        told = all(said.get(name) == value for name, value in self.details().items())
        return told and record["what"] == RECOVERED


def verify(
    lines: Iterable[tuple[str, bytes]],
    key: AuditKey,
    start: Link = GENESIS,
    known: Collection[Link] = (),
) -> Verified:
    """Check a chain from ``start`` on; stops at the first flaw. Memory does not grow with it.

    ``lines``: (place, line with its end of line). ``known``: places that are known to have been in
    the chain (the head file, heads that were noted elsewhere): each must be there. Lines after the
    newest known place that are no records are an unfinished end: a crash leaves that, and whoever
    can write the file could as well have cut it off there.
    """
    walk = _Walk(key, start, known)
    flaw = walk.check_start()
    if flaw is None:
        for place, line in lines:
            flaw = walk.take(place, line)
            if flaw is not None:
                break
        else:
            flaw = walk.end()
    torn = walk.torn if flaw is None else None
    return Verified(walk.last, walk.records, walk.recoveries, walk.last_what, torn, flaw)


class _Walk:
    def __init__(self, key: AuditKey, start: Link, known: Collection[Link]) -> None:
        self._key = key
        self._known: dict[int, set[bytes]] = {}
        for link in known:
            self._known.setdefault(link.seq, set()).add(link.mac)
        self.last = start
        self.records = self.recoveries = 0
        self.last_what = ""
        self.torn: Torn | None = None

    def check_start(self) -> Flaw | None:
        if self._known.get(self.last.seq, {self.last.mac}) != {self.last.mac}:
            return Flaw("-", "other_chain", self.last.seq)
        return None

    def take(self, place: str, line: bytes) -> Flaw | None:
        if not self._proves_itself(line):
            if self.torn is None:
                self.torn = Torn(self._flaw(place, line))
            self.torn.add(line)
            return None
        record = json.loads(line)
        if self.torn is not None:
            if not self.torn.closed_by(record):
                return self.torn.flaw
            self.recoveries += 1
            self.torn = None
        elif record["what"] == RECOVERED and record["details"].get("torn_bytes"):
            return Flaw(place, "torn_missing", record["seq"])
        self.last = Link(self.last.seq + 1, bytes.fromhex(line[-_TAIL + 8 : -3].decode()))
        self.last_what = record["what"]
        self.records += 1
        if self._known.get(self.last.seq, {self.last.mac}) != {self.last.mac}:
            return Flaw(place, "other_chain", self.last.seq)
        return None

    def end(self) -> Flaw | None:
        forged = self.torn is not None and self.torn.forged
        if self.last.seq >= max(self._known, default=0) and not forged:
            return None
        return self.torn.flaw if self.torn else Flaw("-", "truncated", max(self._known))

    def _proves_itself(self, line: bytes) -> bool:
        body, tail = line[:-_TAIL] + b"}", line[-_TAIL:]
        right = self._key.mac(self.last.mac + body).hex().encode()
        return hmac.compare_digest(b',"mac":"%b"}\n' % right, tail)

    def _flaw(self, place: str, line: bytes) -> Flaw:
        record = parse(line)
        expected = self.last.seq + 1
        if record is None:
            return Flaw(place, "unreadable", expected)
        if record["seq"] == expected:
            return Flaw(place, "changed", expected)
        return Flaw(place, "out_of_order", expected, record["seq"])
