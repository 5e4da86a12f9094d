"""The front as the manager of its terminals: states, orders, renewals, over real TLS sockets."""

import itertools
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from wsproto.events import AcceptConnection, RejectConnection

from channels.kiosk.orders import OrderBook, OrderError, Reply
from channels.kiosk.registry import Registry
from channels.kiosk.states import State, States
from switch.cli import main
from terminal_agent import protocol
from tests.kiosk.rig import Client, Switch, enrol_terminal, until

_NUMBERS = itertools.count(100)
DEVICES = {"card_reader": "online", "pin_pad": "noDevice", "printer": "paperLow", "lamp": "on"}


class Stand:
    """A terminal of its own, so that its orders reach no other test."""

    def __init__(self, authority: Path, port: int, folder: Path, stack: ExitStack) -> None:
        self.name = f"KIOSK{next(_NUMBERS)}"
        self.authority = authority
        self.folder = folder
        self.port = port
        self._stack = stack
        enrol_terminal(authority, self.name, folder)

    def connect(self) -> Client:
        """Connect with the certificate in the folder."""
        client = Client(self.port, self.folder, self.authority)
        self._stack.enter_context(client.stack)
        client.terminal = self.name
        return client

    def boot(self, **said: object) -> Client:
        """Connect and say Boot, as today's agent does."""
        client = self.connect()
        answer = client.ask("Boot", {"software": "agent", "release": "0.1.0", **said}, v=2)
        assert answer["name"] == "Boot", answer
        return client

    def yyt(self, *words: str) -> int:
        """``yyt terminal VERB TERMINAL …`` as an operator types it."""
        verb, *rest = words
        return main(["terminal", verb, self.name, *rest, "--dir", str(self.authority)])

    def orders(self, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
        """What ``yyt terminal orders --json`` says."""
        capsys.readouterr()
        assert self.yyt("orders", "--json") == 0
        return list(json.loads(capsys.readouterr().out))


@pytest.fixture
def stand(
    switch: Switch, authority: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stand]:
    """A fresh terminal before the running switch."""
    monkeypatch.setenv("YYT_LANG", "zh")
    with ExitStack() as stack:
        yield Stand(authority, switch.ports["terminals"], tmp_path / "k", stack)


def settings_file(tmp_path: Path, text: str) -> str:
    """A YAML file to push."""
    (tmp_path / "settings.yaml").write_text(text, "utf-8")
    return str(tmp_path / "settings.yaml")


def test_what_a_terminal_says_of_itself_is_seen(
    stand: Stand, switch: Switch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Boot, Heartbeat and Device.Status in the metrics, in the file, in the list; away when the
    link is gone, without device states that nobody knows any more."""
    client = stand.boot(devices=DEVICES, settings=3)
    up = f'yyt_terminal_device_up{{role="%s",terminal="{stand.name}"}} %s'

    page = switch.metrics()
    assert f'yyt_terminal_up{{terminal="{stand.name}"}} 1.0' in page
    assert up % ("card_reader", "1.0") in page
    assert up % ("pin_pad", "0.0") in page
    assert up % ("printer", "1.0") in page
    assert not [line for line in page if "lamp" in line]
    assert client.ask("Device.Status", {"devices": {"printer": "paperOut"}}, v=2)["body"] == {}
    page = switch.metrics()
    assert up % ("printer", "0.0") in page
    assert up % ("card_reader", "1.0") not in page
    client.ask("Heartbeat", {"devices": {"printer": "online"}}, v=2)
    assert up % ("printer", "1.0") in switch.metrics()

    def listed() -> dict[str, Any]:
        capsys.readouterr()
        main(["terminal", "list", "--json", "--dir", str(stand.authority)])
        lines = json.loads(capsys.readouterr().out)
        (line,) = [line for line in lines if line["terminal"] == stand.name]
        return dict(line["state"] or {})

    state = until(listed)
    assert (state["release"], state["version"], state["settings"]) == ("0.1.0", 2, 3)
    assert state["heard_at"] < state["certificate_ends_at"]
    client.stack.close()
    until(lambda: f'yyt_terminal_up{{terminal="{stand.name}"}} 0.0' in switch.metrics())
    page = switch.metrics()
    assert not [line for line in page if "device_up" in line and stand.name in line]
    assert main(["terminal", "list", "--dir", str(stand.authority)]) == 0
    assert "0.1.0 v2" in capsys.readouterr().out


@pytest.mark.parametrize(
    "devices",
    [{"printer": "paper out"}, {"\x1b[2J": "online"}, {str(n): "on" for n in range(17)}, {"p": 1}],
)
def test_I11_device_states_are_short_words_and_few(stand: Stand, devices: object) -> None:
    """What an operator's screen and the metrics will show is bounded at the door."""
    client = stand.boot()

    answer = client.ask("Device.Status", {"devices": devices}, v=2)

    assert answer["body"]["code"] == "bad_field"


def test_a_revoked_terminal_is_missed_by_no_alarm(stand: Stand, switch: Switch) -> None:
    """Its series disappear."""
    stand.boot(devices=DEVICES)
    assert [line for line in switch.metrics() if stand.name in line]

    assert main(["terminal", "revoke", stand.name, "--dir", str(stand.authority)]) == 0

    until(lambda: not [line for line in switch.metrics() if stand.name in line])


def test_settings_are_pushed_until_they_are_answered(
    stand: Stand, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Placed before the terminal is there, said at its Boot, said again after a reconnect, not
    after its answer; versions grow; a terminal that lost them gets them again."""
    text = "receipt: {hospital_name: 市一医院}\npayment.patient_wait_ms: 60000\n"
    assert stand.yyt("push", "--file", settings_file(tmp_path, text)) == 0
    first = stand.boot()
    pushed = first.message()
    first.stack.close()

    assert (pushed["type"], pushed["name"]) == ("event", "Settings.Push")
    assert pushed["body"] == {
        "version": 1,
        "settings": {"receipt.hospital_name": "市一医院", "payment.patient_wait_ms": "60000"},
    }
    assert [order["state"] for order in stand.orders(capsys)] == ["waiting"]
    second = stand.boot()
    assert second.message()["body"]["version"] == 1
    applied = {"version": 1, "ok": True, "text": "下次启动生效\x1b[2J"}
    assert second.ask("Settings.Applied", applied, v=2)["body"] == {}
    (order,) = stand.orders(capsys)
    assert (order["state"], order["said"]) == ("done", "下次启动生效[2J")

    in_force = stand.boot(settings=1)
    assert stand.yyt("push", "--file", settings_file(tmp_path, "devices.timeout_ms: 9000\n")) == 0
    assert in_force.message()["body"] == {
        "version": 2,
        "settings": {"devices.timeout_ms": "9000"},
    }
    in_force.ask("Settings.Applied", {"version": 2, "ok": True}, v=2)
    lost = stand.boot(settings=0)
    assert lost.message()["body"]["version"] == 2
    lost.ask("Settings.Applied", {"version": 2, "ok": False, "text": "broken"}, v=2)
    (order,) = stand.orders(capsys)
    assert (order["state"], order["said"]) == ("refused", "broken")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("switch.url: wss://evil/kiosk\n", "switch.url: may not be pushed"),
        ("switch: {pki: /tmp}\n", "switch.pki: may not be pushed"),
        ("payment: {patient_wait_ms: 1}\n", "payment.patient_wait_ms: must be a whole number"),
        ("payment: {patient_wait_ms: 6e4}\n", "must be a whole number"),
        ("receipt: {hospital_name: ''}\n", "must be 1 to 32 printable characters"),
        (
            "payment.patient_wait_ms: 9000\npayment: {patient_wait_ms: 9000}\n",
            "stands twice",
        ),
        ("- a\n", "must be settings by name"),
        ("", "must be settings by name"),
        ("a: {b: {c: {d: {e: 1}}}}\n", "must be settings by name"),
        ("{", "while parsing"),
    ],
)
def test_what_may_not_be_pushed_is_said_at_once(
    stand: Stand, tmp_path: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The list is closed; nothing is placed."""
    assert stand.yyt("push", "--file", settings_file(tmp_path, text)) == 2
    assert said in capsys.readouterr().err
    assert stand.orders(capsys) == []


def test_commands_are_said_and_their_logs_kept(
    stand: Stand, capsys: pytest.CaptureFixture[str]
) -> None:
    """lock with its text, logs with a file; the newest of a kind is what counts; an answer to an
    order that was replaced changes nothing."""
    client = stand.boot()
    assert stand.yyt("command", "lock", "--text", "维护") == 0
    lock = client.message()
    assert lock["name"] == "Command"
    assert (lock["body"]["do"], lock["body"]["text"]) == ("lock", "维护")
    assert stand.yyt("command", "unlock") == 0
    unlock = client.message()
    late = {"command": lock["body"]["command"], "ok": True}
    assert client.ask("Command.Done", late, v=2)["body"] == {}
    assert [(one["do"], one["state"]) for one in stand.orders(capsys)] == [("unlock", "waiting")]
    client.ask("Command.Done", {"command": unlock["body"]["command"], "ok": True}, v=2)

    assert stand.yyt("command", "logs") == 0
    logs = client.message()["body"]
    log = '{"event": "一"}\n{"event": "\x1b二"}'
    done = {"command": logs["command"], "ok": True, "log": log}
    assert client.ask("Command.Done", done, v=2)["body"] == {}
    found = {one["do"]: one for one in stand.orders(capsys)}
    assert (found["unlock"]["state"], found["logs"]["state"]) == ("done", "done")
    kept = Path(found["logs"]["log"]).read_text("utf-8")
    assert kept == '{"event": "一"}\n{"event": "二"}\n'
    assert stand.yyt("orders") == 0
    assert "完成" in capsys.readouterr().out


def test_orders_for_nobody_are_refused(
    stand: Stand, authority: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown terminal, a text that the terminal could not show."""
    for words in (
        ["command", "NOBODY", "lock"],
        ["orders", "NOBODY"],
        ["command", "../x", "lock"],
        ["command", stand.name, "lock", "--text", "a\nb"],
        ["command", stand.name, "lock", "--text", "x" * 65],
        ["command", stand.name, "restart", "--text", "x"],
    ):
        assert main(["terminal", *words, "--dir", str(authority)]) == 2
    assert stand.yyt("orders") == 0
    assert "没有指令" in capsys.readouterr().out


def test_a_terminal_of_protocol_1_is_spared_orders(
    stand: Stand, authority: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They wait for its newer program. A terminal of protocol 2 gets one of a later moment, so the
    older terminal had its turn; the next thing it hears is the answer to its own request."""
    old = stand.connect()
    assert old.ask("Boot", {"software": "old", "versions": [1, 1]})["name"] == "Boot"
    assert stand.yyt("command", "restart") == 0
    with ExitStack() as stack:
        other = Stand(authority, stand.port, tmp_path / "other", stack)
        newer = other.boot()
        assert other.yyt("command", "logs") == 0
        assert newer.message()["name"] == "Command"
    assert old.ask("Heartbeat", {})["type"] == "res"
    assert [one["state"] for one in stand.orders(capsys)] == ["waiting"]

    new = stand.boot()
    pushed = new.message()

    assert (pushed["name"], pushed["body"]["do"]) == ("Command", "restart")
    new.ask("Command.Done", {"command": pushed["body"]["command"], "ok": False}, v=2)
    assert [one["state"] for one in stand.orders(capsys)] == ["refused"]


def test_choices_pass_to_the_hospital(stand: Stand) -> None:
    """No profile offers them yet: said as such, not as a fault."""
    client = stand.boot()

    answer = client.ask("Choice.Query", {"business": "registration", "step": "department"}, v=2)

    assert answer["body"] == {"ok": False, "code": "unknown_function", "text": "不支持的查询"}


# ---- certificates --------------------------------------------------------------------------------


def renewal(name: str) -> tuple[ec.EllipticCurvePrivateKey, str]:
    """A new key and a request for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return key, csr.public_bytes(serialization.Encoding.PEM).decode()


def keep(folder: Path, key: ec.EllipticCurvePrivateKey, certificate: str) -> None:
    """A pair as the kiosk keeps it."""
    folder.mkdir()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "terminal.key").write_bytes(pem)
    (folder / "terminal.crt").write_text(certificate)


def test_a_certificate_is_renewed_and_the_old_one_ends_with_the_first_use(
    stand: Stand, tmp_path: Path, switch: Switch
) -> None:
    """Until the new one was used both are admitted, so a power cut locks nobody out; afterwards
    the old one is a stranger. Once an hour."""
    client = stand.boot()
    key, csr = renewal(stand.name)
    answer = client.ask("Certificate.Renew", {"csr": csr}, v=2)
    again = client.ask("Certificate.Renew", {"csr": csr}, v=2)
    assert again["body"]["code"] == "too_soon"
    keep(tmp_path / "new", key, answer["body"]["certificate"])
    signed = x509.load_pem_x509_certificate(answer["body"]["certificate"].encode())
    registry = Registry(stand.authority)
    old_serial, new_serial = registry.get(stand.name).certificates
    assert new_serial == f"{signed.serial_number:x}"

    stand.boot()  # a power cut before the new pair was written: the old one still opens
    old_folder, stand.folder = stand.folder, tmp_path / "new"
    stand.boot()
    assert registry.get(stand.name).certificates == (new_serial,)
    assert registry.get(stand.name).renewals == {}
    stand.folder = old_folder
    refused = stand.connect().first
    assert isinstance(refused, RejectConnection)
    assert refused.status_code == 403
    assert old_serial not in registry.get(stand.name).revoked
    ends = [line for line in switch.metrics() if "certificate_end" in line and stand.name in line]
    assert float(ends[0].split()[-1]) == signed.not_valid_after_utc.timestamp()


@pytest.mark.parametrize("bad", ["", "-----BEGIN", "other"])
def test_a_bad_renewal_changes_nothing(stand: Stand, bad: str) -> None:
    """No request, or one that names another terminal: refused by field, the record as it was."""
    client = stand.boot()
    before = Registry(stand.authority).get(stand.name)
    csr = renewal("KIOSK001")[1] if bad == "other" else bad

    answer = client.ask("Certificate.Renew", {"csr": csr}, v=2)

    assert (answer["body"]["code"], answer["body"]["field"]) == ("bad_field", "csr")
    assert Registry(stand.authority).get(stand.name) == before
    assert isinstance(stand.connect().first, AcceptConnection)


def test_a_revocation_beats_a_renewal(stand: Stand) -> None:
    """Revoked while the request is on its way: the record does not come back to life."""
    from channels.kiosk.registry import RegistryError
    from channels.kiosk.renewal import Renewals

    registry = Registry(stand.authority)
    (serial,) = registry.get(stand.name).certificates
    assert main(["terminal", "revoke", stand.name, "--dir", str(stand.authority)]) == 0

    with pytest.raises(RegistryError):
        Renewals(stand.authority, registry).renew(
            stand.name, serial, renewal(stand.name)[1].encode()
        )

    record = Registry(stand.authority).get(stand.name)
    assert (record.certificates, record.renewals, record.revoked) == ((), {}, (serial,))


def test_I11_renewals_that_are_never_used_do_not_pile_up(stand: Stand) -> None:
    """The next one takes the place of the last."""
    from channels.kiosk.renewal import Renewals

    registry = Registry(stand.authority)
    (serial,) = registry.get(stand.name).certificates
    for _ in range(3):
        Renewals(stand.authority, registry).renew(
            stand.name, serial, renewal(stand.name)[1].encode()
        )

    record = registry.get(stand.name)
    assert len(record.certificates) == 2
    assert list(record.renewals.values()) == [serial]


# ---- the files -----------------------------------------------------------------------------------


def test_states_are_written_seldom(tmp_path: Path) -> None:
    """At once for news, after five seconds for more of it, once a minute for a mere contact."""
    states = States(tmp_path)
    first = State(terminal="K1", connected=True, heard_at=1_000)

    def due(now_ms: int, state: State) -> list[State]:
        states.put(state)
        found = states.due(now_ms)
        states.write(found)
        return found

    news = msgspec.structs.replace(first, heard_at=2_000, devices={"printer": "paperOut"})
    contact = msgspec.structs.replace(news, heard_at=30_000)
    assert due(1_000_000, first) == [first]
    assert due(1_004_999, news) == []
    assert due(1_005_000, news) == [news]
    assert due(1_064_999, contact) == []
    assert due(1_065_000, contact) == [contact]
    (tmp_path / "states" / "K2.json").write_text("{")
    assert list(States(tmp_path).read_all()) == [contact]
    states.forget("K1")
    assert states.due(9_000_000) == []


def test_an_order_book_takes_no_nonsense(tmp_path: Path) -> None:
    """Broken files are as if they were not there; log files are bounded (I11)."""
    book = OrderBook(tmp_path, lambda: 1_772_323_200)
    order = book.place("K1", "logs")
    (tmp_path / "orders" / "K1" / "lock.json").write_text("{")
    (tmp_path / "orders" / "K1" / "restart.json").write_bytes(msgspec.json.encode(order))

    assert [placed.order for placed in book.placed("K1")] == [order]
    with pytest.raises(OrderError):
        book.place("../K1", "lock")
    for number in range(20):
        book.answer("K1", "logs", Reply(id=f"{number}", ok=True, at=0), "x\n")
    assert len(list((tmp_path / "logs").iterdir())) == 16


def test_an_order_book_reads_again_what_changed(tmp_path: Path) -> None:
    """A folder at rest is not read twice; a new order, and an answer, are seen at once."""
    book = OrderBook(tmp_path)
    folder = tmp_path / "orders" / "K1"

    def at_rest(at_s: int) -> list[str]:
        os.utime(folder, (at_s, at_s))
        return [f"{one.order.do} {one.reply and one.reply.ok}" for one in book.placed("K1")]

    assert book.placed("K1") == []
    order = book.place("K1", "lock")
    assert at_rest(1_000_000_000) == ["lock None"]
    assert book.placed("K1") is book.placed("K1")
    book.answer("K1", "lock", Reply(id=order.id, ok=True, at=0))
    assert [one.reply is not None for one in book.placed("K1")] == [True]
    assert at_rest(1_000_000_001) == ["lock True"]
    book.place("K1", "unlock")
    assert [one.order.do for one in book.placed("K1")] == ["unlock"]


def test_the_list_of_what_may_be_pushed_is_closed() -> None:
    """Nothing of the link, no address, nothing secret can be named."""
    assert not [path for path in protocol.PUSHABLE if path.split(".")[0] in ("switch", "control")]
    assert protocol.first_mistake({}) == "settings: none given"
    assert protocol.first_mistake({"receipt.hospital_name": "a\nb"}).startswith("receipt.")
    assert len(protocol.first_mistake({"x" * 1000: "1"})) < 256


def test_every_request_of_the_protocol_is_served(stand: Stand) -> None:
    """None is registered without its handler."""
    client = stand.boot()

    said = {client.ask(name, {}, v=2)["body"].get("code") for name in protocol.REQUESTS}

    assert said & {"unknown_name", "unavailable"} == set()
