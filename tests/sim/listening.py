"""What the product says about itself while it is simulated: defects are findings too.

The product must live on after a defect of its own; the simulator must not let it pass.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from twisted.logger import LogEvent, globalLogPublisher

DEFECTS = frozenset(
    {
        "answer_failed",
        "driver_failed",
        "echo_failed",
        "exchange_defect",
        "prepare_defect",
        "sign_on_defect",
        "start_failed",
    }
)
"""Events that say "a defect of ours"."""


@contextmanager
def listening() -> Iterator[list[str]]:
    """Collects defects and Twisted's unhandled errors; drops whatever else is logged."""
    heard: list[str] = []

    def collect(_logger: object, _method: str, event: dict[str, Any]) -> dict[str, Any]:
        if event.get("event") in DEFECTS:
            heard.append(f"{event.get('event')}: {event.get('error', '')}")
        raise structlog.DropEvent

    def unhandled(event: LogEvent) -> None:
        failure = event.get("log_failure")
        if failure is not None:
            heard.append(f"unhandled: {failure.getErrorMessage()} {failure.getTraceback()}")

    before = structlog.get_config()
    kept = before["processors"][:]
    before["processors"][:] = [collect]  # for loggers that were made before, and remember it
    structlog.configure(
        processors=[collect],
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        cache_logger_on_first_use=False,
    )
    globalLogPublisher.addObserver(unhandled)
    try:
        yield heard
    finally:
        globalLogPublisher.removeObserver(unhandled)
        before["processors"][:] = kept
        structlog.configure(**before)
