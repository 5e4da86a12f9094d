"""Small files that a power cut leaves whole: the old one or the new one, and the new one as soon
as the call has returned."""

import os
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Replace a file, readable by its owner alone, its folder made when missing. One writer at a
    time. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    if os.name == "posix":  # elsewhere a folder cannot be opened, and its journal is the system's
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
