"""JSON lines on stdout in the house's shape (``event``, ``level``, ``ts``, ``component``).

I12: no local variables in tracebacks, and what JSON does not know is shown through its own
``repr``, which masks card secrets. The last lines are kept in memory too, for the switch's command
``logs``; what an exception or a library says in its own words is left out of those, since nobody
can promise what it holds.
"""

import io
import sys
from collections import deque
from collections.abc import Mapping
from typing import Any, cast

import msgspec
import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, FilteringBoundLogger
from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogBeginner

from terminal_agent.protocol import LOG_CHARS_MAX

LINE_CHARACTERS_MAX = 2_000


class Ring:
    """The last lines, at most LOG_CHARS_MAX characters of them (I11)."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque()
        self._characters = 0

    def add(self, event: Mapping[str, Any]) -> None:
        """Keep a line; a very long one only as a sign that it was there."""
        kept = {name: value for name, value in event.items() if name not in _FREE_WORDS}
        if "exception" in event:
            kept["exception"] = [_places(one) for one in event["exception"]]
        line = msgspec.json.encode(kept, enc_hook=str).decode()
        if len(line) > LINE_CHARACTERS_MAX:
            short = {"event": str(event.get("event"))[:64], "ts": event.get("ts"), "cut": True}
            line = msgspec.json.encode(short).decode()
        self._lines.append(line)
        self._characters += len(line) + 1
        while self._characters > LOG_CHARS_MAX:
            self._characters -= len(self._lines.popleft()) + 1

    def tail(self, bytes_max: int) -> str:
        """The newest lines that need no more bytes than these inside a JSON text."""
        found: list[str] = []
        for line in reversed(self._lines):
            bytes_max -= len(msgspec.json.encode(line))
            if bytes_max < 0:
                break
            found.append(line)
        return "\n".join(reversed(found))


_FREE_WORDS = frozenset({"exception", "text"})
RING = Ring()
"""The process's last lines."""


def get_logger(name: str) -> FilteringBoundLogger:
    """A logger whose lines carry ``"component": name``."""
    return cast(FilteringBoundLogger, structlog.get_logger(component=name))


def configure(*, errors_only: bool = False) -> None:
    """Set up the process's logs once, before its first line. ``errors_only`` is for commands whose
    output is something else."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A Windows code page lacks letters of a patient's hospital; a line must never fail.
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            _remember,
            structlog.processors.JSONRenderer(default=str, ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(40 if errors_only else 20),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=True,
    )
    observers: Any = [_twisted_error]
    globalLogBeginner.beginLoggingTo(observers, redirectStandardIO=False, discardBuffer=True)


def _remember(_logger: object, _method: str, event: EventDict) -> EventDict:
    RING.add(event)
    return event


def _places(raised: Mapping[str, Any]) -> dict[str, Any]:
    """Kind and places of an exception, without its words."""
    frames = [f"{frame['filename']}:{frame['lineno']}" for frame in raised.get("frames", ())]
    return {"exc_type": raised.get("exc_type"), "frames": frames}


def _twisted_error(event: LogEvent) -> None:
    level = event.get("log_level")
    if level is None or level < LogLevel.error:
        return
    failure: Any = event.get("log_failure")
    get_logger("twisted").error(
        "unhandled_error",
        text=formatEvent(event),
        exc_info=failure and (failure.type, failure.value, failure.getTracebackObject()),
    )
