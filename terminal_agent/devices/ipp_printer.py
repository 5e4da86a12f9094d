"""Report printers that speak IPP Everywhere, over the network or a cable.

A document is a job with a number from before its first byte is sent, so whatever gets lost on the
way, the printer can be asked what became of it. It counts as printed when the printer says that the
job is completed; nothing else is believed. A job that does not get there (no paper, too slow,
canceled) is canceled at the printer before the error is told, for nobody waits for its pages any
more: they would lie open in the tray. When the printer cannot be reached even for that, the job is
canceled as soon as it answers again.
"""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any, Final

from msgspec import Meta, Struct
from twisted.internet.defer import Deferred, DeferredLock
from twisted.python.failure import Failure

from terminal_agent.devices.interfaces import (
    Completion,
    DeviceError,
    DeviceEvent,
    PrinterState,
    State,
    Watcher,
)
from terminal_agent.devices.ipp_exchange import IppExchange, NoAnswerError, RefusalError
from terminal_agent.devices.ipp_health import FIT, health
from terminal_agent.devices.ipp_http import HttpPost, Post, split_uri
from terminal_agent.devices.ipp_messages import PDF, IppJobState, JobFacts, PrinterFacts
from terminal_agent.devices.serial_device import TURNS_MAX, Count
from terminal_agent.logs import get_logger

_log = get_logger("devices")

DOCUMENT_BYTES_MAX: Final = 16 * 1024 * 1024
NAME_LETTERS_MAX: Final = 80
REASON_LETTERS_MAX: Final = 120
"""So much of a printer's own words gets into log and error."""
UNHEARD_MAX: Final = 3
"""Questions about a job without an answer, in a row; then it is given up."""
STOPPED_MAX: Final = 2
"""Looks in a row that find the job stopped in a printer that is well; then it is given up."""
LOOKS_AFTER_CANCEL: Final = 3
"""How often a canceled job is looked at: its last page may have come out in between."""
LEFT_MAX: Final = 8
"""Jobs remembered that could not be canceled; older ones fall out."""


class IppTimes(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How patient the driver is, and what it prints on."""

    answer_timeout_ms: Count
    """Silence after a question for so long means that nobody is there."""
    print_timeout_ms: Count
    """A document that is not out by then is canceled."""
    job_poll_ms: Count
    """How often the printer is asked how a job gets on."""
    poll_ms: Count
    """How often an idle printer is asked how it is."""
    media: Annotated[str, Meta(pattern=r"^[a-z0-9._-]{1,80}$")] = "iso_a4_210x297mm"
    """The paper, by its PWG name; ``iso_a5_148x210mm`` for half sheets."""


class IppOptions(IppTimes, frozen=True, kw_only=True):
    """Where the printer is."""

    uri: str
    """``ipp://192.168.1.9:631/ipp/print``; ``ipps://…`` is TLS."""
    certificate: str = ""
    """For ``ipps``: a PEM file with the certificate that the printer must show."""

    def __post_init__(self) -> None:
        split_uri(self.uri)


def check_document(pdf: bytes) -> None:
    """Raises DeviceError(invalidData) for what is no whole PDF."""
    if len(pdf) > DOCUMENT_BYTES_MAX:
        raise DeviceError(Completion.INVALID_DATA, f"more than {DOCUMENT_BYTES_MAX} bytes")
    if not pdf.startswith(b"%PDF-") or b"%%EOF" not in pdf[-1024:]:
        raise DeviceError(Completion.INVALID_DATA, "no whole PDF")


class _Sending:
    """A document on its way. The printer may take it page by page, so the job is watched
    meanwhile."""

    def __init__(self, exchange: "Deferred[Any]") -> None:
        self.is_over = False
        self.refusal: RefusalError | None = None
        self._exchange = exchange.addCallbacks(self._done, self._failed)

    def stop(self) -> None:
        """Send no more of it."""
        if not self.is_over:
            self._exchange.cancel()

    def _done(self, _answer: object) -> None:
        self.is_over = True

    def _failed(self, failure: Failure) -> None:
        """A lost answer is no news: the job's state tells whether the document arrived."""
        self.is_over = True
        failure.trap(DeviceError)
        if isinstance(failure.value, RefusalError):
            self.refusal = failure.value


class IppPrinter:
    """One printer. ``reactor`` is the injected clock too."""

    role = "report_printer"

    def __init__(self, times: IppTimes, reactor: Any, uri: str, post: Post) -> None:
        self._times = times
        self._reactor = reactor
        self._exchange = IppExchange(uri, post, times.answer_timeout_ms)
        self._turn = DeferredLock()
        self._watchers: list[Watcher] = []
        self._state: str = State.STARTING
        self._left: deque[tuple[int, str]] = deque(maxlen=LEFT_MAX)
        self._pausing: Deferred[None] | None = None
        self._is_printing = False
        self._is_canceled = False
        self._timer: Any = None
        self._stopped = False

    # ---- what every device has -------------------------------------------------------------------

    def start(self) -> None:
        """Ask the printer how it is, now and then, until :meth:`stop`."""
        self._later(0)

    def stop(self) -> None:
        """Ask no more."""
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def status(self) -> str:
        """See Device."""
        return self._state

    def watch(self, watcher: Watcher) -> None:
        """See Device."""
        self._watchers.append(watcher)

    def cancel(self) -> None:
        """Give up the document under way; it ends with ``canceled`` unless it is out already."""
        self._is_canceled = self._is_printing
        if self._pausing is not None and not self._pausing.called:
            self._pausing.callback(None)

    # ---- ReportPrinter ---------------------------------------------------------------------------

    async def print_document(self, name: str, pdf: bytes) -> None:
        """See ReportPrinter; at most DOCUMENT_BYTES_MAX."""
        check_document(pdf)
        name = name[:NAME_LETTERS_MAX]
        async with self._turn_of_mine():
            facts = await self._look()
            self._must_be_fit()
            if PDF not in facts.formats:
                raise DeviceError(Completion.UNSUPPORTED_COMMAND, "the printer prints no PDF")
            end = self._reactor.seconds() + self._times.print_timeout_ms / 1000
            job = await self._exchange.create(name, self._times.media)
            sending = _Sending(self._exchange.send(job.number, pdf, self._times.print_timeout_ms))
            try:
                await self._until_out(job.number, sending, end)
            except DeviceError as error:
                sending.stop()
                if await self._call_back(job.number, name):
                    return
                _log.warning("report_not_printed", job=name, reason=str(error))
                raise
            sending.stop()

    async def _until_out(self, number: int, sending: _Sending, end: float) -> None:
        """Watch printer and job. Raises DeviceError when it will not be printed."""
        unheard = stopped = 0
        while True:
            await self._pause(self._times.job_poll_ms)
            if self._is_canceled:
                raise DeviceError(Completion.CANCELED, "canceled at the kiosk")
            if sending.refusal is not None:
                raise sending.refusal
            if self._reactor.seconds() >= end:
                raise DeviceError(Completion.TIME_OUT, "the document did not end")
            try:
                await self._look()
                job = await self._exchange.job(number)
            except DeviceError as error:
                # A printer that is busy with taking the document may hear nobody else.
                unheard += sending.is_over
                if error.completion is not Completion.DEVICE_NOT_READY or unheard >= UNHEARD_MAX:
                    raise
                continue
            unheard = 0
            if job.is_over:
                return _must_be_printed(job)
            self._must_be_fit()
            # The cause shows in the printer's own state, perhaps at the next look only.
            stopped = stopped + 1 if job.state == IppJobState.STOPPED else 0
            if stopped >= STOPPED_MAX:
                raise DeviceError(Completion.HARDWARE_ERROR, "the job does not move")

    async def _call_back(self, number: int, name: str) -> bool:
        """Cancel a job that nobody waits for any more. True when it was out already."""
        try:
            with suppress(RefusalError):
                await self._exchange.cancel(number)
            for _ in range(LOOKS_AFTER_CANCEL):
                job = await self._exchange.job(number)
                if job.is_over:
                    return job.is_printed
                await self._pause(self._times.job_poll_ms)
        except NoAnswerError:
            self._left.append((number, name))
        except DeviceError as error:
            _log.warning("report_not_canceled", job=name, reason=str(error))
        return False

    async def _call_back_left(self) -> None:
        """Cancel what could not be canceled before. After a power cut a printer may count from 1
        again, so the name must be the same. Raises NoAnswerError."""
        while self._left:
            number, name = self._left[0]
            try:
                job = await self._exchange.job(number)
                if job.name == name and not job.is_over:
                    await self._exchange.cancel(number)
            except RefusalError:
                pass
            self._left.popleft()

    # ---- exchanges -------------------------------------------------------------------------------

    @asynccontextmanager
    async def _turn_of_mine(self) -> AsyncIterator[None]:
        """One document at a time. Raises DeviceError when too many wait."""
        if len(self._turn.waiting) >= TURNS_MAX:
            raise DeviceError(Completion.DEVICE_NOT_READY, "too many documents wait")
        await self._turn.acquire()
        self._is_printing, self._is_canceled = True, False
        try:
            yield
        finally:
            self._is_printing = False
            self._turn.release()

    def _must_be_fit(self) -> None:
        if self._state == State.HARDWARE_ERROR:
            raise DeviceError(Completion.HARDWARE_ERROR, self._state)
        if self._state not in FIT:
            raise DeviceError(Completion.DEVICE_NOT_READY, self._state)

    async def _look(self) -> PrinterFacts:
        """Learn the printer's state. Raises NoAnswerError, RefusalError."""
        try:
            await self._call_back_left()
            facts = await self._exchange.printer()
        except NoAnswerError as error:
            self._is(State.NO_DEVICE, error.reason)
            raise
        except RefusalError as error:
            self._is(PrinterState.PAUSED, error.reason)
            raise
        self._is(health(facts), " ".join(facts.reasons)[:REASON_LETTERS_MAX])
        return facts

    # ---- the printer's life ----------------------------------------------------------------------

    def _later(self, wait_ms: int) -> None:
        if not self._stopped:
            self._timer = self._reactor.callLater(wait_ms / 1000, self._poll)

    def _poll(self) -> None:
        Deferred.fromCoroutine(self._greet()).addErrback(self._broken)

    async def _greet(self) -> None:
        """Whoever prints looks himself."""
        if not self._turn.locked:
            async with self._turn:
                with suppress(DeviceError):
                    await self._look()
        self._later(self._times.poll_ms)

    def _broken(self, failure: Failure) -> None:
        """Named boundary: a defect in a greeting is a printer that does not come up."""
        kind = type(failure.value).__name__
        _log.error("device_greeting_failed", role=self.role, kind=kind)
        self._is(State.NO_DEVICE)
        self._later(self._times.poll_ms)

    def _is(self, state: str, reason: str = "") -> None:
        if state != self._state:
            self._state = state
            _log.info(
                "device_state", role=self.role, state=state, uri=self._exchange.uri, reason=reason
            )
            for watcher in self._watchers:
                watcher(DeviceEvent(name="Common.StatusChangedEvent", detail=state))

    async def _pause(self, wait_ms: int) -> None:
        """So long, or until :meth:`cancel`."""
        self._pausing = Deferred()
        call = self._reactor.callLater(wait_ms / 1000, self._pausing.callback, None)
        await self._pausing
        self._pausing = None
        if call.active():
            call.cancel()


def over_network(options: IppOptions, reactor: Any) -> IppPrinter:
    """The printer at an address. Raises ValueError, OSError."""
    post = HttpPost(options.uri, options.certificate, reactor)
    return IppPrinter(options, reactor, options.uri, post)


def _must_be_printed(job: JobFacts) -> None:
    if job.is_printed:
        return
    if job.state == IppJobState.CANCELED:
        raise DeviceError(Completion.CANCELED, "canceled at the printer")
    reasons = " ".join(job.reasons)[:REASON_LETTERS_MAX]
    raise DeviceError(Completion.HARDWARE_ERROR, reasons or "aborted")
