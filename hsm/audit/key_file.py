"""The audit key's file: 32 random bytes, readable for the daemon alone."""

import os
import secrets
import stat
from pathlib import Path

from hsm.audit.chain import MAC_BYTES, AuditKey


class AuditKeyError(Exception):
    """No usable key. ``reason`` is a name of hsm.texts, ``path`` the file."""

    def __init__(self, reason: str, path: Path) -> None:
        super().__init__(f"{reason}: {path}")
        self.reason = reason
        self.path = path


def load_key(path: Path) -> AuditKey:
    """Read a key file (or a systemd credential). AuditKeyError: missing, open to others, not one.

    The mode is looked at after opening, so that nobody can swap the file in between.
    """
    try:
        with path.open("rb") as stream:
            if stat.S_IMODE(os.fstat(stream.fileno()).st_mode) & 0o077:
                raise AuditKeyError("audit_key_mode", path)
            return AuditKey(stream.read(MAC_BYTES + 1))
    except OSError:
        raise AuditKeyError("audit_key_unreadable", path) from None
    except ValueError:
        raise AuditKeyError("audit_key_length", path) from None


def make_key(path: Path) -> AuditKey:
    """Write a new key, mode 0600, safely on disk. AuditKeyError: something stands there already."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(handle, secrets.token_bytes(MAC_BYTES))
            os.fsync(handle)
        finally:
            os.close(handle)
        _sync_folder(path.parent)
    except OSError:
        raise AuditKeyError("audit_key_unwritable", path) from None
    return load_key(path)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
