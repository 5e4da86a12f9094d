"""Appending to the files of an audit log, and going on after a crash."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hsm.audit import chain, files
from hsm.audit.chain import GENESIS, AuditKey, Flaw, Link
from hsm.audit.record import Detail, Event

TORN_END: Final = b"#\n"
"""Ends an unfinished line; no record ends so."""


class AuditBrokenError(Exception):
    """The log is not what this daemon wrote; nothing may be appended to it."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(f"{flaw.reason} at {flaw.place}, record {flaw.expected}")
        self.flaw = flaw


class AuditInUseError(Exception):
    """Another process writes this log."""


class Writer:
    """The one writer of a folder. Everything but the construction may raise OSError.

    After an OSError only :meth:`resume` and :meth:`close` make sense: what is on the disk is then
    read and checked again, rather than remembered.
    """

    def __init__(
        self, folder: Path, key: AuditKey, clock: Callable[[], int], file_bytes_max: int
    ) -> None:
        self._path = folder
        self._key = key
        self._clock = clock
        self._file_bytes_max = file_bytes_max
        self._folder = self._file = -1
        self._number = self._size = 0
        self._fresh = True
        self._torn: chain.Torn | None = None
        self._head = GENESIS
        self.last = GENESIS
        self.last_what = ""

    @property
    def synced(self) -> bool:
        """Whether all that was appended is on the disk, and the head says so."""
        return self._head == self.last

    def lock(self) -> None:
        """Make the folder (mode 0700) if need be, and keep every other writer out of it.

        AuditInUseError: there is one.
        """
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise AuditInUseError(str(self._path)) from None

    def resume(self) -> None:
        """Check the end of the log against its head and get ready to append.

        AuditBrokenError: a record before the head is missing or changed.
        """
        self._close_file()
        found = files.log_files(self._path)
        head = files.read_head(self._path, self._key)
        if isinstance(head, Flaw):
            if found or head.reason != "head_missing":
                raise AuditBrokenError(head)
            # Before the first file: from then on a log without a head is one that lost it.
            self._write_head(GENESIS)
            head = GENESIS
        fresh = not found or chain.start_of(files.lines(found[-1])) is None
        # A last file without a record yet: the one before it has the end of the chain.
        checked = found[-2:] if fresh else found[-1:]
        verified = files.verify_files(checked, self._key, (head,), alone=True)
        if verified.flaw is not None:
            raise AuditBrokenError(verified.flaw)
        self._head, self.last, self._torn = head, verified.last, verified.torn
        self.last_what = verified.last_what
        if found:
            self._number = files.file_number(found[-1])
            self._fresh = fresh
            self._file = os.open(found[-1], os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            self._size = os.fstat(self._file).st_size
        else:
            self._number = 0
            self._begin_file()

    def torn(self) -> dict[str, Detail]:
        """What the next record, a ``log.recovered``, has to say of an unfinished end, if any."""
        if self._torn is None:
            return {}
        if not self._torn.ends_line:
            # The sign makes sure that a record that lacked its end of line alone is none.
            self._write(TORN_END)
            self._torn.add(TORN_END)
        return self._torn.details()

    def append(self, event: Event) -> None:
        """Write one record; it is on the disk after :meth:`sync`."""
        # What closes an unfinished end stays in its file, so that the two are checked together.
        full = self._size >= self._file_bytes_max and self._torn is None
        if full and not self._fresh:
            self.sync()
            self._begin_file()
        line, link = chain.seal(self._key, self.last, self._clock(), event, opens_file=self._fresh)
        self._write(line)
        self.last, self.last_what, self._fresh, self._torn = link, event.what, False, None

    def sync(self) -> None:
        """Bring everything to the disk, then say so in the head file."""
        if not self.synced:
            os.fdatasync(self._file)
            self._write_head(self.last)
            self._head = self.last

    def free_bytes(self) -> int:
        """Space left for us on the disk."""
        disk = os.statvfs(self._path)
        return disk.f_bavail * disk.f_frsize

    def close(self) -> None:
        """Give the files and the lock back."""
        self._close_file()
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1

    def _begin_file(self) -> None:
        self._close_file()
        self._number += 1
        path = self._path / files.file_name(self._number)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._file = os.open(path, flags, 0o600)
        os.fsync(self._folder)
        self._size, self._fresh = 0, True

    def _write(self, data: bytes) -> None:
        self._size += len(data)
        _write_all(self._file, data)

    def _write_head(self, head: Link) -> None:
        # The rename itself need not reach the disk: an older head is behind the log, which is safe.
        new = self._path / files.HEAD_NEW
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            _write_all(handle, chain.seal_head(self._key, head))
            os.fsync(handle)
        finally:
            os.close(handle)
        new.rename(self._path / files.HEAD)

    def _close_file(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _write_all(handle: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(handle, left) :]
