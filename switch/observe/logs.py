"""Structured logs: one JSON object a line, on stdout, with an ISO time in UTC.

I12: exceptions are written without local variables, and values are masked *by type*: a
:class:`~switch.model.secret.Secret` shows ``<secret>``, raw bytes show their length only (they may
be a frame). JSON escapes CR and LF, so no field of a message can forge a line.

Lines of level error are counted by event and invariant (``yyt_alarms_total``).
"""

import json
import sys
from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache
from typing import Any, BinaryIO, cast

import msgspec
import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, FilteringBoundLogger
from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogBeginner

from switch.observe import metrics

LEVELS: Mapping[str, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}
"""The levels a configuration may name."""


def get_logger(name: str) -> FilteringBoundLogger:
    """A logger whose lines carry ``"component": name``; cheap to make at import."""
    return cast(FilteringBoundLogger, structlog.get_logger(component=name))


def configure(level: str = "info", stream: BinaryIO | None = None) -> None:
    """Set up the process's logs once, before its first line.

    ``level`` is a key of :data:`LEVELS` (KeyError otherwise); ``stream`` takes bytes and defaults
    to stdout. What Twisted reports as an error (an unhandled Deferred failure above all) becomes
    a line too.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _count,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.BytesLoggerFactory(file=stream or sys.stdout.buffer),
        cache_logger_on_first_use=True,
    )
    _listen_to_twisted()


def _masked(value: object) -> object:
    """How a value that JSON does not know is shown; types decide, never names of keys."""
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    return str(value)


_encode: Callable[[object], str] = json.JSONEncoder(
    default=_masked, ensure_ascii=False, separators=(",", ":")
).encode


def _count(_logger: object, _method: str, event: EventDict) -> EventDict:
    """The one place where an alarm becomes a figure (I15): whatever calls a person is logged as an
    error, and a line alone reaches no telephone."""
    if event["level"] == "error":
        metrics.count_alarm(event.get("event"), event.get("invariant", ""))
    return event


def _render(_logger: object, _method: str, event: EventDict) -> bytes:
    """The last processor: the line itself."""
    return _encode(event).encode("utf-8", "backslashreplace")


@cache
def _listen_to_twisted() -> None:
    """Take Twisted's errors over, once a process: it would print them to stderr as text."""
    globalLogBeginner.beginLoggingTo(
        [_twisted_error],  # type: ignore[list-item]
        redirectStandardIO=False,
        discardBuffer=True,
    )


def _twisted_error(event: LogEvent) -> None:
    """Hand on what Twisted calls an error; its ordinary chatter is dropped."""
    level = event.get("log_level")
    if level is None or level < LogLevel.error:
        return
    failure: Any = event.get("log_failure")
    get_logger("twisted").error(
        "unhandled_error",
        namespace=event.get("log_namespace", ""),
        text=formatEvent(event),
        exc_info=failure and (failure.type, failure.value, failure.getTracebackObject()),
    )
