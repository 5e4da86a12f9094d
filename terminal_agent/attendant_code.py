"""The attendant's code: kept as a scrypt hash in a file of the kiosk, tried a few times at most."""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from terminal_agent.config import ConfigError

DIGITS_MIN: Final = 6
DIGITS_MAX: Final = 12
TRIES_MAX: Final = 5
"""Wrong codes in a row; the next one is looked at after WAIT_MS."""
WAIT_MS: Final = 300_000
_SALT_BYTES: Final = 16
_COST: Final = 2**14
"""About 50 ms and 16 MiB once per try, in the reactor's thread: nobody pays meanwhile."""


def write_code(file: Path, code: str) -> None:
    """Keep a code's hash, for the owner alone. Raises ValueError, which names the rule."""
    if not (code.isascii() and code.isdecimal() and DIGITS_MIN <= len(code) <= DIGITS_MAX):
        raise ValueError(f"a code has {DIGITS_MIN} to {DIGITS_MAX} digits")
    salt = secrets.token_bytes(_SALT_BYTES)
    file.touch(mode=0o600)
    file.write_text(f"{salt.hex()} {_hash(code, salt).hex()}\n", encoding="ascii")


class AttendantCode:
    """One file's code. Raises ConfigError for a file that is none."""

    def __init__(self, file: Path, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._wrong = 0
        self._again_at = 0
        try:
            salt, kept = file.read_text(encoding="ascii").split()
            self._salt, self._kept = bytes.fromhex(salt), bytes.fromhex(kept)
        except (OSError, ValueError):
            rule = "is no code of `yyt agent attendant-code`"
            raise ConfigError(f"flows.attendant_code_file: {file} {rule}") from None

    def is_right(self, code: str) -> bool:
        """Whether it is; after TRIES_MAX wrong ones nothing is, for a while."""
        now_ms = self._now_ms()
        if now_ms < self._again_at:
            return False
        if hmac.compare_digest(_hash(code, self._salt), self._kept):
            self._wrong = 0
            return True
        self._wrong += 1
        if self._wrong >= TRIES_MAX:
            self._wrong, self._again_at = 0, now_ms + WAIT_MS
        return False


def _hash(code: str, salt: bytes) -> bytes:
    return hashlib.scrypt(code.encode("ascii"), salt=salt, n=_COST, r=8, p=1)
