"""Questions to one IPP printer and its answers, read and judged."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from terminal_agent.devices.interfaces import Completion, DeviceError, State
from terminal_agent.devices.ipp_codec import IppError, Message, encode
from terminal_agent.devices.ipp_http import Post, Unheard
from terminal_agent.devices.ipp_messages import (
    DONE_BELOW,
    JobFacts,
    PrinterFacts,
    Requests,
    Status,
    read_answer,
    read_job,
    read_printer,
)

Facts = TypeVar("Facts")

REFUSALS: Final[dict[int, Completion]] = {
    Status.FORBIDDEN: Completion.AUTHORISATION_REQUIRED,
    Status.NOT_AUTHENTICATED: Completion.AUTHORISATION_REQUIRED,
    Status.NOT_AUTHORIZED: Completion.AUTHORISATION_REQUIRED,
    Status.TOO_LARGE: Completion.INVALID_DATA,
    Status.FORMAT_NOT_SUPPORTED: Completion.UNSUPPORTED_COMMAND,
    Status.FORMAT_ERROR: Completion.INVALID_DATA,
    Status.SERVICE_UNAVAILABLE: Completion.DEVICE_NOT_READY,
    Status.TEMPORARY_ERROR: Completion.DEVICE_NOT_READY,
    Status.NOT_ACCEPTING: Completion.DEVICE_NOT_READY,
    Status.BUSY: Completion.DEVICE_NOT_READY,
}
"""Status → how the command ends; every other refusal is hardwareError."""


class NoAnswerError(DeviceError):
    """Nobody answered, or with nonsense; ``reason`` is for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(Completion.DEVICE_NOT_READY, State.NO_DEVICE)
        self.reason = reason


class RefusalError(DeviceError):
    """The printer answered no."""

    def __init__(self, status: int) -> None:
        self.reason = f"IPP status {status:04x}"
        super().__init__(REFUSALS.get(status, Completion.HARDWARE_ERROR), self.reason)


class IppExchange:
    """One printer to talk to. All methods raise, or fail with, NoAnswerError and RefusalError."""

    def __init__(self, uri: str, post: Post, answer_timeout_ms: int) -> None:
        self.uri = uri
        self._post = post
        self._requests = Requests(uri)
        self._timeout_ms = answer_timeout_ms

    async def printer(self) -> PrinterFacts:
        """How it is."""
        return _read(read_printer, await self._ask(self._requests.ask_printer()))

    async def create(self, name: str, media: str) -> JobFacts:
        """A new job that waits for its document."""
        return _read(read_job, await self._ask(self._requests.create_job(name, media)))

    def send(self, number: int, pdf: bytes, timeout_ms: int) -> "Deferred[Message]":
        """The job's document; cancelling it drops the connection."""
        return self._exchange(self._requests.send_document(number, pdf), timeout_ms)

    async def job(self, number: int) -> JobFacts:
        """How a job is."""
        return _read(read_job, await self._ask(self._requests.ask_job(number)))

    async def cancel(self, number: int) -> None:
        """Print no more of a job."""
        await self._ask(self._requests.cancel_job(number))

    async def _ask(self, request: Message) -> Message:
        return await self._exchange(request, self._timeout_ms)

    def _exchange(self, request: Message, timeout_ms: int) -> "Deferred[Message]":
        def heard(data: bytes) -> Message:
            answer = _read(lambda found: read_answer(request, found), data)
            if answer.code >= DONE_BELOW:
                raise RefusalError(answer.code)
            return answer

        return self._post(encode(request), timeout_ms).addCallbacks(heard, _unheard)


def _read(read: Callable[[Any], Facts], found: Any) -> Facts:
    try:
        return read(found)
    except IppError as error:
        raise NoAnswerError(str(error)) from None


def _unheard(failure: Failure) -> Message:
    failure.trap(Unheard, CancelledError)
    raise NoAnswerError(str(failure.value) or "stopped")
