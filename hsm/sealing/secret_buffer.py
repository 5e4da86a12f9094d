"""Memory of our own for a secret: locked, left out of core dumps, and wiped."""

import ctypes
import mmap
import os
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

BYTES_MAX: Final = 64 * 1024

_libc = ctypes.CDLL(None, use_errno=True)
_mlock: Final = _libc.mlock
_mlock.argtypes = (ctypes.c_void_p, ctypes.c_size_t)


class SecretBuffer:
    """So many bytes on pages of their own: not swapped (best effort, see ``locked``), not dumped,
    zero in a forked child, overwritten by :meth:`wipe`, on leaving ``with``, and at the end.

    What it cannot do: it guards only the copy it holds. ``bytes`` and ``str`` that a secret came
    from or is handed to are immutable; Python frees them without overwriting, and a freed value
    may stay in the heap until something else takes the place. So clear keys are derived and
    decrypted straight into such buffers, and become ``bytes`` only where an interface demands it.
    Root, a debugger with the right to trace, and the kernel read it all the same.
    """

    __slots__ = ("_map", "_size", "_view", "locked")

    def __init__(self, size: int) -> None:
        """``size`` zero bytes, 1 … 65,536: ValueError otherwise."""
        if not 1 <= size <= BYTES_MAX:
            raise ValueError(f"size: 1 to {BYTES_MAX} bytes")
        self._size = size
        self._map = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._view: memoryview | None = memoryview(self._map)
        self.locked = _lock(self._map, size)
        """Whether the system promised not to swap it (RLIMIT_MEMLOCK may forbid)."""
        for advice in (mmap.MADV_DONTDUMP, _MADV_WIPEONFORK):
            with suppress(OSError):  # a kernel that cannot is no reason to hold no secret
                self._map.madvise(advice)

    @classmethod
    def holding(cls, secret: bytes | bytearray | memoryview) -> Self:
        """A copy of ``secret``; the original stays the caller's to forget."""
        buffer = cls(len(secret))
        buffer.view[:] = secret
        return buffer

    @classmethod
    def filled(cls, size: int, fill: Callable[[memoryview], None]) -> Self:
        """A buffer that ``fill`` writes into; wiped when ``fill`` raises."""
        buffer = cls(size)
        try:
            fill(buffer.view)
        except BaseException:
            buffer.wipe()
            raise
        return buffer

    @classmethod
    def random(cls, size: int) -> Self:
        """``size`` bytes of the system's generator."""
        return cls.filled(size, lambda view: view.__setitem__(slice(None), os.urandom(size)))

    @property
    def view(self) -> memoryview:
        """The bytes, to read and write in place. ValueError once wiped."""
        if self._view is None:
            raise ValueError("the secret was wiped")
        return self._view

    def wipe(self) -> None:
        """Overwrite with zeros and give the memory back; a second time does nothing."""
        if self._view is None:
            return
        self._view[:] = bytes(self._size)
        self._view.release()
        self._view = None
        with suppress(BufferError):  # a slice is still about: the zeros go when it goes
            self._map.close()

    def __len__(self) -> int:
        return self._size

    def __repr__(self) -> str:
        state = "wiped" if self._view is None else f"{self._size} bytes"
        return f"<secret, {state}>"

    def __reduce__(self) -> str:
        """A secret is neither pickled nor copied."""
        raise TypeError("a secret buffer is not copied")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.wipe()

    def __del__(self) -> None:
        if getattr(self, "_view", None) is not None:
            self.wipe()


_MADV_WIPEONFORK: Final = 18
"""Linux 4.14; the module ``mmap`` has no name for it."""


def _lock(pages: mmap.mmap, size: int) -> bool:
    # The pages are the buffer's alone: unmapping unlocks them and nobody else's.
    start = ctypes.c_char.from_buffer(pages)
    return bool(_mlock(ctypes.addressof(start), size) == 0)
