"""A daemon's writer in a process of its own, for tests that kill it or starve it of space."""

import resource
import sys
import time
from pathlib import Path

from hsm.audit import AuditDown, AuditKey, AuditLog, Limits

KEY = AuditKey(bytes(range(32)))


def now_ms() -> int:
    """UTC."""
    return time.time_ns() // 1_000_000


def say(line: str) -> None:
    """To the test, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def endless(folder: Path) -> None:
    """Record until killed, rotating often; say so after each record that must survive."""
    log = AuditLog.open(folder, KEY, now_ms, "hsm", limits=Limits(file_bytes_max=2_000))
    number = 0
    while True:
        number += 1
        log.performed("bank", "M8", "01", {"n": number})
        log.record("key.imported", who=("bank",), details={"n": number})
        say(str(number))


def starved(folder: Path) -> None:
    """Record until no file may grow; then more is allowed and the log goes on."""
    log = AuditLog.open(folder, KEY, now_ms, "hsm", limits=Limits(retry_ms=1))
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_001, hard))
    number = 0
    try:
        while number < 1_000:
            log.record("key.imported", who=("bank",), details={"n": number})
            number += 1
    except AuditDown as down:
        say(f"down {down}")
    log.tick(now_ms() + 1_000)
    say(f"still {log.down}")
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    log.tick(now_ms() + 3_000)
    say(f"again {log.down!r} {number}")
    log.record("key.imported", who=("bank",), details={"n": number})
    log.close()


if __name__ == "__main__":
    {"endless": endless, "starved": starved}[sys.argv[1]](Path(sys.argv[2]))
