"""Where log lines go: to a stream whose reader may be slow, or gone, without anybody waiting."""

import os
import queue
import threading
import time
from collections.abc import Callable
from typing import Final

LINES_MAX: Final = 4096
"""Lines that wait for the stream; what comes on top is dropped and counted (I11)."""

GOODBYE_S: Final = 1.0
"""How long a stopping daemon waits for its last lines to go out."""


class LogSink:
    """Takes whole lines at once and never blocks; one thread of its own does the writing.

    When the stream moves again, a line says how many were dropped.
    """

    def __init__(self, handle: int, dropped_line: Callable[[int], bytes]) -> None:
        """``handle``: an open file. ``dropped_line(n)``: the line that says that n are missing."""
        self._handle = handle
        self._dropped_line = dropped_line
        self._waiting: queue.Queue[bytes] = queue.Queue(LINES_MAX)
        self._dropped = 0
        threading.Thread(target=self._write_all, name="log", daemon=True).start()

    def write(self, line: bytes) -> None:
        """Hand over one line with its end."""
        try:
            self._waiting.put_nowait(line)
        except queue.Full:
            self._dropped += 1

    def flush(self) -> None:
        """A line is on its way as soon as it is written."""

    def close(self) -> None:
        """Wait a moment for the lines that are still here."""
        until = time.monotonic() + GOODBYE_S
        with self._waiting.all_tasks_done:
            while self._waiting.unfinished_tasks and time.monotonic() < until:
                self._waiting.all_tasks_done.wait(until - time.monotonic())

    def _write_all(self) -> None:
        try:
            while True:
                line = self._waiting.get()
                dropped, self._dropped = self._dropped, 0
                if dropped:
                    line = self._dropped_line(dropped) + line
                # Past Python's buffered stdout: a thread that hung in that could end no process.
                while line:
                    line = line[os.write(self._handle, line) :]
                self._waiting.task_done()
        except OSError:
            # The reader is gone: from here on lines are only dropped.
            return
