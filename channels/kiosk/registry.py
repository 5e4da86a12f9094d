"""Which terminals there are: one small JSON file each, below ``terminals/`` of the PKI folder.

Files, not tables: an operator can read them, a configuration system can ship them, and the front
needs no database to refuse a stranger. Written whole and renamed, so a reader never sees half.
"""

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

TERMINAL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9.]{0,15}")
"""At most 16 characters, no dash: a payment key is ``terminal-date-counter``."""


class RegistryError(ValueError):
    """No such terminal, or its file is not readable as one."""


class Terminal(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One terminal of one hospital."""

    terminal: str
    hospital: str
    tpk: str = ""
    """The pad's key (type 002), ``key:NAME`` or a cryptogram; empty: no PIN at this terminal."""
    enabled: bool = True
    clearing: tuple[str, ...] = ()
    """Clearings it may use (``outpatient``, ``inpatient``); empty means all."""
    certificates: tuple[str, ...] = ()
    """Serial numbers (hex) of its valid certificates."""
    revoked: tuple[str, ...] = ()
    renewals: dict[str, str] = {}
    """A renewed certificate not used yet → the one it replaces, which stays valid until then."""


class Registry:
    """Reads and writes the terminals' files; a file is read again when it changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "terminals"
        self._known: dict[str, tuple[int, Terminal]] = {}

    def get(self, terminal: str) -> Terminal:
        """The terminal's record as it stands now. Raises RegistryError."""
        if TERMINAL_ID.fullmatch(terminal) is None:
            raise RegistryError("terminal: not a terminal id")
        path = self._folder / f"{terminal}.json"
        try:
            changed_at = path.stat().st_mtime_ns
            known = self._known.get(terminal)
            if known is not None and known[0] == changed_at:
                return known[1]
            record = _read(path, terminal)
        except FileNotFoundError:
            raise RegistryError(f"{terminal}: no such terminal") from None
        self._known[terminal] = (changed_at, record)
        return record

    def put(self, record: Terminal) -> None:
        """Write a record durably; the next :meth:`get` sees it. Raises RegistryError."""
        if TERMINAL_ID.fullmatch(record.terminal) is None:
            raise RegistryError("terminal: 1 to 16 letters, digits and dots")
        self._folder.mkdir(parents=True, exist_ok=True)
        write_durably(self._folder / f"{record.terminal}.json", msgspec.json.encode(record))
        self._known.pop(record.terminal, None)

    def change(
        self, terminal: str, update: Callable[[Terminal], Terminal], new: Terminal | None = None
    ) -> Terminal:
        """Change a record while nobody else does, in whatever process, so that no revocation is
        overwritten. ``new`` is what an unknown terminal begins with. Returns what was written;
        raises RegistryError, and what ``update`` raises (nothing is written then)."""
        if TERMINAL_ID.fullmatch(terminal) is None:
            raise RegistryError("terminal: 1 to 16 letters, digits and dots")
        with alone(self._folder):
            try:
                record = _read(self._folder / f"{terminal}.json", terminal)
            except FileNotFoundError:
                if new is None:
                    raise RegistryError(f"{terminal}: no such terminal") from None
                record = new
            changed = update(record)
            if changed != record or record is new:
                self.put(changed)
        return changed

    def all(self) -> Iterator[Terminal]:
        """Every terminal, by id. Raises RegistryError at a file that is none."""
        for path in sorted(self._folder.glob("*.json")):
            yield self.get(path.stem)

    def admits(self, terminal: str, serial: str) -> Terminal:
        """The record of a terminal that may connect with this certificate. Raises RegistryError."""
        record = self.get(terminal)
        if not record.enabled:
            raise RegistryError(f"{terminal}: disabled")
        if serial in record.revoked or serial not in record.certificates:
            raise RegistryError(f"{terminal}: its certificate is revoked or unknown")
        return record


def _read(path: Path, terminal: str) -> Terminal:
    try:
        record = msgspec.json.decode(path.read_bytes(), type=Terminal)
    except msgspec.DecodeError as error:
        raise RegistryError(f"{path.name}: {error}") from None
    if record.terminal != terminal:
        raise RegistryError(f"{path.name}: is the record of {record.terminal}")
    return record


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other processes and threads out of a folder's files, as far as they ask too."""
    import fcntl  # the switch and its operators are on Linux; a kiosk may import this module too

    folder.mkdir(parents=True, exist_ok=True)
    held = os.open(folder, os.O_RDONLY)  # the folder itself: whoever may read it may wait for it
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file so that a power cut leaves the old or the new one, and the new one once this
    has returned."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
