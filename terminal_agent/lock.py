"""Whether this kiosk takes new patients: locked by an operator, over restarts, until unlocked.

A lock never touches the patient who is being served, nor any open payment: it is asked before a
new one begins.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from terminal_agent import durable
from terminal_agent.logs import get_logger

_log = get_logger("lock")

TEXT = "暂停服务"
"""Shown when the operator gave no words."""


class _Kept(Struct, frozen=True, kw_only=True):
    locked: bool
    text: str = ""


class Lock:
    """One kiosk's lock, kept in a file. A file that cannot be read locks: somebody had a reason,
    and ``yyt terminal command … unlock`` ends it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._watchers: list[Callable[[], None]] = []
        self._held: str | None = None
        try:
            self._kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
        except FileNotFoundError:
            self._kept = _Kept(locked=False)
        except (OSError, msgspec.DecodeError) as error:
            _log.error("lock_unreadable", reason=str(error))
            self._kept = _Kept(locked=True)

    @property
    def locked(self) -> str | None:
        """What the screen says; None: the kiosk serves."""
        if self._held is not None:
            return self._held
        return (self._kept.text or TEXT) if self._kept.locked else None

    def watch(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` after every change, for ever."""
        self._watchers.append(callback)

    def lock(self, text: str = "") -> None:
        """No new patients from here on. Durable when this returns; raises OSError."""
        self._keep(_Kept(locked=True, text=text))

    def unlock(self) -> None:
        """Serve again. Durable when this returns; raises OSError."""
        self._keep(_Kept(locked=False))

    def hold(self, text: str) -> None:
        """No new patients for what is left of this process's life."""
        self._held = text
        self._tell()

    def _keep(self, kept: _Kept) -> None:
        durable.write(self._path, msgspec.json.encode(kept))
        self._kept = kept
        self._tell()

    def _tell(self) -> None:
        for callback in self._watchers:
            callback()
