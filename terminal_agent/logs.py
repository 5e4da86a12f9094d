"""JSON lines on stdout in the house's shape (``event``, ``level``, ``ts``, ``component``).

I12: no local variables in tracebacks, and what JSON does not know is shown through its own
``repr``, which masks card secrets.
"""

import sys
from typing import Any, cast

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import FilteringBoundLogger
from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogBeginner


def get_logger(name: str) -> FilteringBoundLogger:
    """A logger whose lines carry ``"component": name``."""
    return cast(FilteringBoundLogger, structlog.get_logger(component=name))


def configure(*, errors_only: bool = False) -> None:
    """Set up the process's logs once, before its first line. ``errors_only`` is for commands whose
    output is something else."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(default=str, ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(40 if errors_only else 20),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=True,
    )
    observers: Any = [_twisted_error]
    globalLogBeginner.beginLoggingTo(observers, redirectStandardIO=False, discardBuffer=True)


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
