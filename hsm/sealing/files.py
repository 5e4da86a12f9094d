"""Files that hold secrets: read with suspicion, written so that power may fail at any moment."""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hsm.sealing.errors import BadFileError
from hsm.sealing.secret_buffer import SecretBuffer
from hsm.sealing.texts import text_of

_GROUP_READ: Final = 0o040
_FORBIDDEN: Final = 0o037
"""Write and run for the group, anything for others."""


def read_guarded(path: Path, limit_bytes: int) -> SecretBuffer:
    """The file's 1 … ``limit_bytes`` bytes, in memory of our own.

    BadFileError when it is missing, a link, no plain file, of another user, open to others, empty
    or larger. The group may read only where owner and group are root: that is how systemd shows
    the access list by which it lets a service's user read a credential.
    """
    with _opened(path) as handle:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise BadFileError(path.name, "kind", text_of("plain_file"))
        if found.st_uid not in (0, os.geteuid()):
            raise BadFileError(path.name, "owner", text_of("owner"))
        of_root = found.st_uid == found.st_gid == 0
        if found.st_mode & (_FORBIDDEN if of_root else _FORBIDDEN | _GROUP_READ):
            raise BadFileError(path.name, "mode", text_of("mode"))
        if not 1 <= found.st_size <= limit_bytes:
            raise BadFileError(path.name, "size", text_of("size", limit_bytes))
        content = SecretBuffer(found.st_size)
        if os.readv(handle, [content.view]) != found.st_size:
            content.wipe()
            raise BadFileError(path.name, "size", text_of("size_changed"))
        return content


def write_new(path: Path, content: bytes) -> None:
    """Write a file (0600) that must not exist yet, in its folder, which is made (0700) when it is
    missing. BadFileError: it exists, or the system refuses."""
    with _writing(path):
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with _temporary(path, content) as temporary:
            try:
                os.link(temporary, path)
            except FileExistsError:
                raise BadFileError(path.name, "file", text_of("exists")) from None
        _sync_folder(path.parent)


def replace(path: Path, content: bytes) -> None:
    """Put new content in the place of the old, whole or not at all (0600). BadFileError: the
    system refuses."""
    with _writing(path):
        with _temporary(path, content) as temporary:
            os.replace(temporary, path)
        _sync_folder(path.parent)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BadFileError(path.name, "file", text_of("cannot_write", error.strerror)) from None


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        # A pipe or a link in its place must neither hang nor mislead us.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise BadFileError(path.name, "file", text_of("cannot_open", error.strerror)) from None
    try:
        yield handle
    finally:
        os.close(handle)


@contextmanager
def _temporary(path: Path, content: bytes) -> Iterator[Path]:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
