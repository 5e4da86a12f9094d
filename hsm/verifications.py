"""How many wrong PINs and MACs a key may see before it is held (norms row 26). Pure."""

import hashlib
from typing import Final

HELD: Final = "39"
"""What a verification under a held key answers."""


def identify(*texts: str, salt: bytes = b"") -> bytes:
    """An id for a key, or for a key and an account under it.

    SHA-256, so that neither is kept; under a random ``salt``: twelve digits alone could be tried
    out.
    """
    digest = hashlib.sha256(salt)
    for text in texts:
        digest.update(b"%d:%b" % (len(text), text.encode()))
    return digest.digest()


class _Bucket:
    __slots__ = ("held_until_ms", "level", "noted_ms")

    def __init__(self, now_ms: int) -> None:
        self.level = 0
        self.noted_ms = now_ms
        self.held_until_ms = now_ms


class Verifications:
    """A leaky bucket for each key: a failure pours 1 in, ``limit`` run out in ``window_ms``.

    A bucket that is full (``limit``) holds its key for ``hold_ms``; afterwards it is as full as the
    leak left it. A success takes nothing out: an attacker could put a PIN he knows between his
    guesses. So whatever the order, in a time t a key sees at most ``limit + limit·t/window_ms``
    failures.

    ``keys_max`` buckets at most. A key without a failure in the last ``window_ms`` needs none. When
    none can be given back, all further keys share one bucket more: flooding us with keys pushes no
    failure out, and ends in a hold of the keys that flood.

    Times in milliseconds of a clock that never goes back.
    """

    def __init__(self, limit: int, window_ms: int, hold_ms: int, keys_max: int) -> None:
        if min(limit, window_ms, hold_ms, keys_max) < 1:
            raise ValueError("limits are positive")
        self._limit = limit
        self._window_ms = window_ms
        self._hold_ms = hold_ms
        self._keys_max = keys_max
        self._keys: dict[bytes, _Bucket] = {}  # the one with the oldest failure first
        self._shared: _Bucket | None = None

    def __len__(self) -> int:
        return len(self._keys)

    def open(self, key_id: bytes, now_ms: int) -> bool:
        """Whether this key may verify now."""
        bucket = self._keys.get(key_id) or self._shared
        return bucket is None or now_ms >= bucket.held_until_ms

    def note(self, key_id: bytes, passed: bool, now_ms: int) -> None:
        """Count a failure; a success changes nothing."""
        if passed:
            return
        bucket = self._bucket(key_id, now_ms)
        # In units of 1/window_ms failures all is whole numbers.
        leaked = max(0, now_ms - bucket.noted_ms) * self._limit
        level = max(0, bucket.level - leaked) + self._window_ms
        bucket.level = min(level, self._limit * self._window_ms)
        bucket.noted_ms = now_ms
        if bucket.level > (self._limit - 1) * self._window_ms:
            bucket.held_until_ms = now_ms + self._hold_ms

    def held(self, now_ms: int) -> int:
        """How many buckets hold their keys now; for metrics."""
        shared = () if self._shared is None else (self._shared,)
        return sum(now_ms < bucket.held_until_ms for bucket in (*self._keys.values(), *shared))

    def _bucket(self, key_id: bytes, now_ms: int) -> _Bucket:
        bucket = self._keys.pop(key_id, None)
        if bucket is None:
            self._give_back(now_ms)
            if len(self._keys) >= self._keys_max:
                if self._shared is None:
                    self._shared = _Bucket(now_ms)
                return self._shared
            bucket = _Bucket(now_ms)
        self._keys[key_id] = bucket
        return bucket

    def _give_back(self, now_ms: int) -> None:
        # Two at most each time: constant work, and still faster than keys can come in.
        for _ in range(2):
            oldest = next(iter(self._keys), None)
            if oldest is None or not self._idle(self._keys[oldest], now_ms):
                break
            del self._keys[oldest]
        if self._shared is not None and self._idle(self._shared, now_ms):
            self._shared = None

    def _idle(self, bucket: _Bucket, now_ms: int) -> bool:
        empty = (now_ms - bucket.noted_ms) * self._limit >= bucket.level
        return empty and now_ms >= bucket.held_until_ms
