"""Failed verifications counted by key, as the commands ask (norms row 26)."""

import time

from hsm.commands.bench import Judge
from hsm.keys import Cryptogram
from hsm.verifications import Verifications, identify


def monotonic_ms() -> int:
    """Milliseconds of a clock that never goes back."""
    return time.monotonic_ns() // 1_000_000


class CountingJudge(Judge):
    """Holds a key under which too much failed: answer 39."""

    def __init__(self, verifications: Verifications) -> None:
        self._verifications = verifications

    def open(self, key: Cryptogram) -> bool:
        return self._verifications.open(identify(str(key)), monotonic_ms())

    def note(self, key: Cryptogram, passed: bool) -> None:
        if not passed:
            self._verifications.note(identify(str(key)), passed, monotonic_ms())

    def held(self) -> int:
        """How many keys are held now."""
        return self._verifications.held(monotonic_ms())
