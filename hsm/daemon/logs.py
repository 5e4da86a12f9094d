"""Structured logs: one JSON object a line on stdout, the same shape as the switch's.

Nothing here is ever given a frame, a field's value or an exception's text (I12): only names of
commands and fields, codes, counts and addresses.
"""

import atexit
import json
import sys
from typing import Any, BinaryIO, cast

import structlog
from structlog.typing import EventDict
from twisted.logger import LogEvent, LogLevel, globalLogBeginner

from hsm.daemon.log_sink import LogSink


def configure() -> None:
    """Set the process's logs up, Twisted's own errors included. A reader of stdout that stops
    reading stops nothing here (see hsm.daemon.log_sink)."""
    sink = LogSink(sys.stdout.fileno(), _dropped)
    atexit.register(sink.close)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(20),
        logger_factory=structlog.BytesLoggerFactory(cast(BinaryIO, sink)),
        cache_logger_on_first_use=True,
    )
    globalLogBeginner.beginLoggingTo(
        [_twisted_error],  # type: ignore[list-item]
        redirectStandardIO=False,
        discardBuffer=True,
    )


def _render(_logger: object, _method: str, event: EventDict) -> bytes:
    return json.dumps(event, ensure_ascii=False).encode("utf-8", "backslashreplace")


def _dropped(count: int) -> bytes:
    line = {"event": "log_lines_dropped", "level": "error", "component": "hsm", "count": count}
    return json.dumps(line).encode("ascii") + b"\n"


def get_logger() -> Any:
    """The daemon's logger."""
    return structlog.get_logger(component="hsm")


def _twisted_error(event: LogEvent) -> None:
    """Hand on that Twisted caught something: its type and namespace, never its text."""
    level = event.get("log_level")
    if level is None or level < LogLevel.error:
        return
    failure: Any = event.get("log_failure")
    get_logger().error(
        "unhandled_error",
        namespace=event.get("log_namespace", ""),
        error=failure.type.__name__ if failure is not None else "",
    )
