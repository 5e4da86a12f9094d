"""Failed verifications counted by key and by account, as the commands ask (norms row 26)."""

import secrets
import time

from hsm.commands.bench import Judge
from hsm.verifications import Verifications, identify


def monotonic_ms() -> int:
    """Milliseconds of a clock that never goes back."""
    return time.monotonic_ns() // 1_000_000


class CountingJudge(Judge):
    """Holds a key under which too much failed, and an account whose PIN was wrong too often:
    answer 39."""

    def __init__(self, keys: Verifications, accounts: Verifications) -> None:
        self._keys = keys
        self._accounts = accounts
        self._salt = secrets.token_bytes(16)

    def open(self, key: bytes, account: str = "") -> bool:
        now_ms = monotonic_ms()
        return self._keys.open(self._id(key), now_ms) and (
            not account or self._accounts.open(self._id(key, account), now_ms)
        )

    def note(self, key: bytes, passed: bool, account: str = "") -> None:
        if passed:
            return
        now_ms = monotonic_ms()
        self._keys.note(self._id(key), passed, now_ms)
        if account:
            self._accounts.note(self._id(key, account), passed, now_ms)

    def held(self) -> int:
        """How many keys and accounts are held now."""
        return self._keys.held(monotonic_ms()) + self._accounts.held(monotonic_ms())

    def _id(self, key: bytes, *account: str) -> bytes:
        return identify(key.hex(), *account, salt=self._salt)
