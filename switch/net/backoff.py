"""Waits between tries: doubled each time, with jitter, up to a ceiling.

Jitter matters: after a bank's restart all its clients come back; they must not come together.
"""

from collections.abc import Callable


class Backoff:
    """Full-half jitter: each wait lies between half and all of ``first_ms * 2**tries``.

    ``random`` gives 0 ≤ x < 1 (the context's, so a seeded run repeats itself).
    """

    def __init__(self, first_ms: int, ceiling_ms: int, random: Callable[[], float]) -> None:
        self._first_ms = first_ms
        self._ceiling_ms = ceiling_ms
        self._random = random
        self._tries = 0

    def next_ms(self) -> int:
        """The wait before the next try, in milliseconds."""
        # 2**32 times any first wait is above every ceiling: the exponent stays bounded (I11).
        full_ms = min(self._ceiling_ms, self._first_ms << min(self._tries, 32))
        self._tries += 1
        half_ms = full_ms // 2
        return full_ms - int(half_ms * self._random())

    def reset(self) -> None:
        """It worked: the next failure starts from the first wait again."""
        self._tries = 0
