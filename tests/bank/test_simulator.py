"""The bank simulator: durable before it answers, honest to auditors, bad on command."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from channels.bank_simulator.entries import Entry, State, WorkingKeys
from channels.bank_simulator.habits import Habit, Habits, Name, On, Order
from channels.bank_simulator.ledger import Ledger
from channels.bank_simulator.world import WorldError, load_world
from channels.iso8583.codec import Codec
from channels.iso8583.load import load_dialect
from tests.bank.rig import MERCHANT, PAN, Rig, payment, sell

CODEC = Codec(load_dialect("cup-pos"))


def _entry(stan, state=State.BOOKED):
    return Entry(
        merchant=MERCHANT,
        terminal="10000001",
        batch="000001",
        stan=stan,
        date="20260704",
        operation="sale",
        amount_fen=100,
        net_fen=100 if state is State.BOOKED else 0,
        state=state,
        code="00",
        rrn=f"{int(stan):012d}",
        card="rich",
    )


def test_ledger_survives_without_closing(tmp_path):
    """What was committed is there after the process is gone; what was not, is not."""
    path = str(tmp_path / "bank.db")
    ledger = Ledger(path)
    ledger.add(_entry("000001"))
    ledger.set_keys(MERCHANT, "10000001", WorkingKeys(pik=b"p", mak=b"m", batch="000003"))
    ledger.commit()
    ledger.add(_entry("000002"))
    ledger._db.close()

    again = Ledger(path)

    assert [entry.stan for entry in again.entries()] == ["000001"]
    assert again.keys(MERCHANT, "10000001").batch == "000003"
    assert again.spent_fen("rich") == 100
    assert again.next_rrn() == "000000000002"
    again.close()


def test_ledger_shows_no_card_numbers():
    """GET /ledger is for anyone: identities, amounts, states."""
    rig = Rig()
    rig.run(sell(rig, payment(rig)))

    shown = rig.host.debits()

    assert PAN not in json.dumps(shown)
    assert shown["net_fen"] == 12_345
    assert shown["debits"][0].keys() >= {"terminal", "merchant", "batch", "stan", "state", "rrn"}


def test_chances_are_drawn_by_seed():
    """The same seed misbehaves the same way."""

    def drawn(seed):
        habits = Habits(random.Random(seed).random)
        habits.set(Order(chances=(Habit(habit=Name.SILENT, permille=300),)))
        return [habits.draw(On.SALE) is not None for _ in range(200)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert 30 < sum(drawn(1)) < 90


def test_scripts_are_bounded_and_cleared():
    """I11 also here: a script that would grow without end is refused."""
    habits = Habits(lambda: 0.0)
    habits.set(Order(next=(Habit(habit=Name.LATE, times=2),), tombstone=True))
    assert habits.draw(On.REVERSAL) is None
    assert habits.draw(On.SALE) is not None

    with pytest.raises(ValueError, match="scripted"):
        habits.set(Order(next=(Habit(habit=Name.LATE, times=1_001),)))
    habits.set(Order(clear=True))

    assert habits.draw(On.SALE) is None
    assert not habits.tombstone


@pytest.mark.parametrize("frame", [b"", b"\0" * 20, CODEC.encode("0830", {"39": "00"})])
def test_nonsense_is_answered_by_silence(frame):
    """A host does not talk to what it does not understand."""
    assert Rig(start=False).host.receive(frame) == []


def test_unknown_terminal_is_refused_97():
    """A terminal that the bank never registered gets 97, without a MAC."""
    request = {"11": "000001", "41": "99999999", "42": MERCHANT, "60": "00000001003"}

    ((delay_ms, data),) = Rig(start=False).host.receive(CODEC.encode("0800", request))

    answer = CODEC.decode(data[2:])
    assert (delay_ms, answer.code) == (0, "97")
    assert "64" not in answer.fields


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("terminals: []\nwhat: 1", "unknown field"),
        (
            "terminals: [{merchant: M00000000000001, terminal: T0000001, tmk: zz}]",
            "not 32 hex digits",
        ),
        ("terminals: [", "line 1, column 13: expected the node content"),
        ("cards:\n- {pin: *135790}", r"line 2, column 9: an anchor, alias or tag that is none$"),
    ],
)
def test_bad_keys_file_is_named(tmp_path, text, said):
    """File and reason, never a value."""
    path = tmp_path / "keys.yaml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(WorldError, match=said):
        load_world(path)


KEYS = {
    "terminals": [{"merchant": MERCHANT, "terminal": "10000001", "tmk": "0123456789ABCDEF" * 2}],
    "cards": [{"name": "rich", "pan": PAN, "pin": "123456", "balance_fen": 100}],
}


def _start(tmp_path):
    (tmp_path / "keys.json").write_text(json.dumps(KEYS), encoding="utf-8")
    code = "import sys; from switch.cli import main; sys.exit(main(sys.argv[1:]))"
    argv = [sys.executable, "-c", code, "bank", "simulate", "--listen", "127.0.0.1:0"]
    argv += ["--http", "0", "--ledger", str(tmp_path / "bank.db")]
    argv += ["--keys", str(tmp_path / "keys.json"), "--seed", "1"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    return process, json.loads(process.stdout.readline())


def _sign_on(address):
    request = {"11": "000001", "41": "10000001", "42": MERCHANT, "60": "00000001003"}
    body = CODEC.encode("0800", request)
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=20) as link:
        link.sendall(len(body).to_bytes(2, "big") + body)
        data = b""
        while len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2], "big"):
            data += link.recv(4096)
    return CODEC.decode(data[2:])


def test_simulate_survives_kill_9(tmp_path):
    """`yyt bank simulate`: ready line, sign-on, habits, health; its keys outlive kill -9."""
    process, ready = _start(tmp_path)
    try:
        answer = _sign_on(ready["iso8583"])
        body = json.dumps({"next": [{"habit": "silent"}]}).encode()
        with urllib.request.urlopen(f"http://{ready['http']}/habits", body, timeout=20) as reply:
            assert json.load(reply) == {"ok": True}
        with urllib.request.urlopen(f"http://{ready['http']}/health", timeout=20) as reply:
            health = json.load(reply)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(20)
        process.stdout.close()
    ledger = Ledger(str(tmp_path / "bank.db"))
    keys = ledger.keys(MERCHANT, "10000001")
    ledger.close()

    assert answer.code == "00"
    assert health["counts"] == {"sign_on": 1}
    assert keys is not None
    assert ready["ready"] == "bank"
