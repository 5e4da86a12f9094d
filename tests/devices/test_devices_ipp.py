"""The report printer: the driver against its emulator over real HTTP on a loopback port."""

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from terminal_agent.devices import ipp_printer
from terminal_agent.devices.emulator import Fault
from terminal_agent.devices.interfaces import Completion, DeviceError
from terminal_agent.devices.ipp_http import ANSWER_BYTES_MAX
from terminal_agent.devices.ipp_loopback import EmulatedIppOptions, EmulatedIppPrinter
from terminal_agent.devices.ipp_printer import DOCUMENT_BYTES_MAX
from tests.devices.conftest import Bench
from tests.devices.pdf import pdf_of

NOT_READY = Completion.DEVICE_NOT_READY


class Rig:
    """Driver and emulator, joined by HTTP."""

    def __init__(self, bench: Bench, **options: Any) -> None:
        self.bench = bench
        times = {
            "answer_timeout_ms": 8000,
            "print_timeout_ms": 8000,
            "job_poll_ms": 10,
            "poll_ms": 60_000,
            "page_ms": 15,
        }
        made = EmulatedIppOptions(folder=str(bench.folder / "out"), **(times | options))
        self.printer = EmulatedIppPrinter(made, bench.reactor)
        self.emulator = self.printer.emulator
        self.events = bench.start(self.printer)

    def begin(self, pages: int = 1, name: str = "LAB-1") -> "Deferred[Any]":
        """A document under way; its end, a DeviceError included, is what the Deferred brings."""
        work = Deferred.fromCoroutine(self.printer.print_document(name, pdf_of(pages)))
        self.until_job("processing")
        return work

    def until_job(self, state: str) -> None:
        """Wait for a job to be in this state."""
        jobs = self.emulator.jobs
        self.bench.until(lambda: any(job.state.name.lower() == state for job in jobs.values()))

    def print(self, pages: int = 1, name: str = "LAB-1") -> None:
        """One document."""
        self.bench.run(self.printer.print_document(name, pdf_of(pages)))

    def ends(self, work: "Deferred[Any] | None" = None) -> tuple[Completion, str]:
        """How a document that does not print ends, and the printer's state."""
        with pytest.raises(DeviceError) as error:
            self.bench.end_of(work) if work is not None else self.print()
        return error.value.completion, self.printer.status()

    @property
    def printed(self) -> list[str]:
        """Names of what came out."""
        return [path.name for path in self.emulator.printed]

    @property
    def job_states(self) -> list[str]:
        """Of all jobs, in order."""
        return [job.state.name.lower() for job in self.emulator.jobs.values()]

    def close(self) -> None:
        """Let the sockets go."""
        self.printer.stop()
        self.bench.end_of(self.printer.cable.unplug())
        self.bench.settle()


@pytest.fixture
def rig(bench: Bench) -> Iterator[Rig]:
    """A printer with paper."""
    made = Rig(bench)
    yield made
    made.close()


def test_a_document_comes_out(rig: Rig) -> None:
    """Byte for byte, the next one of the same name beside it, after all its pages."""
    rig.print(pages=3)
    rig.print()

    assert rig.printer.status() == "online"
    assert rig.printed == ["LAB-1.1.pdf", "LAB-1.2.pdf"]
    assert rig.emulator.printed[0].read_bytes() == pdf_of(3)
    assert [job.pages_out for job in rig.emulator.jobs.values()] == [3, 1]


def test_a_document_as_large_as_may_be(rig: Rig) -> None:
    """Sixteen MiB arrive; one byte more does not leave the kiosk."""
    head, rest = pdf_of(1).split(b"\n", 1)
    filling = b"x" * (DOCUMENT_BYTES_MAX - len(head) - len(rest) - 3)
    largest = head + b"\n%" + filling + b"\n" + rest
    rig.bench.run(rig.printer.print_document("LAB-1", largest))
    assert rig.emulator.printed[0].stat().st_size == DOCUMENT_BYTES_MAX

    with pytest.raises(DeviceError, match="invalidData"):
        rig.bench.run(rig.printer.print_document("LAB-2", largest + b"\n"))
    assert len(rig.emulator.jobs) == 1


@pytest.mark.parametrize("document", [b"", b"\x89PNG %%EOF", b"\n" + pdf_of(1), pdf_of(1)[:-8]])
def test_what_is_no_whole_pdf_is_not_sent(rig: Rig, document: bytes) -> None:
    """Nothing, a picture, something before it, its end cut off: no job."""
    with pytest.raises(DeviceError, match="invalidData"):
        rig.bench.run(rig.printer.print_document("LAB-1", document))
    assert rig.emulator.jobs == {}


@pytest.mark.parametrize(
    ("hand", "value", "word"),
    [
        ("pages_left", 0, "paperOut"),
        ("cover_open", True, "coverOpen"),
        ("jammed", True, "paperJam"),
        ("paused", True, "paused"),
    ],
)
def test_a_printer_that_cannot_print_gets_no_job(
    rig: Rig, hand: str, value: object, word: str
) -> None:
    """The error is the state's word; put right, it prints."""
    setattr(rig.emulator, hand, value)
    with pytest.raises(DeviceError, match=f"deviceNotReady: {word}"):
        rig.print()
    assert rig.printer.status() == word
    assert rig.emulator.jobs == {}

    rig.emulator.go_on()
    rig.print()
    assert rig.printed == ["LAB-1.1.pdf"]


@pytest.mark.parametrize(("hand", "word"), [("near_end", "paperLow"), ("toner_low", "tonerLow")])
def test_what_gets_low_still_prints(bench: Bench, hand: str, word: str) -> None:
    """And the attendant hears of it by himself."""
    rig = Rig(bench, poll_ms=20)
    setattr(rig.emulator, hand, True)
    bench.until(lambda: rig.printer.status() == word)
    rig.print()

    assert [event.detail for event in rig.events] == ["online", word]
    assert rig.printed == ["LAB-1.1.pdf"]
    rig.close()


def test_K10_paper_that_ends_within_a_report(rig: Rig) -> None:
    """It is not taken for printed, and does not come out either when somebody brings paper: the
    patient has gone."""
    rig.emulator.pages_left = 1
    assert rig.ends(rig.begin(pages=3)) == (NOT_READY, "paperOut")
    assert rig.job_states == ["canceled"]

    rig.emulator.go_on()
    rig.print(name="LAB-2")
    assert rig.printed == ["LAB-2.1.pdf"]


def test_an_aborted_job_is_not_printed(rig: Rig) -> None:
    """hardwareError; the next one prints."""
    rig.emulator.aborts = 1
    assert rig.ends() == (Completion.HARDWARE_ERROR, "online")
    rig.print()
    assert rig.job_states == ["aborted", "completed"]


def test_a_queue_is_no_printer(rig: Rig) -> None:
    """*completed* that means *passed on* is not believed."""
    rig.emulator.passes_on = True
    with pytest.raises(DeviceError, match="hardwareError: queued-in-device"):
        rig.print()


def test_a_slow_printer(bench: Bench) -> None:
    """Not out in time: timeOut, and the job is canceled."""
    rig = Rig(bench, print_timeout_ms=150, page_ms=5000)
    assert rig.ends() == (Completion.TIME_OUT, "online")
    assert rig.job_states == ["canceled"]
    rig.close()


def test_out_at_the_last_moment(bench: Bench) -> None:
    """Canceled by the patient when the last page is out: it is printed, and says so."""
    rig = Rig(bench, job_poll_ms=60_000)
    work = rig.begin()
    bench.until(lambda: rig.job_states == ["completed"])
    rig.printer.cancel()
    bench.end_of(work)
    rig.close()


def test_canceled_by_the_patient(rig: Rig) -> None:
    """canceled; a cancel when nothing prints does nothing to the next one."""
    rig.emulator.page_ms = 5000
    work = rig.begin()
    rig.printer.cancel()
    assert rig.ends(work) == (Completion.CANCELED, "online")
    assert rig.job_states == ["canceled"]

    rig.emulator.page_ms = 15
    rig.printer.cancel()
    rig.print()


def test_canceled_at_the_printer(rig: Rig) -> None:
    """Somebody pressed its button."""
    rig.emulator.page_ms = 5000
    work = rig.begin()
    rig.emulator.cancel_at_printer()
    assert rig.ends(work) == (Completion.CANCELED, "online")


def test_one_document_at_a_time(rig: Rig) -> None:
    """The second waits; when too many do, one more is refused."""
    works = [
        Deferred.fromCoroutine(rig.printer.print_document(f"LAB-{number}", pdf_of(1)))
        for number in range(ipp_printer.TURNS_MAX + 2)
    ]
    with pytest.raises(DeviceError, match="too many documents wait"):
        rig.bench.end_of(works.pop())
    for work in works:
        rig.bench.end_of(work)
    assert len(rig.printed) == len(works)


@pytest.mark.parametrize("fault", [Fault.SILENT, Fault.GARBAGE, Fault.HALF, Fault.SPLIT])
def test_bad_answers_before_the_job(bench: Bench, fault: Fault) -> None:
    """Silence, noise, half an answer: noDevice and no job. In pieces is no fault. Found again at
    the next look."""
    rig = Rig(bench, answer_timeout_ms=1000)
    rig.emulator.misbehave(fault)
    if fault is not Fault.SPLIT:
        assert rig.ends() == (NOT_READY, "noDevice")
        assert rig.emulator.jobs == {}
    rig.print()
    assert rig.printer.status() == "online"
    rig.close()


@pytest.mark.parametrize("fault", [Fault.SILENT, Fault.GARBAGE, Fault.HALF])
def test_lost_answers_within_the_job(bench: Bench, fault: Fault) -> None:
    """The answer to the document itself and a question's are lost: the job's number is known, so
    its end is still heard."""
    rig = Rig(bench, answer_timeout_ms=1000)
    rig.emulator.misbehave(Fault.NONE, Fault.NONE, fault, fault)
    rig.print(pages=2)
    assert rig.printed == ["LAB-1.1.pdf"]
    rig.close()


def test_unplugged_within_the_job_and_back(bench: Bench) -> None:
    """deviceNotReady soon; when it is there again the job that nobody waits for is canceled before
    its pages come out, and no other job is."""
    rig = Rig(bench, poll_ms=20, page_ms=60_000)
    work = rig.begin()
    bench.end_of(rig.printer.cable.unplug())
    assert rig.ends(work) == (NOT_READY, "noDevice")
    assert rig.job_states == ["processing"]

    rig.printer.cable.plug()
    rig.until_job("canceled")
    bench.until(lambda: rig.printer.status() == "online")
    rig.emulator.page_ms = 15
    rig.print(name="LAB-2")
    assert rig.printed == ["LAB-2.1.pdf"]
    rig.close()


def test_a_number_that_means_another_job_by_now(bench: Bench) -> None:
    """A printer that lost its power counts from 1 again: only a job of the same name is ended."""
    rig = Rig(bench, poll_ms=20, page_ms=60_000)
    work = rig.begin(name="LAB-1")
    bench.end_of(rig.printer.cable.unplug())
    rig.ends(work)
    rig.emulator.jobs[1].name = "somebody else's"

    rig.printer.cable.plug()
    bench.until(lambda: rig.printer.status() == "online")
    assert rig.job_states == ["processing"]
    rig.emulator.cancel_at_printer()
    rig.close()


def test_a_printer_without_pdf(rig: Rig) -> None:
    """IPP Everywhere does not demand PDF: it is said before anything is sent."""
    rig.emulator.formats = ("image/pwg-raster",)
    assert rig.ends() == (Completion.UNSUPPORTED_COMMAND, "online")
    assert rig.emulator.jobs == {}


def test_a_web_server_that_is_no_printer(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """noDevice, with its status in the log for whoever installs the kiosk."""
    rig.printer.cable.http_status = 426
    assert rig.ends() == (NOT_READY, "noDevice")
    assert "HTTP 426" in capsys.readouterr().out


def test_I11_an_endless_answer_is_cut(rig: Rig) -> None:
    """More bytes than a printer may say end the connection, and cost no more memory."""
    rig.emulator.answer = lambda _data: rig.emulator.send(  # type: ignore[method-assign]
        b"\x02\x00" * ANSWER_BYTES_MAX
    )
    assert rig.ends() == (NOT_READY, "noDevice")


def test_a_printer_with_too_much_to_do(rig: Rig) -> None:
    """Its refusal is deviceNotReady."""
    rig.emulator.fill()
    with pytest.raises(DeviceError, match="deviceNotReady: IPP status 0507"):
        rig.print()


def test_no_more_than_so_many_documents_are_kept(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator's folder does not grow for ever."""
    monkeypatch.setattr("terminal_agent.devices.ipp_emulator.JOBS_MAX", 2)
    for number in range(4):
        rig.print(name=f"LAB-{number}")
    assert sorted(path.name for path in (rig.bench.folder / "out").iterdir()) == [
        "LAB-2.1.pdf",
        "LAB-3.1.pdf",
    ]
