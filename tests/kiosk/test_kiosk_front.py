"""The switch's front before terminals that are strangers, wrong, rude or slow: real TLS sockets."""

import json
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from wsproto.events import AcceptConnection, CloseConnection, RejectConnection, TextMessage

from channels.kiosk import pki
from channels.kiosk.registry import Registry
from terminal_agent import protocol
from tests.kiosk.rig import PAN, TRACK2, Client, Switch, enrol_terminal, until

CARD = {"pan": PAN, "track2": TRACK2, "expiry": "3012", "pin_block": "A" * 16}
KEY = "KIOSK001-20260301-000001"


def start(**other: object) -> dict[str, object]:
    """A payment that is in order, but for ``other``."""
    return {
        "business": "outpatient_bill",
        "amount_fen": 1234,
        "patient": "P1",
        "bill": "B1",
        "card": CARD,
        **other,
    }


def refused_at_tls(dial: Callable[[], Client]) -> bool:
    """TLS 1.3 tells a refused client only at its first read."""
    try:
        return dial().first is None
    except (ssl.SSLError, ConnectionError):
        return True


def test_a_good_certificate_pays(connect: Callable[..., Client]) -> None:
    """The straight way: boot, services, pay, ask again by the same key (I7)."""
    client = connect()

    assert isinstance(client.first, AcceptConnection)
    boot = client.ask("Boot", {"software": "test", "from_tomorrow": 1})
    services = client.ask("Services", {})
    told = client.ask("Payment.Start", start(), KEY)
    again = client.ask("Payment.Query", {}, KEY)

    assert boot["body"]["heartbeat_ms"] == 20_000
    assert services["body"]["businesses"]["outpatient_bill"] == "门诊缴费"
    assert (told["type"], told["id"], told["idem"]) == ("res", "7", KEY)
    assert told["body"]["state"] == "approved"
    assert again["body"] == told["body"]


def test_no_certificate_is_refused(connect: Callable[..., Client]) -> None:
    """Without a client certificate no byte of WebSocket is spoken."""
    assert refused_at_tls(lambda: connect(None))


def test_a_foreign_authority_is_refused(connect: Callable[..., Client], tmp_path: Path) -> None:
    """A certificate of the same name by another authority opens nothing."""
    pki.init(tmp_path / "foreign", ["localhost"])
    enrol_terminal(tmp_path / "foreign", "KIOSK001", tmp_path / "k")

    assert refused_at_tls(lambda: connect(tmp_path / "k"))


def test_a_revoked_certificate_is_refused_and_cut(
    connect: Callable[..., Client], authority: Path, tmp_path: Path
) -> None:
    """Revocation ends the open link and every later one."""
    enrol_terminal(authority, "KIOSK009", tmp_path / "k9")
    client = connect(tmp_path / "k9")
    registry = Registry(authority)
    record = registry.get("KIOSK009")

    registry.put(msgspec.structs.replace(record, certificates=(), revoked=record.certificates))

    closed = client.event()
    assert isinstance(closed, CloseConnection)
    assert closed.code == 1008
    again = connect(tmp_path / "k9").first
    assert isinstance(again, RejectConnection)
    assert again.status_code == 403


def test_terminal_id_must_be_the_certificates(connect: Callable[..., Client]) -> None:
    """Naming another terminal in the payload ends the link (1008)."""
    client = connect()
    client.terminal = "KIOSK002"

    answer = client.ask("Payment.Start", start(), "KIOSK002-20260301-000001")
    closed = client.event()

    assert answer["body"]["code"] == "terminal"
    assert isinstance(closed, CloseConnection)
    assert closed.code == 1008


def test_a_key_of_another_terminal_is_refused(
    connect: Callable[..., Client], switch: Switch
) -> None:
    """Nobody reads or takes another terminal's payments: the key must begin with our id."""
    client = connect()

    for name, body in (("Payment.Query", {}), ("Payment.Start", start())):
        answer = client.ask(name, body, "KIOSK002-20260301-000001")
        assert (answer["body"]["code"], answer["body"]["field"]) == ("idem", "idem")

    assert switch.seen() == []


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"amount_fen": -1}, "bad_field", "amount_fen"),
        ({"amount_fen": 0}, "bad_field", "amount_fen"),
        ({"amount_fen": 10**12}, "bad_field", "amount_fen"),
        ({"amount_fen": 10**30}, "bad_field", "amount_fen"),
        ({"amount_fen": 12.5}, "bad_field", "amount_fen"),
        ({"amount_fen": True}, "bad_field", "amount_fen"),
        ({"amount_fen": "12"}, "bad_field", "amount_fen"),
        ({"business": "lottery"}, "unknown_business", "business"),
        ({"retry_of": "KIOSK002-20260301-000001"}, "bad_field", "retry_of"),
        ({"unheard_of": 1}, "bad_field", "body"),
        ({"card": {**CARD, "pan": "62258800x"}}, "bad_field", "card.pan"),
        ({"card": {**CARD, "pin_block": "123456"}}, "bad_field", "card.pin_block"),
        ({"card": {**CARD, "chip": "9F2"}}, "bad_field", "card.chip"),
        ({"card": None}, "bad_field", "card"),
        ({"details": {str(n): "x" for n in range(17)}}, "bad_field", "details"),
    ],
)
def test_bad_fields_are_named_and_go_nowhere(
    connect: Callable[..., Client],
    switch: Switch,
    body: dict[str, object],
    code: str,
    field: str,
) -> None:
    """Each refusal names field and rule, never the value (I12); the engine hears nothing; the
    link lives on."""
    client = connect()

    answer = client.ask("Payment.Start", start(**body), KEY)
    after = client.ask("Heartbeat", {})

    assert answer["name"] == "Error"
    assert (answer["body"]["code"], answer["body"]["field"]) == (code, field)
    assert not any(str(secret) in json.dumps(answer) for secret in (PAN, TRACK2, "62258800x"))
    assert switch.seen() == []
    assert after["name"] == "Heartbeat"


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "nul", "[" * 60_000, '{"v":1}', "\x00"])
def test_bad_messages_are_answered_and_the_link_lives(
    connect: Callable[..., Client], text: str
) -> None:
    """What is no envelope gets an Error without an id."""
    client = connect()

    client.send_text(text)
    answer = client.message()

    assert (answer["name"], answer["body"]["code"], answer["id"]) == ("Error", "bad_message", "-")
    assert client.ask("Heartbeat", {})["name"] == "Heartbeat"


def test_protocol_versions_out_of_range_are_refused(connect: Callable[..., Client]) -> None:
    """A kiosk older or newer than the range is told the range."""
    client = connect()

    for version in (0, protocol.VERSION + 1, 99):
        answer = client.ask("Heartbeat", {}, v=version)
        assert answer["body"]["code"] == "version"
        assert answer["body"]["text"] == f"must be from 1 to {protocol.VERSION}"


def test_I11_a_message_of_20_megabytes_is_cut(
    connect: Callable[..., Client], authority: Path
) -> None:
    """The link closes (1009) without the message being collected; others are unaffected."""
    rude, other = connect(), connect(authority / "k2")
    other.terminal = "KIOSK002"
    code = None

    try:
        rude.send_text("x" * 20_000_000)
        closed = rude.event()
        code = closed.code if isinstance(closed, CloseConnection) else None
    except (ConnectionError, ssl.SSLError, TimeoutError):
        pass

    assert code in (1009, None)
    assert other.ask("Heartbeat", {})["name"] == "Heartbeat"


def test_I11_just_above_the_limit_says_1009(connect: Callable[..., Client]) -> None:
    """A message one byte over the limit gets a proper close code."""
    client = connect()

    client.send_text(" " * 65_537)
    closed = client.event()

    assert isinstance(closed, CloseConnection)
    assert closed.code == 1009


def test_binary_messages_are_no_part_of_the_protocol(connect: Callable[..., Client]) -> None:
    """1003, unsupported data."""
    from wsproto.events import BytesMessage

    client = connect()

    client.socket.sendall(client.websocket.send(BytesMessage(b"\x00\x01")))
    closed = client.event()

    assert isinstance(closed, CloseConnection)
    assert closed.code == 1003


def test_garbage_after_the_upgrade_ends_only_that_link(connect: Callable[..., Client]) -> None:
    """Bytes that are no WebSocket frame."""
    client = connect()

    client.socket.sendall(b"\xff" * 4096)
    ended = client.event()

    assert ended is None or isinstance(ended, CloseConnection)
    assert isinstance(connect().first, AcceptConnection)


def test_I11_a_slow_handshake_is_cut(switch: Switch) -> None:
    """A socket that never finishes TLS is dropped in the configured time."""
    with socket.create_connection(("127.0.0.1", switch.ports["terminals"]), 20) as idle:
        idle.sendall(b"\x16")
        try:
            ended = idle.recv(10)
        except ConnectionResetError:
            ended = b""
        assert ended == b""


def test_I11_too_many_open_requests_are_busy(authority: Path) -> None:
    """One more than the limit is answered busy at once; the others end in their time."""
    running = Switch(authority, "in_flight_max=3")
    try:
        client = Client(running.ports["terminals"], authority / "k1", authority)
        with client.stack:
            keys = [f"KIOSK001-20260301-{n:06d}" for n in range(4)]
            for key in keys:
                envelope = {
                    "v": 1,
                    "id": key,
                    "type": "req",
                    "name": "Payment.Start",
                    "ts": 0,
                    "terminal": "KIOSK001",
                    "idem": key,
                    "body": start(bill="SLOW"),
                }
                client.send_text(json.dumps(envelope))
            busy = client.message()
            for key in keys[:3]:
                running.do(release=key, state="approved")
            told = [client.message() for _ in range(3)]

        assert (busy["id"], busy["body"]["code"]) == (keys[3], "busy")
        assert {answer["id"] for answer in told} == set(keys[:3])
        assert {answer["body"]["state"] for answer in told} == {"approved"}
    finally:
        running.process.end()


def test_I11_a_terminal_that_does_not_read_is_cut(authority: Path) -> None:
    """Answers pile up to the limit and no further."""
    running = Switch(authority, "outgoing_bytes_max=100000")
    try:
        client = Client(running.ports["terminals"], authority / "k1", authority)
        with client.stack:
            client.ask("Heartbeat", {})
            running.do(tell="KIOSK001", times=10_000)
            seen = 0
            while client.event() is not None:
                seen += 1
        assert seen < 10_000
        running.process.wait_for(lambda line: line["event"] == "terminal_does_not_read")
    finally:
        running.process.end()


def test_I11_connections_are_limited(authority: Path) -> None:
    """One more is closed unread; when one goes, the next is let in."""
    running = Switch(authority, "connections_max=1")
    try:
        first = Client(running.ports["terminals"], authority / "k1", authority)
        with first.stack:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                Client(running.ports["terminals"], authority / "k2", authority)

        def admitted() -> bool:
            try:
                second = Client(running.ports["terminals"], authority / "k2", authority)
            except (ssl.SSLError, ConnectionError):
                return False
            with second.stack:
                return isinstance(second.first, AcceptConnection)

        assert until(admitted)
    finally:
        running.process.end()


def test_the_newest_link_of_a_terminal_is_the_live_one(connect: Callable[..., Client]) -> None:
    """An older link, mostly half open, is closed (4001)."""
    older = connect()
    newer = connect()

    closed = older.event()

    assert isinstance(closed, CloseConnection)
    assert closed.code == 4001
    assert newer.ask("Heartbeat", {})["name"] == "Heartbeat"


def test_I8_same_key_other_content_is_refused(connect: Callable[..., Client]) -> None:
    """The engine's refusal reaches the terminal as an answer; the first content stands."""
    client = connect()
    first = client.ask("Payment.Start", start(), KEY)

    other = client.ask("Payment.Start", start(amount_fen=9999), KEY)
    again = client.ask("Payment.Start", start(), KEY)

    assert other["body"]["state"] == "refused"
    assert again["body"] == first["body"]


def test_I7_an_answer_after_pending_is_pushed(
    connect: Callable[..., Client], switch: Switch
) -> None:
    """PENDING is superseded by an event with a higher version."""
    client = connect()
    pending = client.ask("Payment.Start", start(bill="PENDING"), KEY)

    switch.do(release=KEY, state="approved")
    event = client.message()

    assert pending["body"]["state"] == "pending"
    assert (event["type"], event["name"], event["idem"]) == ("event", "Payment.Answer", KEY)
    assert event["body"]["version"] > pending["body"]["version"]


def test_I12_a_fault_of_ours_is_logged_without_secrets(
    connect: Callable[..., Client], switch: Switch
) -> None:
    """An exception that formats the card's data, and a journal that is away: both are answered
    *unavailable*, and nothing of the card is in the log."""
    client = connect()

    broken = client.ask("Payment.Start", start(bill="BOOM"), KEY)
    down = client.ask("Payment.Start", start(bill="DOWN"), "KIOSK001-20260301-000002")
    switch.process.wait_for(lambda line: line["event"] == "request_failed")

    assert broken["body"]["code"] == down["body"]["code"] == "unavailable"
    log = "".join(switch.process.output)
    assert "a fault with <secret>" in log
    assert PAN not in log
    assert "A" * 16 not in log


def test_a_pin_without_a_pin_key_is_refused(
    connect: Callable[..., Client], authority: Path
) -> None:
    """KIOSK002 has no TPK: its PIN block cannot be translated, so nothing is started."""
    client = connect(authority / "k2")
    client.terminal = "KIOSK002"

    answer = client.ask("Payment.Start", start(), "KIOSK002-20260301-000001")

    assert answer["body"]["field"] == "card.pin_block"


def test_queries_pass_the_hospital_and_the_card(connect: Callable[..., Client]) -> None:
    """Patient, bills and balance, found and not found."""
    client = connect()

    patient = client.ask("Patient.Query", {"card_no": "C1"})
    nobody = client.ask("Patient.Query", {"card_no": "NOBODY"})
    bills = client.ask("Bill.Query", {"patient_id": "P1"})
    balance = client.ask("Balance.Query", {"business": "outpatient_bill", "card": CARD})

    assert patient["body"]["patient"]["name"] == "王小明"
    assert (nobody["body"]["ok"], nobody["body"]["text"]) == (False, "未找到患者")
    assert bills["body"]["bills"][0]["amount_fen"] == 1234
    assert balance["body"]["balance_fen"] == 500_000


def test_fragments_make_one_message(connect: Callable[..., Client]) -> None:
    """A request may come in pieces."""
    client = connect()
    text = json.dumps(
        {"v": 1, "id": "9", "type": "req", "name": "Heartbeat", "ts": 0, "terminal": "KIOSK001"}
    )

    for at in range(0, len(text), 10):
        last = at + 10 >= len(text)
        client.socket.sendall(
            client.websocket.send(TextMessage(text[at : at + 10], message_finished=last))
        )

    assert client.message()["id"] == "9"
