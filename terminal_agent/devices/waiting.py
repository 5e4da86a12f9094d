"""Waiting for a person, with an end."""

from typing import Any

from twisted.internet.defer import Deferred, TimeoutError  # noqa: A004 - Twisted's own name
from twisted.python.failure import Failure

from terminal_agent.devices.interfaces import Completion, DeviceError


class Waiting:
    """Makes Deferreds that end with ``timeOut`` by themselves. ``reactor`` has callLater."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def until(self, timeout_ms: int, text: str) -> "Deferred[Any]":
        """A Deferred that someone fires, or that fails with DeviceError(timeOut, text)."""

        def ended(failure: Failure) -> Failure:
            if failure.check(TimeoutError):
                raise DeviceError(Completion.TIME_OUT, text)
            return failure

        waiting: Deferred[Any] = Deferred()
        waiting.addTimeout(timeout_ms / 1000, self._reactor)
        waiting.addErrback(ended)
        return waiting
