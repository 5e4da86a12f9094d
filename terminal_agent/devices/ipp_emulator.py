"""A report printer without hardware: the answers of an IPP printer. Documents that come out lie in
a folder; its paper ends, its cover opens, it is slow, aborts jobs, talks nonsense."""

import itertools
import re
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, structs

from terminal_agent.devices.emulator import Emulator
from terminal_agent.devices.ipp_codec import (
    Attribute,
    Group,
    IppError,
    Message,
    Tag,
    boolean,
    decode,
    encode,
    integers,
    texts,
)
from terminal_agent.devices.ipp_messages import (
    PDF,
    IppJobState,
    IppState,
    Operation,
    Status,
    language,
)

WAITING_MAX: Final = 4
"""Jobs that are not over; for more the printer is busy."""
JOBS_MAX: Final = 100
"""Jobs remembered and documents kept; older ones are thrown away."""
MEDIA: Final = ("iso_a4_210x297mm", "iso_a5_148x210mm")
_PAGE: Final = re.compile(rb"/Type\s*/Page(?![A-Za-z])")
_NO_LETTER: Final = re.compile(r"[^A-Za-z0-9._-]")


class Job(Struct, kw_only=True):
    """One job; its document is forgotten once it is over."""

    number: int
    name: str
    state: IppJobState = IppJobState.HELD
    reason: str = "job-incoming"
    document: bytes = b""
    pages: int = 1
    pages_out: int = 0

    @property
    def is_over(self) -> bool:
        """It moves no more."""
        return self.state >= IppJobState.CANCELED


class IppEmulator(Emulator):
    """The printer's end: requests in, answers out."""

    def __init__(self, reactor: Any, folder: Path, page_ms: int) -> None:
        super().__init__()
        self._reactor = reactor
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.jobs: dict[int, Job] = {}
        """By number; of those that are over, the last ones."""
        self._kept: deque[Path] = deque()
        self._waiting: deque[Job] = deque()
        self._working: Job | None = None
        self._timer: Any = None
        self._number = 0
        self.uri = ""
        self.page_ms = page_ms
        self.pages_left: int | None = None
        """How much paper there is; None: plenty."""
        self.formats: tuple[str, ...] = (PDF,)
        self.near_end = False
        self.toner_low = False
        self.cover_open = False
        self.jammed = False
        self.paused = False
        self.aborts = 0
        """So many of the next jobs are aborted."""
        self.passes_on = False
        """A queue in front of some other printer: it says *completed* and means *queued*."""
        self._operations: dict[int, Callable[[Message], Message]] = {
            Operation.GET_PRINTER_ATTRIBUTES: self._tell_printer,
            Operation.VALIDATE_JOB: lambda _message: _answer(Status.OK),
            Operation.PRINT_JOB: self._print_job,
            Operation.CREATE_JOB: self._create_job,
            Operation.SEND_DOCUMENT: self._send_document,
            Operation.GET_JOB_ATTRIBUTES: self._tell_job,
            Operation.CANCEL_JOB: self._cancel_job,
        }

    @property
    def printed(self) -> list[Path]:
        """The documents that came out."""
        return list(self._kept)

    def go_on(self) -> None:
        """Somebody put right what was wrong; the job that waited for it goes on."""
        self.pages_left = None
        self.cover_open = self.jammed = self.paused = False
        job = self._working
        if job is not None and job.state == IppJobState.STOPPED:
            self._work(job)

    def cancel_at_printer(self) -> None:
        """Somebody presses its button."""
        if self._working is not None:
            self._end(self._working, IppJobState.CANCELED, "job-canceled-at-device")

    def fill(self) -> None:
        """Other people's jobs, as many as it takes."""
        for number in range(-WAITING_MAX, 0):
            self.jobs[number] = Job(number=number, name="somebody else's")

    def received(self, data: bytes) -> None:
        """One request."""
        try:
            message = decode(data)
        except IppError:
            self.answer(encode(Message(code=Status.BAD_REQUEST, request_id=1, groups=())))
            return
        answer = self._do(message)
        if answer.code != Status.VERSION_NOT_SUPPORTED:
            answer = structs.replace(answer, version=message.version)
        self.answer(encode(structs.replace(answer, request_id=message.request_id)))

    def _do(self, message: Message) -> Message:
        if message.version[0] not in (1, 2):
            return _answer(Status.VERSION_NOT_SUPPORTED)
        names = [attribute.name for attribute in message.group(Tag.OPERATION).attributes]
        if names[:2] != [attribute.name for attribute in language()]:
            return _answer(Status.BAD_REQUEST)
        do = self._operations.get(message.code)
        return do(message) if do is not None else _answer(Status.OPERATION_NOT_SUPPORTED)

    # ---- printer ---------------------------------------------------------------------------------

    def _troubles(self) -> list[str]:
        wrong = {
            "media-jam-error": self.jammed,
            "cover-open-error": self.cover_open,
            "media-empty-error": self.pages_left is not None and self.pages_left <= 0,
            "paused": self.paused,
        }
        return [reason for reason, holds in wrong.items() if holds]

    def _tell_printer(self, message: Message) -> Message:
        troubles = self._troubles()
        low = {"media-low-warning": self.near_end, "toner-low-warning": self.toner_low}
        reasons = [*troubles, *(reason for reason, holds in low.items() if holds)]
        works = IppState.PROCESSING if self._working else IppState.IDLE
        found = (
            texts(Tag.URI, "printer-uri-supported", self.uri),
            texts(Tag.KEYWORD, "uri-security-supported", "none"),
            texts(Tag.KEYWORD, "uri-authentication-supported", "none"),
            texts(Tag.NAME, "printer-name", "report printer"),
            integers(Tag.ENUM, "printer-state", IppState.STOPPED if troubles else works),
            texts(Tag.KEYWORD, "printer-state-reasons", *(reasons or ["none"])),
            boolean("printer-is-accepting-jobs", not self.paused),
            integers(Tag.INTEGER, "queued-job-count", len(self._waiting) + bool(self._working)),
            texts(Tag.KEYWORD, "ipp-versions-supported", "1.1", "2.0"),
            integers(Tag.ENUM, "operations-supported", *self._operations),
            texts(Tag.CHARSET, "charset-configured", "utf-8"),
            texts(Tag.CHARSET, "charset-supported", "utf-8"),
            texts(Tag.LANGUAGE, "natural-language-configured", "en"),
            texts(Tag.LANGUAGE, "generated-natural-language-supported", "en"),
            texts(Tag.MIME_TYPE, "document-format-default", PDF),
            texts(Tag.MIME_TYPE, "document-format-supported", *self.formats),
            texts(Tag.KEYWORD, "pdl-override-supported", "attempted"),
            texts(Tag.KEYWORD, "compression-supported", "none"),
            texts(Tag.KEYWORD, "media-default", MEDIA[0]),
            texts(Tag.KEYWORD, "media-supported", *MEDIA),
            integers(Tag.INTEGER, "printer-up-time", int(self._reactor.seconds()) + 1),
        )
        return _answer(Status.OK, Group(Tag.PRINTER, _wanted(message, found)))

    # ---- jobs ------------------------------------------------------------------------------------

    def _create_job(self, message: Message) -> Message:
        if self.paused:
            return _answer(Status.NOT_ACCEPTING)
        if sum(not job.is_over for job in self.jobs.values()) >= WAITING_MAX:
            return _answer(Status.BUSY)
        self._number += 1
        name = "".join(message.group(Tag.OPERATION).texts("job-name")[:1])
        job = Job(number=self._number, name=name or "untitled")
        self.jobs[job.number] = job
        while len(self.jobs) > JOBS_MAX:
            del self.jobs[next(iter(self.jobs))]
        return self._answer_job(message, job)

    def _print_job(self, message: Message) -> Message:
        if _format(message) not in self.formats:
            return _answer(Status.FORMAT_NOT_SUPPORTED)
        created = self._create_job(message)
        job = self.jobs.get(self._number)
        if created.code != Status.OK or job is None:
            return created
        self._take(job, message.document)
        return self._answer_job(message, job)

    def _send_document(self, message: Message) -> Message:
        job = self._job_of(message)
        if job is None:
            return _answer(Status.NOT_FOUND)
        if job.state != IppJobState.HELD:
            return _answer(Status.NOT_POSSIBLE)
        if _format(message) not in self.formats:
            return _answer(Status.FORMAT_NOT_SUPPORTED)
        self._take(job, message.document)
        return self._answer_job(message, job)

    def _tell_job(self, message: Message) -> Message:
        job = self._job_of(message)
        return _answer(Status.NOT_FOUND) if job is None else self._answer_job(message, job)

    def _cancel_job(self, message: Message) -> Message:
        job = self._job_of(message)
        if job is None:
            return _answer(Status.NOT_FOUND)
        if job.is_over:
            return _answer(Status.NOT_POSSIBLE)
        self._end(job, IppJobState.CANCELED, "job-canceled-by-user")
        return _answer(Status.OK)

    def _job_of(self, message: Message) -> Job | None:
        group = message.group(Tag.OPERATION)
        number = group.integer("job-id")
        if number is None:
            last = "".join(group.texts("job-uri")[:1]).rpartition("/")[2]
            number = int(last) if last.isdecimal() else 0
        return self.jobs.get(number)

    def _answer_job(self, message: Message, job: Job) -> Message:
        found = (
            integers(Tag.INTEGER, "job-id", job.number),
            texts(Tag.URI, "job-uri", f"{self.uri}/{job.number}"),
            texts(Tag.URI, "job-printer-uri", self.uri),
            texts(Tag.NAME, "job-name", job.name),
            integers(Tag.ENUM, "job-state", job.state),
            texts(Tag.KEYWORD, "job-state-reasons", job.reason),
            integers(Tag.INTEGER, "job-impressions-completed", job.pages_out),
        )
        asked = message.code == Operation.GET_JOB_ATTRIBUTES
        return _answer(Status.OK, Group(Tag.JOB, _wanted(message, found) if asked else found))

    # ---- paper -----------------------------------------------------------------------------------

    def _take(self, job: Job, document: bytes) -> None:
        job.document = document
        job.pages = max(1, len(_PAGE.findall(document)))
        job.state, job.reason = IppJobState.PENDING, "none"
        self._waiting.append(job)
        self._next()

    def _next(self) -> None:
        while self._working is None and self._waiting:
            job = self._waiting.popleft()
            if not job.is_over:
                self._working = job
                self._work(job)

    def _work(self, job: Job) -> None:
        job.state, job.reason = IppJobState.PROCESSING, "job-printing"
        self._timer = self._reactor.callLater(self.page_ms / 1000, self._page, job)

    def _page(self, job: Job) -> None:
        if self._troubles():
            job.state, job.reason = IppJobState.STOPPED, "printer-stopped"
            return
        if self.aborts:
            self.aborts -= 1
            self._end(job, IppJobState.ABORTED, "aborted-by-system")
            return
        if self.pages_left is not None:
            self.pages_left -= 1
        job.pages_out += 1
        if job.pages_out < job.pages:
            self._work(job)
            return
        self._keep(job)
        done = "queued-in-device" if self.passes_on else "job-completed-successfully"
        self._end(job, IppJobState.COMPLETED, done)

    def _end(self, job: Job, state: IppJobState, reason: str) -> None:
        job.state, job.reason, job.document = state, reason, b""
        if self._working is job:
            self._working = None
            if self._timer.active():
                self._timer.cancel()
            self._next()

    def _keep(self, job: Job) -> None:
        """The next file of this name."""
        name = _NO_LETTER.sub("_", job.name)
        copies = (self._folder / f"{name}.{copy}.pdf" for copy in itertools.count(1))
        path = next(path for path in copies if not path.exists())
        path.write_bytes(job.document)
        self._kept.append(path)
        if len(self._kept) > JOBS_MAX:
            self._kept.popleft().unlink(missing_ok=True)


def _answer(status: Status, *groups: Group) -> Message:
    return Message(code=status, request_id=0, groups=(Group(Tag.OPERATION, language()), *groups))


def _format(message: Message) -> str:
    return "".join(message.group(Tag.OPERATION).texts("document-format")[:1]) or PDF


def _wanted(message: Message, found: tuple[Attribute, ...]) -> tuple[Attribute, ...]:
    """What was asked for; a group's name (``all`` …) is everything."""
    asked = set(message.group(Tag.OPERATION).texts("requested-attributes"))
    if not asked or asked & {"all", "printer-description", "job-description"}:
        return found
    return tuple(attribute for attribute in found if attribute.name in asked)
