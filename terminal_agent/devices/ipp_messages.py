"""What a kiosk says to an IPP printer and hears from it (RFC 8011, IPP Everywhere)."""

from enum import IntEnum
from typing import Final

from msgspec import Struct

from terminal_agent.devices.ipp_codec import (
    Attribute,
    Group,
    IppError,
    Message,
    Tag,
    boolean,
    decode,
    integers,
    texts,
)

PDF: Final = "application/pdf"
USER: Final = "kiosk"
"""Whose jobs they are; a printer lets others not cancel them."""


class Operation(IntEnum):
    """What can be asked for."""

    PRINT_JOB = 0x0002
    VALIDATE_JOB = 0x0004
    CREATE_JOB = 0x0005
    SEND_DOCUMENT = 0x0006
    CANCEL_JOB = 0x0008
    GET_JOB_ATTRIBUTES = 0x0009
    GET_PRINTER_ATTRIBUTES = 0x000B


class Status(IntEnum):
    """How it was answered; below 256 it was done."""

    OK = 0x0000
    BAD_REQUEST = 0x0400
    FORBIDDEN = 0x0401
    NOT_AUTHENTICATED = 0x0402
    NOT_AUTHORIZED = 0x0403
    NOT_POSSIBLE = 0x0404
    NOT_FOUND = 0x0406
    GONE = 0x0407
    TOO_LARGE = 0x0408
    FORMAT_NOT_SUPPORTED = 0x040A
    FORMAT_ERROR = 0x0411
    OPERATION_NOT_SUPPORTED = 0x0501
    SERVICE_UNAVAILABLE = 0x0502
    VERSION_NOT_SUPPORTED = 0x0503
    DEVICE_ERROR = 0x0504
    TEMPORARY_ERROR = 0x0505
    NOT_ACCEPTING = 0x0506
    BUSY = 0x0507


DONE_BELOW: Final = 0x0100


class IppState(IntEnum):
    """``printer-state``."""

    IDLE = 3
    PROCESSING = 4
    STOPPED = 5


class IppJobState(IntEnum):
    """``job-state``; from CANCELED on a job is over."""

    PENDING = 3
    HELD = 4
    PROCESSING = 5
    STOPPED = 6
    CANCELED = 7
    ABORTED = 8
    COMPLETED = 9


class PrinterFacts(Struct, frozen=True, kw_only=True):
    """What a printer says of itself."""

    state: int
    reasons: tuple[str, ...]
    accepting: bool
    formats: tuple[str, ...]


class JobFacts(Struct, frozen=True, kw_only=True):
    """What a printer says of a job."""

    number: int
    state: int
    reasons: tuple[str, ...]
    name: str

    @property
    def is_over(self) -> bool:
        """It moves no more."""
        return self.state >= IppJobState.CANCELED

    @property
    def is_printed(self) -> bool:
        """All its sheets lie in the tray. A printer that only passed the job on, or met errors,
        says *completed* too, with a reason that takes it back."""
        doubts = {"queued-in-device", "job-completed-with-errors"}
        return self.state == IppJobState.COMPLETED and not doubts & set(self.reasons)


PRINTER_FACTS: Final = (
    "printer-state",
    "printer-state-reasons",
    "printer-is-accepting-jobs",
    "document-format-supported",
)
NUMBER_MAX: Final = 2**31 - 1
JOB_FACTS: Final = ("job-id", "job-state", "job-state-reasons", "job-name")


class Requests:
    """Writes requests to one printer. Keeps nothing but their number."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._number = 0

    def ask_printer(self) -> Message:
        """Answered by what :func:`read_printer` reads."""
        wanted = texts(Tag.KEYWORD, "requested-attributes", *PRINTER_FACTS)
        return self._request(Operation.GET_PRINTER_ATTRIBUTES, wanted)

    def create_job(self, name: str, media: str) -> Message:
        """A job without a document yet; answered by what :func:`read_job` reads."""
        paper = Group(Tag.JOB, (texts(Tag.KEYWORD, "media", media),))
        named = texts(Tag.NAME, "job-name", name)
        return self._request(Operation.CREATE_JOB, _user(), named, group=paper)

    def send_document(self, job: int, pdf: bytes) -> Message:
        """The job's only document."""
        kind = texts(Tag.MIME_TYPE, "document-format", PDF)
        last = boolean("last-document", True)
        return self._request(Operation.SEND_DOCUMENT, _job(job), _user(), kind, last, document=pdf)

    def ask_job(self, job: int) -> Message:
        """Answered by what :func:`read_job` reads."""
        wanted = texts(Tag.KEYWORD, "requested-attributes", *JOB_FACTS)
        return self._request(Operation.GET_JOB_ATTRIBUTES, _job(job), _user(), wanted)

    def cancel_job(self, job: int) -> Message:
        """Print no more of it."""
        return self._request(Operation.CANCEL_JOB, _job(job), _user())

    def _request(
        self,
        operation: Operation,
        *attributes: Attribute,
        group: Group | None = None,
        document: bytes = b"",
    ) -> Message:
        """RFC 8011 wants charset, language and address first, in this order."""
        self._number = self._number % NUMBER_MAX + 1
        head = (*language(), texts(Tag.URI, "printer-uri", self._uri))
        operands = Group(Tag.OPERATION, (*head, *attributes))
        return Message(
            code=operation,
            request_id=self._number,
            groups=(operands,) if group is None else (operands, group),
            document=document,
        )


def language() -> tuple[Attribute, Attribute]:
    """What every message begins with."""
    return (
        texts(Tag.CHARSET, "attributes-charset", "utf-8"),
        texts(Tag.LANGUAGE, "attributes-natural-language", "en"),
    )


def _user() -> Attribute:
    return texts(Tag.NAME, "requesting-user-name", USER)


def _job(number: int) -> Attribute:
    return integers(Tag.INTEGER, "job-id", number)


def read_answer(request: Message, data: bytes) -> Message:
    """The answer to ``request``. Raises IppError."""
    answer = decode(data)
    if answer.request_id != request.request_id:
        raise IppError("the answer to something else")
    return answer


def read_printer(answer: Message) -> PrinterFacts:
    """What the printer says of itself. Raises IppError when it does not say its state."""
    group = answer.group(Tag.PRINTER)
    state = group.integer("printer-state")
    if state is None:
        raise IppError("no printer-state")
    return PrinterFacts(
        state=state,
        reasons=_reasons(group, "printer-state-reasons"),
        accepting=group.boolean("printer-is-accepting-jobs") is not False,
        formats=group.texts("document-format-supported"),
    )


def read_job(answer: Message) -> JobFacts:
    """What the printer says of a job. Raises IppError when it does not say number and state."""
    group = answer.group(Tag.JOB)
    number, state = group.integer("job-id"), group.integer("job-state")
    if number is None or state is None:
        raise IppError("no job-id or no job-state")
    return JobFacts(
        number=number,
        state=state,
        reasons=_reasons(group, "job-state-reasons"),
        name="".join(group.texts("job-name")[:1]),
    )


def _reasons(group: Group, name: str) -> tuple[str, ...]:
    return tuple(reason for reason in group.texts(name) if reason != "none")
