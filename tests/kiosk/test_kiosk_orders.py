"""What operators order, played by a real agent's process behind the real front: settings, lock,
restart, log."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from channels.kiosk.orders import OrderBook, Placed
from switch.cli import main
from terminal_agent.protocol import LOG_CHARS_MAX
from tests.kiosk.rig import PAN, PIN, TRACK2, Kiosk, Switch, enrol_terminal, http, until

NUMBERS = iter(range(300, 400))
NAME = "王小明"  # whom the fake hospital finds
PATIENT = "PATIENT4711"
VISIT_CARD = "VISIT0815"


class Managed(Kiosk):
    """A kiosk of its own name, and its operator."""

    def __init__(self, folder: Path, authority: Path, port: int) -> None:
        self.terminal = f"KIOSK{next(NUMBERS)}"
        super().__init__(folder, authority, port, self.terminal)
        enrol_terminal(authority, self.terminal, self.pki)
        self.authority = authority
        self.book = OrderBook(authority)

    def yyt(self, *words: str) -> None:
        """``yyt terminal VERB TERMINAL …``."""
        verb, *rest = words
        argv = ["terminal", verb, self.terminal, *rest, "--dir", str(self.authority)]
        assert main(argv) == 0

    def answered(self, kind: str) -> Placed:
        """The newest order of a kind, once it is answered."""

        def found() -> Placed | None:
            placed = {one.order.kind: one for one in self.book.placed(self.terminal)}[kind]
            return placed if placed.reply is not None else None

        placed = until(found)
        assert isinstance(placed, Placed)
        return placed

    def done(self, kind: str) -> str:
        """The same, done; what the terminal said to it."""
        reply = self.answered(kind).reply
        assert reply is not None
        assert reply.ok, reply.text
        return reply.text

    def again(self) -> None:
        """The service manager starts it again."""
        self.start()
        self.link_up()


@pytest.fixture
def managed(tmp_path: Path, authority: Path, switch: Switch) -> Iterator[Managed]:
    """A running kiosk."""
    made = Managed(tmp_path, authority, switch.ports["terminals"])
    made.again()
    yield made
    if made.process is not None:
        made.process.end()


def restart(kiosk: Managed) -> None:
    """Order a restart; the process must end by itself, with code 0, and is started again."""
    assert kiosk.process is not None
    kiosk.yyt("command", "restart")
    assert kiosk.process.child.wait(20) == 0
    kiosk.process.end()
    kiosk.done("restart")
    kiosk.again()


def test_settings_are_in_force_after_the_restart(managed: Managed, tmp_path: Path) -> None:
    """Pushed, answered, kept over the restart, on the slip; the version is said at Boot; the
    restart is done once although the order is still on the switch's disk."""
    (tmp_path / "settings.yaml").write_text("receipt: {hospital_name: 市第一医院}\n", "utf-8")
    managed.yyt("push", "--file", str(tmp_path / "settings.yaml"))
    assert "下次启动生效" in managed.done("settings")
    _, before = managed.pay(**managed.wish("B1"))
    restart(managed)
    _, after = managed.pay(**managed.wish("B2"))

    slips = [
        http("GET", f"{managed.url}/receipts/{told['key']}")[1].decode() for told in (before, after)
    ]
    assert ["市第一医院" in slip for slip in slips] == [True, True]  # printed anew, by today's name
    assert managed.process is not None
    ready = managed.process.wait_for(lambda line: line["event"] == "agent_ready")
    assert ready["settings"] == 1
    assert managed.process.child.poll() is None


def test_a_locked_kiosk_serves_whom_it_began_and_nobody_else(
    managed: Managed, switch: Switch
) -> None:
    """Locked in the middle of a payment: it ends as it would; the next patient reads the text;
    over a restart too, until it is unlocked."""
    _, pending = managed.pay(**managed.wish("PENDING"))
    managed.yyt("command", "lock", "--text", "设备维护，请到窗口")
    managed.done("lock")
    switch.do(release=pending["key"], state="approved")
    until(lambda: managed.ledger()["approved_fen"] == 1234)
    until(lambda: managed.slips() == [f"{pending['key']}.1.txt"])
    status, refused = managed.pay(**managed.wish("B2"))
    restart(managed)
    again = managed.pay(**managed.wish("B2"))
    health = http("GET", f"{managed.url}/health")[1]
    managed.yyt("command", "unlock")
    managed.done("lock")
    _, told = managed.pay(**managed.wish("B2"))

    assert (status, refused["code"]) == (409, "locked")
    assert again == (409, {"code": "locked", "error": "设备维护，请到窗口"})
    assert health["locked"] == "设备维护，请到窗口"
    assert told["state"] == "approved"


def test_no_restart_while_a_payment_is_open(managed: Managed, switch: Switch) -> None:
    """Refused, with the reason; the payment goes on; asked again later it is done."""
    _, pending = managed.pay(**managed.wish("PENDING"))
    managed.yyt("command", "restart")
    reply = managed.answered("restart").reply
    assert reply is not None
    assert (reply.ok, "未完支付" in reply.text) == (False, True)
    assert managed.process is not None
    assert managed.process.child.poll() is None

    switch.do(release=pending["key"], state="declined")
    until(lambda: managed.ledger()["told"][0]["state"] == "declined")
    restart(managed)


def test_I12_the_log_that_is_sent_holds_no_personal_data(managed: Managed, switch: Switch) -> None:
    """Payments good and bad, a fault of the switch, a device that fails, and then the log: name,
    card, visit card and patient id are in none of its lines."""
    managed.pay(patient_card=VISIT_CARD, card="good")
    managed.pay(patient_card="NOBODY", card="good")
    for bill in ("B1", "D51", "BOOM"):
        managed.pay(**{**managed.wish(bill), "patient": PATIENT})
    managed.pay(**{**managed.wish("B2"), "patient": PATIENT, "card": "stolen"})
    (managed.folder / "slips" / "paper-out").touch()
    managed.pay(**{**managed.wish("B3"), "patient": PATIENT})
    managed.yyt("command", "logs")
    placed = managed.answered("logs")

    text = managed.book.log_path(managed.terminal, placed.order.id).read_text("utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    events = {line["event"] for line in lines}
    assert {"agent_ready", "link_up", "payment_told", "slip_not_printed"} <= events
    assert len(text) <= LOG_CHARS_MAX
    canaries = (NAME, PATIENT, VISIT_CARD, PAN, TRACK2, PIN, switch.seen()[0]["pin_block"])
    assert [secret for secret in canaries if secret in text] == []


def test_device_states_are_told_when_they_change(managed: Managed, switch: Switch) -> None:
    """Paper out and in again, seen at the switch without waiting for a heartbeat."""
    series = f'yyt_terminal_device_up{{role="printer",terminal="{managed.terminal}"}}'
    until(lambda: f"{series} 1.0" in switch.metrics())
    (managed.folder / "slips").mkdir(exist_ok=True)
    (managed.folder / "slips" / "paper-out").touch()
    until(lambda: f"{series} 0.0" in switch.metrics())
    (managed.folder / "slips" / "paper-out").unlink()
    until(lambda: f"{series} 1.0" in switch.metrics())


def test_what_the_kiosk_does_not_know_harms_nothing(managed: Managed, switch: Switch) -> None:
    """Events of a later switch, known events with further fields, commands that do not exist and
    bodies that are wrong: the link and the next payment live."""

    def push(name: str, body: Any) -> None:
        switch.do(push=managed.terminal, name=name, body=body)

    push("Update.Offer", {"version": "9"})
    push("Payment.Answer", {"key": "K", "state": "approved", "tomorrow": 1})
    push("Settings.Push", {"version": 1, "settings": {"switch.url": "wss://x"}, "tomorrow": 1})
    push("Settings.Push", {"version": "one"})
    push("Command", {"command": "c-1", "do": "explode", "tomorrow": 1})
    push("Command", {"do": 7})
    assert managed.process is not None
    managed.process.wait_for(lambda line: line["event"] == "command" and not line["ok"])
    managed.process.wait_for(lambda line: line["event"] == "settings_pushed" and not line["ok"])

    assert managed.pay(**managed.wish("B1"))[1]["state"] == "approved"
    assert len([line for line in managed.process.lines if line["event"] == "link_up"]) == 1
