"""Logs, metrics, health and crash points, at their outside."""

import io
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from twisted.internet.testing import MemoryReactor, StringTransport

from switch.model.money import Fen
from switch.model.outcome import Outcome, Reply
from switch.model.secret import Secret
from switch.observe import crash, http, logs, metrics

ROOT = Path(__file__).parents[2]


@pytest.fixture
def lines() -> Iterator[io.BytesIO]:
    """A stream that the logs of this test go to; the process's own set-up is put back after."""
    before = structlog.get_config()
    stream = io.BytesIO()
    logs.configure("info", stream)
    yield stream
    structlog.reset_defaults()
    structlog.configure(**before)


def read_log(stream: io.BytesIO) -> list[dict[str, Any]]:
    """The lines written, each one JSON object."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_I12_log_masks_by_type_and_keeps_one_line(lines: io.BytesIO) -> None:
    """Secrets and raw bytes are masked at any depth; CR and LF cannot forge a line."""
    reply = Reply(outcome=Outcome.REFUSED, code="51")

    logs.get_logger("t").info(
        "paid",
        pan=Secret("6225880000000000"),
        deep={"track": [Secret("TRACK2"), b"6225880000000000"]},
        reply=reply,
        merchant="a\r\n{forged}",
        amount_fen=Fen(1),
    )

    assert lines.getvalue().count(b"\n") == 1
    [line] = read_log(lines)
    assert line["pan"] == "<secret>"
    assert line["deep"] == {"track": ["<secret>", "<16 bytes>"]}
    assert line["reply"]["outcome"] == "refused"
    assert line["merchant"] == "a\r\n{forged}"
    assert (line["event"], line["level"], line["component"]) == ("paid", "info", "t")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["ts"])


def test_I12_log_of_an_exception_has_no_local_variables(lines: io.BytesIO) -> None:
    """A traceback names file, line and function; the values of that moment stay out."""

    def pay(pan: str) -> None:
        raise RuntimeError("broken") from ValueError(len(pan))

    try:
        pay("6225881111111111")
    except RuntimeError:
        logs.get_logger("t").error("failed", exc_info=True)

    assert b"622588" not in lines.getvalue()
    assert read_log(lines)[0]["exception"][0]["exc_type"] == "RuntimeError"


def test_debug_lines_are_dropped_at_info(lines: io.BytesIO) -> None:
    """The level filters before anything is formatted."""
    logs.get_logger("t").debug("detail")

    assert lines.getvalue() == b""


def alarms() -> dict[tuple[str, str], float]:
    """(event, invariant) → count, as Prometheus reads them."""
    (family,) = metrics.ALARMS.collect()
    return {(x.labels["event"], x.labels["invariant"]): x.value for x in family.samples}


def test_I15_every_error_is_counted_by_name_and_invariant(lines: io.BytesIO) -> None:
    """A line reaches no telephone: whatever part of the switch logs an error, it is a figure too.
    Nothing else of the line is: neither its payment (I12) nor warnings that need nobody."""
    metrics.ALARMS.clear()
    log = logs.get_logger("t")

    for key in ("p1", "p2"):
        log.error("alarm", key=key, invariant="I5", text="it took effect after its reversal")
    log.error("alarm", text="a batch is full: nothing begins in it")
    log.exception("prepare_defect")
    log.warning("driver_lost", invariant="I13")

    assert len(read_log(lines)) == 5
    assert alarms() == {("alarm", "I5"): 2, ("alarm", ""): 1, ("prepare_defect", ""): 1}


def test_I11_labels_of_alarms_are_bounded(lines: io.BytesIO) -> None:
    """A text where a name is due grows no series."""
    metrics.ALARMS.clear()
    for number in range(3):
        logs.get_logger("t").error(f"payment {number}", invariant=f"I{number + 17}")

    assert alarms() == {("other", ""): 3}


def test_an_unhandled_twisted_failure_becomes_a_line() -> None:
    """The last-resort handler: in a real process, where nobody else reads Twisted's log."""
    script = (
        "import gc; from switch.observe.logs import configure; configure();"
        "from twisted.internet.defer import fail; fail(RuntimeError('lost')); gc.collect()"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, timeout=60
    )

    last = json.loads(run.stdout.splitlines()[-1])
    assert (last["event"], last["exception"][0]["exc_type"]) == ("unhandled_error", "RuntimeError")
    assert run.stderr == b""


def test_response_codes_of_a_hostile_bank_cannot_grow_the_metrics() -> None:
    """I11: labels are bounded whatever field 39 carries."""
    for code in ("00", "A0", "😀", "x" * 500, "0", ""):
        metrics.count_response_code("bounded-bank", code)

    found = re.findall(r'bank="bounded-bank",code="(\w+)"', metrics.exposition().decode())
    assert sorted(found) == ["00", "A0", "other"]


def test_docs_list_exactly_the_metrics() -> None:
    """docs/metrics.md and the module cannot drift apart: name, type and labels."""
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    documented = dict(re.findall(r"^\| `(yyt_\w+)` \| (\w+ \| [^|]+?) \|", page, re.MULTILINE))

    expected = {
        name: f"{metric._type} | {', '.join(f'`{x}`' for x in metric._labelnames) or '–'}"
        for name, metric in metrics.all_metrics().items()
    }
    assert documented == expected


def served(
    request: bytes, routes: dict[tuple[str, str], http.Route], health: dict[str, str]
) -> bytes:
    """What the operator's port answers to the bytes of one request, without a socket."""
    reactor = MemoryReactor()
    http.serve_operator(reactor, 0, lambda: health, routes)
    site = reactor.tcpServers[0][1]
    transport = StringTransport()
    protocol = site.buildProtocol(None)
    protocol.makeConnection(transport)
    protocol.dataReceived(request)
    return bytes(transport.value())


@pytest.mark.parametrize(
    ("request_bytes", "status", "body"),
    [
        (b"GET /health HTTP/1.0\r\n\r\n", b"503", b'"status": "degraded"'),
        (b"GET /metrics HTTP/1.0\r\n\r\n", b"200", b"# TYPE yyt_payments_total counter"),
        (b"GET /nothing HTTP/1.0\r\n\r\n", b"404", b'"error": "no such path"'),
        (b"GET /nothing HTTP/1.0\r\n\r\n", b"404", b'"POST /say"'),
        (b"POST /health HTTP/1.0\r\nContent-Length: 0\r\n\r\n", b"405", b'"GET /health"'),
        (
            b"POST /say HTTP/1.0\r\nContent-Length: 7\r\n\r\n" + b'{"a":1}',
            b"200",
            b'{"got": {"a": 1}}',
        ),
        (b"POST /say HTTP/1.0\r\nContent-Length: 2\r\n\r\n{x", b"400", b"error"),
        (b"POST /say HTTP/1.0\r\nContent-Length: 65537\r\n\r\n" + b"1" * 65537, b"413", b"{}"),
        (b"GET /boom HTTP/1.0\r\n\r\n", b"500", b"{}"),
    ],
)
def test_operator_port_answers(request_bytes: bytes, status: bytes, body: bytes) -> None:
    """Each request ends in a clear status; a broken route tells its caller nothing."""

    def boom(_body: object) -> object:
        raise RuntimeError("secret detail")

    routes: dict[tuple[str, str], http.Route] = {
        ("POST", "/say"): lambda got: {"got": got},
        ("GET", "/boom"): boom,
    }
    answer = served(request_bytes, routes, {"bank": "up", "hsm": "down since 10:00"})

    assert answer.split(b" ", 2)[1] == status
    assert body in answer
    assert b"secret detail" not in answer


def test_health_is_200_when_every_part_is_up() -> None:
    """A balancer goes by the status alone."""
    answer = served(b"GET /health HTTP/1.0\r\n\r\n", {}, {"bank": "up"})

    assert answer.startswith(b"HTTP/1.0 200")


@pytest.mark.parametrize("host", ["0.0.0.0", "10.1.2.3", "::"])
def test_operator_port_is_loopback_unless_asked_otherwise(host: str) -> None:
    """Metrics are not exposed by accident (ASVS 13.4.5)."""
    with pytest.raises(http.BindRefusedError):
        http.serve_json(MemoryReactor(), 0, {}, host=host)

    http.serve_json(MemoryReactor(), 0, {}, host=host, allow_remote=True)


def test_crash_point_kills_at_the_named_hit_only() -> None:
    """``name#2`` dies at the second hit of that name, by SIGKILL; other names never."""
    script = (
        "from switch.observe.crash import crash_point\n"
        "for n in range(3): crash_point('other'); print(n, flush=True); crash_point('here')"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        env={"CRASH_AT": "here#2"},
        capture_output=True,
        check=False,
        timeout=60,
    )

    assert run.returncode == -signal.SIGKILL
    assert run.stdout == b"0\n1\n"
    assert crash.armed_by({}) == ("", 0)
