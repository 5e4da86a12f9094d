"""Memory of a process, as Linux tells it."""

from pathlib import Path


def rss_kib(pid: int | str = "self") -> int:
    """Resident memory. Raises FileNotFoundError where there is no /proc, or no such process."""
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise FileNotFoundError(2, "has ended", f"/proc/{pid}/status")


def has_loaded(pid: int, library: str) -> bool:
    """Whether a file with this in its path is part of the process."""
    return library in Path(f"/proc/{pid}/maps").read_text("utf-8")
