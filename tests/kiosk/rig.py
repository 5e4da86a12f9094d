"""Real processes and real TLS sockets for the kiosk's tests, each ended by its own pid."""

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from wsproto import ConnectionType, WSConnection
from wsproto.events import Request, TextMessage

from channels.kiosk.enrolment import Enrolments
from channels.kiosk.registry import Terminal

HERE = Path(__file__).parent
WAIT_S = 60
PAD_KEY = "0123456789ABCDEFFEDCBA9876543210"
PAN = "6225880000000001"
TRACK2 = "6225880000000001=30122010000000000"
PIN = "928374"


class Process:
    """A child whose stdout lines are JSON."""

    def __init__(self, argv: list[str], environ: dict[str, str] | None = None) -> None:
        self.lines: list[dict[str, Any]] = []
        self.output: list[str] = []
        self._news = threading.Condition()
        self.child = subprocess.Popen(
            argv,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **(environ or {})},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.child.stdout is not None
        for line in self.child.stdout:
            with self._news:
                self.output.append(line)
                if line.startswith("{") and "event" in line:
                    self.lines.append(json.loads(line))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def wait_for(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first JSON line that fits."""
        with self._news:
            found = self._news.wait_for(
                lambda: next(
                    (line for line in self.lines if "event" in line and wanted(line)), None
                ),
                WAIT_S,
            )
        assert found, "".join(self.output)
        return found

    def end(self, *, kill: bool = False) -> int:
        """Stop it (SIGTERM, or SIGKILL) and close everything."""
        if self.child.poll() is None:
            if kill:
                self.child.kill()
            else:
                self.child.terminate()
        try:
            code = self.child.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            self.child.kill()
            raise
        finally:
            self._reader.join(WAIT_S)
            if self.child.stdout is not None:
                self.child.stdout.close()
        return code


def http(method: str, url: str, body: object = None) -> tuple[int, Any]:
    """One request to a loopback door: status and JSON (or bytes)."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=WAIT_S) as response:
            content, kind = response.read(), response.headers["Content-Type"]
            status = response.status
    except urllib.error.HTTPError as error:
        with error:
            content, kind, status = error.read(), error.headers["Content-Type"], error.code
    return status, json.loads(content) if "json" in (kind or "") else content


def until(check: Callable[[], Any]) -> Any:
    """Ask again until it is true; the bound is a failure, never a measure."""
    give_up_at = time.monotonic() + WAIT_S
    while time.monotonic() < give_up_at:
        found = check()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come true in time")


class Switch:
    """The fake switch's process and its folder of certificates."""

    def __init__(self, folder: Path, *limits: str) -> None:
        self.folder = folder
        self.process = Process(
            [sys.executable, str(HERE / "fake_switch.py"), str(folder), *limits],
        )
        self.ports = self.process.wait_for(lambda line: line["event"] == "ports")

    def seen(self) -> list[dict[str, Any]]:
        """Starts and queries, in order."""
        return list(http("GET", f"http://127.0.0.1:{self.ports['control']}/seen")[1])

    def plans(self) -> list[list[str]]:
        """PIN plans asked for, in order: hospital, terminal, business, medium, beginning of the
        card."""
        return list(http("GET", f"http://127.0.0.1:{self.ports['control']}/plans")[1])

    def finish(self, key: str, **wish: object) -> None:
        """Have a card finished (or ask about it) at its terminal."""
        usual = {"verb": "do", "code": "00", "issuer": "910A", "may_send": True}
        self.do(finish=key, **{**usual, **wish})

    def heard(self, count: int = 1) -> list[dict[str, Any]]:
        """Replies of finish legs and late words, once there are so many."""
        where = f"http://127.0.0.1:{self.ports['control']}/heard"
        return list(until(lambda: len(now := http("GET", where)[1]) >= count and now))

    def answers(self) -> dict[str, Any]:
        """What it holds of each key."""
        return dict(http("GET", f"http://127.0.0.1:{self.ports['control']}/answers")[1])

    def metrics(self) -> list[str]:
        """The page for Prometheus, line by line."""
        page = http("GET", f"http://127.0.0.1:{self.ports['control']}/metrics")[1]
        return str(page).splitlines()

    def do(self, **order: object) -> None:
        """Drop links, release an outcome."""
        assert http("POST", f"http://127.0.0.1:{self.ports['control']}/do", order)[0] == 200


def enrol_terminal(folder: Path, terminal: str, into: Path, tpk: str = "U" + "1" * 32) -> None:
    """A terminal with key and certificate, without the network."""
    from channels.kiosk import enrol_client

    enrolments = Enrolments(folder)
    code = enrolments.invite(Terminal(terminal=terminal, hospital="H1", tpk=tpk), 60)

    def ask(_address: Any, _context: Any, _method: str, path: str, body: str | None) -> bytes:
        if path == "/ca":
            return (folder / "ca.crt").read_bytes()
        asked = json.loads(body or "")
        signed = enrolments.redeem(asked["terminal"], asked["code"], asked["csr"].encode())
        return json.dumps({"certificate": signed.decode()}).encode()

    kept, enrol_client._ask = enrol_client._ask, ask
    try:
        enrol_client.enrol("https://127.0.0.1:1", code, into)
    finally:
        enrol_client._ask = kept


class Client:
    """A terminal by hand: blocking TLS and wsproto, so that a test can send anything."""

    def __init__(self, port: int, folder: Path | None, ca: Path) -> None:
        context = ssl.create_default_context(cafile=str(ca / "ca.crt"))
        if folder is not None:
            context.load_cert_chain(folder / "terminal.crt", folder / "terminal.key")
        plain = socket.create_connection(("127.0.0.1", port), WAIT_S)
        self.stack = ExitStack()
        self.stack.enter_context(plain)
        try:
            self.socket = context.wrap_socket(plain, server_hostname="127.0.0.1")
            self.stack.enter_context(self.socket)
            self.websocket = WSConnection(ConnectionType.CLIENT)
            self.socket.sendall(self.websocket.send(Request(host="127.0.0.1", target="/kiosk")))
            self.first = self.event()
        except BaseException:
            self.stack.close()
            raise
        self.terminal = "KIOSK001"

    def event(self) -> Any:
        """The next event; None when the peer dropped the socket."""
        while True:
            for event in self.websocket.events():
                return event
            try:
                data = self.socket.recv(65_536)
            except (ConnectionError, ssl.SSLEOFError):
                return None
            if not data:
                return None
            self.websocket.receive_data(data)

    def message(self) -> Any:
        """The next whole text message, as JSON; None when closed."""
        text = ""
        while True:
            event = self.event()
            if not isinstance(event, TextMessage):
                return event
            text += event.data
            if event.message_finished:
                return json.loads(text)

    def send_text(self, text: str) -> None:
        """Any text."""
        self.socket.sendall(self.websocket.send(TextMessage(text)))

    def ask(self, name: str, body: object, idem: str = "", **other: object) -> Any:
        """A request and its answer."""
        envelope = {
            "v": 1,
            "id": "7",
            "type": "req",
            "name": name,
            "ts": 0,
            "terminal": self.terminal,
            "body": body,
            **({"idem": idem} if idem else {}),
            **other,
        }
        self.send_text(json.dumps(envelope))
        return self.message()


class Kiosk:
    """An agent's process with its files."""

    def __init__(
        self, folder: Path, authority: Path, port: int, terminal: str = "KIOSK001"
    ) -> None:
        self.folder = folder
        self.pki = authority / "k1" if terminal == "KIOSK001" else folder / "pki"
        self.process: Process | None = None
        (folder / "pad.key").write_text(PAD_KEY)
        (folder / "cards.yaml").write_text(
            f'cards:\n  - {{id: good, pan: "{PAN}", expiry: "3012", track2: "{TRACK2}",'
            f' pin: "{PIN}"}}\n'
        )
        config = {
            "terminal": terminal,
            "journal": str(folder / "journal.db"),
            "switch": {
                "url": f"wss://127.0.0.1:{port}/kiosk",
                "pki": str(self.pki),
                "connect_timeout_ms": 5000,
                "reconnect_min_ms": 20,
                "reconnect_max_ms": 200,
                "request_timeout_ms": 10_000,
                "message_bytes_max": 65_536,
                "in_flight_max": 16,
            },
            "payment": {
                "resend_timeout_ms": 10_000,
                "resend_wait_ms": 50,
                "query_interval_ms": 100,
                "patient_wait_ms": 500,
            },
            "control": {"bind": "127.0.0.1", "port": 0},
            "devices": {
                "timeout_ms": 2000,
                "card_reader": {
                    "driver": "simulator",
                    "options": {"cards": str(folder / "cards.yaml")},
                },
                "pin_pad": {
                    "driver": "simulator",
                    "options": {"key_file": str(folder / "pad.key")},
                },
                "printer": {"driver": "simulator", "options": {"folder": str(folder / "slips")}},
            },
            "receipt": {"hospital_name": "示范医院", "columns": 32},
        }
        self.config = folder / "kiosk.yaml"
        self.config.write_text(json.dumps(config, ensure_ascii=False))  # JSON is YAML

    def start(self, crash_at: str = "") -> None:
        """Run the agent, perhaps armed to die at a named point."""
        self.process = Process(
            [sys.executable, "-m", "switch.cli", "agent", "--config", str(self.config)],
            {"CRASH_AT": crash_at},
        )
        ready = self.process.wait_for(lambda line: line["event"] == "agent_ready")
        self.url = f"http://127.0.0.1:{ready['control_port']}"

    def link_up(self) -> None:
        """Wait for the link."""
        assert self.process is not None
        self.process.wait_for(lambda line: line["event"] == "link_up")

    def pay(self, **wish: object) -> tuple[int, Any]:
        """One patient."""
        return http("POST", f"{self.url}/pay", {"business": "outpatient_bill", **wish})

    def wish(self, bill: str, amount_fen: int = 1234) -> dict[str, object]:
        """A wish that needs no look-up."""
        return {"patient": "P1", "bill": bill, "amount_fen": amount_fen, "card": "good"}

    def ledger(self) -> dict[str, Any]:
        """What the patient side was told."""
        return dict(http("GET", f"{self.url}/ledger")[1])

    def slips(self) -> list[str]:
        """Names of what came out of the printer."""
        return sorted(path.name for path in (self.folder / "slips").glob("*.txt"))
