"""Watches one card reader: card in, card out, reader plugged, service gone and back.

A thread of its own sits in SCardGetStatusChange. It outlives the service: pcscd may be killed and
restarted as often as it likes.

Threads. The watching thread alone opens, uses and closes its context, but for SCardCancel, which
PC/SC allows from outside and which wakes it for :meth:`PcscMonitor.stop`. What it finds leaves
through ``cross`` (``reactor.callFromThread``) only, so ``told`` always runs on the reactor's
thread. ``_context`` is handed between the threads under ``_lock``: a context is never cancelled
after it was closed. All other state belongs to the watching thread.

What is bounded: one wait at a time, at most two events for a change of the reader (a card taken
out and put back between two looks is both told), a retry interval that doubles up to its maximum.
"""

import re
import threading
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

from terminal_agent.devices.pcsc_service import (
    NEWS_OF_READERS,
    Code,
    Flag,
    PcscError,
    PcscService,
    ReaderState,
)

_UNAWARE: Final = 0
_CANCEL_AGAIN_S: Final = 0.02
"""A cancel that comes just before the wait begins is lost: it is said again until heard."""
_STOP_S: Final = 1.0


class ReaderNews(StrEnum):
    """What can happen."""

    READER_FOUND = "readerFound"
    READER_LOST = "readerLost"
    """Also told when there is none at the first look."""
    CARD_INSERTED = "cardInserted"
    CARD_REMOVED = "cardRemoved"
    SERVICE_LOST = "serviceLost"
    SERVICE_BACK = "serviceBack"


class ReaderEvent(Struct, frozen=True, kw_only=True):
    """One of them, at this reader."""

    news: ReaderNews
    reader: str = ""
    atr: bytes = b""
    """Of an inserted card; empty when its chip does not answer."""


class MonitorTimes(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How patient the monitor is."""

    look_again_ms: int
    """The list of readers is read anew at least this often."""
    retry_min_ms: int
    retry_max_ms: int
    """A service that does not answer is asked again after this, doubling."""


class PcscMonitor:
    """Watches the first reader, by name, that the expression finds."""

    def __init__(
        self,
        service: PcscService,
        pattern: re.Pattern[str],
        times: MonitorTimes,
        told: Callable[[ReaderEvent], None],
        cross: Callable[..., object],
    ) -> None:
        self._service, self._pattern, self._times = service, pattern, times
        self._told, self._cross = told, cross
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._context: Any = None
        self._thread = threading.Thread(target=self._run, name="pcsc-monitor", daemon=True)
        self._reader = ""
        self._flags = _UNAWARE
        self._card_inside = False
        self._service_lost = False
        self._looked = False

    def start(self) -> None:
        """Begin to watch; events follow, the present state first."""
        self._thread.start()

    def stop(self) -> None:
        """End, at once even in the middle of a wait; nothing is told afterwards. Returns after a
        second at the latest: a service that hangs is left to the end of the process."""
        self._stopping.set()
        if self._thread.is_alive():
            threading.Thread(target=self._wake, name="pcsc-stop", daemon=True).start()
            self._thread.join(_STOP_S)

    def _wake(self) -> None:
        """A thread of its own, since the service may keep even a cancel waiting."""
        while self._thread.is_alive():
            with self._lock:
                if self._context is not None:
                    self._service.cancel(self._context)
            self._thread.join(_CANCEL_AGAIN_S)

    @property
    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    # ---- the watching thread ---------------------------------------------------------------------

    def _run(self) -> None:
        wait_ms = self._times.retry_min_ms
        while not self._stopping.is_set():
            try:
                self._open()
                wait_ms = self._times.retry_min_ms
                self._watch()
            except PcscError:
                self._tell_lost()
            finally:
                self._close()
            self._stopping.wait(wait_ms / 1000)
            wait_ms = min(wait_ms * 2, self._times.retry_max_ms)

    def _open(self) -> None:
        context = self._service.open()
        with self._lock:
            self._context = context
        if self._service_lost:
            self._service_lost = False
            self._tell(ReaderNews.SERVICE_BACK)

    def _close(self) -> None:
        with self._lock:
            context, self._context = self._context, None
        if context is not None:
            self._service.close(context)

    def _tell_lost(self) -> None:
        """Without the service nobody knows of reader and card: both count as gone."""
        self._forget_reader()
        if not self._service_lost:
            self._service_lost = True
            self._tell(ReaderNews.SERVICE_LOST)

    def _watch(self) -> None:
        """Until the service fails or we are stopped."""
        news_flags = _UNAWARE
        while not self._stopping.is_set():
            names = self._service.readers(self._context)
            self._choose([name for name in names if self._pattern.search(name)])
            known = [(NEWS_OF_READERS, news_flags)]
            if self._reader:
                known.insert(0, (self._reader, self._flags))
            try:
                found = self._service.wait(self._context, self._times.look_again_ms, known)
            except PcscError as error:
                if error.code not in (Code.UNKNOWN_READER, Code.READER_UNAVAILABLE):
                    raise
                # Unplugged between list and wait: the next list says so, a moment later.
                self._stopping.wait(self._times.retry_min_ms / 1000)
                continue
            for state in found:
                if state.name == self._reader:
                    self._changed(state)
                else:
                    news_flags = state.flags & ~Flag.CHANGED

    def _choose(self, fitting: list[str]) -> None:
        reader = fitting[0] if fitting else ""
        if not self._looked and not reader:
            self._tell(ReaderNews.READER_LOST)
        self._looked = True
        if self._reader in fitting or reader == self._reader:
            return
        self._forget_reader()
        self._reader, self._flags = reader, _UNAWARE
        if reader:
            self._tell(ReaderNews.READER_FOUND)

    def _forget_reader(self) -> None:
        if self._card_inside:
            self._card_inside = False
            self._tell(ReaderNews.CARD_REMOVED)
        if self._reader:
            self._tell(ReaderNews.READER_LOST)
        self._reader, self._flags = "", _UNAWARE

    def _changed(self, state: ReaderState) -> None:
        before, self._flags = self._flags, state.flags & ~Flag.CHANGED
        inside = bool(state.flags & Flag.PRESENT)
        another = inside and self._card_inside and before >> 16 != self._flags >> 16
        if self._card_inside and (not inside or another):
            self._tell(ReaderNews.CARD_REMOVED)
        if inside and (not self._card_inside or another):
            mute = bool(state.flags & Flag.MUTE)
            self._tell(ReaderNews.CARD_INSERTED, b"" if mute else state.atr)
        self._card_inside = inside

    def _tell(self, news: ReaderNews, atr: bytes = b"") -> None:
        event = ReaderEvent(news=news, reader=self._reader, atr=atr)
        self._cross(self._deliver, event)

    def _deliver(self, event: ReaderEvent) -> None:
        """On the reactor's thread: what was under way when we were stopped is dropped."""
        if not self._stopping.is_set():
            self._told(event)
