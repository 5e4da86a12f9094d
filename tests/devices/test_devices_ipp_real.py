"""Real parts on one side each: the driver prints to ``ippeveprinter``, and ``ipptool`` prints to
the emulator."""

import datetime
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet.defer import Deferred

from terminal_agent.devices.interfaces import Completion, DeviceError
from terminal_agent.devices.ipp_loopback import EmulatedIppOptions, EmulatedIppPrinter
from terminal_agent.devices.ipp_printer import IppOptions, IppPrinter, over_network
from tests.devices.conftest import Bench
from tests.devices.ippeve import EvePrinter
from tests.devices.pdf import pdf_of

TIMES: dict[str, Any] = {
    "answer_timeout_ms": 3000,
    "print_timeout_ms": 8000,
    "job_poll_ms": 50,
    "poll_ms": 60_000,
}


@pytest.fixture
def eve(bench: Bench) -> Iterator[EvePrinter]:
    """A real printer; its two processes take a tenth of a second."""
    with tempfile.TemporaryDirectory() as folder:
        made = EvePrinter(bench, Path(folder))
        try:
            made.start()
            yield made
        finally:
            made.stop()


def driver(bench: Bench, uri: str, certificate: str = "") -> IppPrinter:
    """The driver, and its first look at the printer."""
    made = over_network(IppOptions(uri=uri, certificate=certificate, **TIMES), bench.reactor)
    bench.start(made)
    return made


def another_certificate() -> bytes:
    """Of another printer with the same name, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


def test_a_real_printer(bench: Bench, eve: EvePrinter) -> None:
    """It prints, byte for byte; a job that fails there is not printed; a warning is *low*, and a
    job canceled at the kiosk is canceled there."""
    printer = driver(bench, f"ipp://127.0.0.1:{eve.port}/ipp/print")
    assert printer.status() == "online"
    bench.run(printer.print_document("LAB-1", pdf_of(2)))
    assert eve.printed == [pdf_of(2)]

    eve.mode("fail")
    with pytest.raises(DeviceError) as failed:
        bench.run(printer.print_document("LAB-2", pdf_of(1)))
    assert failed.value.completion is Completion.HARDWARE_ERROR

    eve.mode("wait")
    work = Deferred.fromCoroutine(printer.print_document("LAB-3", pdf_of(1)))
    bench.until(lambda: printer.status() == "paperLow")
    printer.cancel()
    with pytest.raises(DeviceError) as canceled:
        bench.end_of(work)
    assert canceled.value.completion is Completion.CANCELED


def test_a_real_printer_over_tls(
    bench: Bench, eve: EvePrinter, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its own certificate in a file it prints; to a holder of another one nothing is said."""
    port = eve.port
    own, other = eve.folder / "printer.pem", eve.folder / "other.pem"
    own.write_text(ssl.get_server_certificate(("127.0.0.1", port), timeout=10))
    other.write_bytes(another_certificate())

    printer = driver(bench, f"ipps://127.0.0.1:{port}/ipp/print", str(own))
    bench.run(printer.print_document("LAB-1", pdf_of(1)))
    assert eve.printed == [pdf_of(1)]

    stranger = driver(bench, f"ipps://127.0.0.1:{port}/ipp/print", str(other))
    assert stranger.status() == "noDevice"
    assert "OpenSSL.SSL.Error" in capsys.readouterr().out
    with pytest.raises(DeviceError, match="noDevice"):
        bench.run(stranger.print_document("LAB-2", pdf_of(1)))
    assert len(eve.printed) == 1


@pytest.mark.parametrize("script", ["validate-job.test", "print-job.test", "create-job.test"])
def test_the_emulator_is_a_printer_to_others(bench: Bench, script: str) -> None:
    """The scripts of CUPS' own test tool pass against it."""
    options = EmulatedIppOptions(folder=str(bench.folder / "out"), page_ms=10, **TIMES)
    printer = EmulatedIppPrinter(options, bench.reactor)
    bench.start(printer)
    document = bench.folder / "report.pdf"
    document.write_bytes(pdf_of(1))
    command = ["ipptool", "-tv", "-f", str(document), printer.emulator.uri, script]
    with (bench.folder / "said").open("wb") as said:
        tool = subprocess.Popen(command, stdout=said, stderr=said)
        bench.until(lambda: tool.poll() is not None)
    assert tool.returncode == 0, (bench.folder / "said").read_text()
    bench.until(lambda: all(job.is_over for job in printer.emulator.jobs.values()))
    printed = [path.read_bytes() for path in printer.emulator.printed]
    assert printed == ([] if script == "validate-job.test" else [pdf_of(1)])
    printer.stop()
    bench.end_of(printer.cable.unplug())
    bench.settle()
