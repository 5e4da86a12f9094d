"""`yyt bank simulate` as a program: links both ways, controls over HTTP, view and scripts."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from itertools import chain
from textwrap import dedent

import msgspec
import pytest

from channels.bank_simulator.entries import WorkingKeys
from channels.bank_simulator.world import WorldError, load_world
from channels.iso8583.codec import Codec
from channels.iso8583.load import BUILT_IN, load_dialect
from tests.bank.teller import MERCHANT, TERMINAL, WORLD, Teller
from tests.bank.test_simulator_book import DIALECTS

PATIENCE_S = 20


class FarBank:
    """A bank at the other end of a socket, as a Teller uses one: host and ledger in one."""

    def __init__(self, link, dialect):
        self.link = link
        self.codec = Codec(dialect)
        self.digits = dialect.length_prefix == "ascii_4"
        self.stock = b""
        self.learned = None
        self.teller = None

    def keys(self, _merchant, _terminal):
        return self.learned

    def commit(self):
        pass

    def receive(self, frame):
        """Send; take what comes, one frame."""
        prefix = b"%04d" % len(frame) if self.digits else len(frame).to_bytes(2, "big")
        self.link.sendall(prefix + frame)
        return [(0, self.take())]

    def take(self):
        width = 4 if self.digits else 2
        while True:
            head = self.stock[:width]
            size = int(head) if self.digits and head else int.from_bytes(head, "big")
            if len(self.stock) >= width + size and len(head) == width:
                frame, self.stock = self.stock[: width + size], self.stock[width + size :]
                self.learn(self.codec.decode(frame[width:]))
                return frame
            data = self.link.recv(4_096)
            assert data, "the bank hung up"
            self.stock += data

    def learn(self, message):
        """Keys that a sign-on's answer brings."""
        if self.teller is not None and message.mti == "0810":
            self.learned = WorkingKeys(
                **dict(zip(("pik", "mak"), self.teller.brought(message), strict=True)),
                batch="000001",
            )


class FarTeller(Teller):
    """A terminal at a bank that runs as a process."""

    def __init__(self, link, dialect):
        bank = FarBank(link, load_dialect(dialect))
        bank.teller = self
        super().__init__(dialect, ledger=bank, host=bank)

    def sign_on(self):
        """As the dialect has it; pushed keys are taken from the link."""
        self.send("sign_on")
        if not self.dialect.sign_on.brings_keys:
            self.send("key_request")
            pik = mak = b""
            for _ in range(2):
                asked = self.decode(self.host.take())
                (key,) = self.brought(asked)
                pik, mak = (key, mak) if asked.fields["53"][0] == "1" else (pik, key)
                self.acknowledge(asked, key)
            self.host.learned = WorkingKeys(pik=pik, mak=mak, batch="000001")

    def acknowledge(self, asked, proof):
        numbers = {*self.dialect.answers.echo, "60", "62"}
        kept = {n: asked.fields[n] for n in numbers if n in asked.fields}
        keys = WorkingKeys(pik=b"", mak=proof, batch="")
        mti = self.dialect.mtis[asked.mti].answer
        self.host.link.sendall(self.wire.push(mti, kept | {"39": "00"}, keys))


@contextmanager
def bank(tmp_path, *more, way=("--listen", "127.0.0.1:0")):
    """A simulator process and its ready line; killed at the end if it still runs."""
    keys = tmp_path / "keys.json"
    keys.write_text(msgspec.json.encode(WORLD).decode(), encoding="utf-8")
    code = "import sys; from switch.cli import main; sys.exit(main(sys.argv[1:]))"
    argv = [sys.executable, "-c", code, "bank", "simulate", *way, "--http", "0", "--seed", "1"]
    argv += ["--ledger", str(tmp_path / "bank.db"), "--keys", str(keys), *more]
    env = {**os.environ, "YYT_LANG": "zh"}
    process = subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    )
    try:
        yield process, json.loads(process.stdout.readline())
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.wait(PATIENCE_S)
        process.stdout.close()
        process.stderr.close()


def dial(ready):
    host, port = ready["iso8583"].split(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE_S)


def http(ready, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    url = f"http://{ready['http']}{path}"
    try:
        with urllib.request.urlopen(url, data, timeout=PATIENCE_S) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as refused:
        return json.load(refused)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_one_simulator_serves_every_dialect(tmp_path, dialect):
    """Sign-on or key reset, a sale, its reversal, the ledger: by the dialect's name alone."""
    with bank(tmp_path, "--dialect", dialect) as (_, ready), dial(ready) as link:
        teller = FarTeller(link, dialect)
        assert teller.business("sale", 100, stan="000050") == "00"
        assert teller.business("sale", 70, stan="000051") == "00"
        assert teller.reverse("000050") == "00"
        assert http(ready, "/ledger")["net_fen"] == 70


def test_several_links_and_a_bank_that_dials(tmp_path):
    """Two links share one book; `--connect` makes the bank dial."""
    with bank(tmp_path) as (_, ready), dial(ready) as one, dial(ready) as two:
        first = FarTeller(one, "cup-pos")
        second = FarTeller(two, "cup-pos")
        first.ledger.learned = second.ledger.learned
        assert first.business("sale", 100, stan="000050") == "00"
        assert second.business("sale", 70, stan="000051") == "00"
        assert http(ready, "/health")["links"] == 2

    door = socket.create_server(("127.0.0.1", 0))
    door.settimeout(PATIENCE_S)
    way = ("--connect", f"127.0.0.1:{door.getsockname()[1]}")
    with bank(tmp_path, way=way) as (_, ready), door:
        link, _ = door.accept()
        link.settimeout(PATIENCE_S)
        with link:
            assert FarTeller(link, "cup-pos").business("sale", 5, stan="000052") == "00"
        assert http(ready, "/ledger")["net_fen"] == 175


def test_keys_and_the_day_on_command(tmp_path):
    """POST /push and /day; a push without a link, or that the dialect has not, is refused."""
    with bank(tmp_path, "--dialect", "cups-host") as (_, ready):
        assert http(ready, "/push", {"kind": "key_reset"}) == {"error": "no link is up"}
        with dial(ready) as link:
            teller = FarTeller(link, "cups-host")
            assert http(ready, "/push", {"kind": "key_reset"}) == {"ok": True}
            assert teller.decode(teller.host.take()).fields["70"] == "101"
            assert http(ready, "/push", {"kind": "day_cut_start"}) == {"ok": True}
            assert teller.decode(teller.host.take()).fields["70"] == "201"
            assert "sign_on" in http(ready, "/push", {"kind": "sign_on"})["error"]
            assert "not in" in http(ready, "/push", {"merchant": "1", "terminal": "2"})["error"]
        today = http(ready, "/day", {})["date"]
        assert http(ready, "/day", {})["date"] > today
    with bank(tmp_path) as (_, ready), dial(ready) as link:
        FarTeller(link, "cup-pos")
        assert "no key_reset" in http(ready, "/push", {"kind": "key_reset"})["error"]


def test_the_banks_own_kiosk_dials_the_door(tmp_path):
    """`--branch`: signs on there as a terminal; `GET /branch` tells what it did."""
    door = socket.create_server(("127.0.0.1", 0))
    door.settimeout(PATIENCE_S)
    more = ("--branch", f"127.0.0.1:{door.getsockname()[1]}")
    with bank(tmp_path, *more) as (_, ready), door:
        link, _ = door.accept()
        with link:
            link.settimeout(PATIENCE_S)
            data = link.recv(4_096)
            asked = Codec(load_dialect("cup-pos")).decode(data[2:])
            assert (asked.mti, asked.fields["41"]) == ("0800", "BRANCH01")
            assert http(ready, "/branch")["signed_on"] is False
            assert "not signed on" in http(ready, "/branch", {"do": "settle"})["error"]


def test_a_live_view_of_what_happens(tmp_path):
    """One line a message, in Chinese; nothing on it is secret."""
    with bank(tmp_path, "--watch") as (process, ready), dial(ready) as link:
        FarTeller(link, "cup-pos").business("sale", 100)
        up, *lines = (process.stdout.readline() for _ in range(3))

    assert up.endswith(" 已建立\n")
    assert f"0800 签到 {TERMINAL}/000001 → 00 交易成功" in lines[0]
    assert f"0200 消费 {TERMINAL}/000002 1.00 622588******7890 → 00 交易成功" in lines[1]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as door:
        return door.getsockname()[1]


def test_a_link_that_does_not_come_up_is_shown(tmp_path):
    """Dialling, why it failed (once, however often it is tried), up, down and why."""
    port = free_port()
    way = ("--connect", f"127.0.0.1:{port}")
    with bank(tmp_path, "--watch", way=way) as (process, _):
        lines = [process.stdout.readline() for _ in range(2)]
        with socket.create_server(("127.0.0.1", port)) as door:
            door.settimeout(PATIENCE_S)
            link, _ = door.accept()
            lines.append(process.stdout.readline())
            link.close()
            lines += [process.stdout.readline() for _ in range(2)]

    said = [line.split(" ", 1)[1].strip() for line in lines]
    name = f"链路 127.0.0.1:{port}"
    assert said == [
        f"{name} 正在连接",
        f"{name} 连接失败: 对方拒绝",
        f"{name} 已建立",
        f"{name} 已断开: 正常关闭",
        f"{name} 正在连接",
    ]


def test_a_link_that_the_bank_ends_says_why(tmp_path):
    """A peer that speaks another protocol is told from one that went; so is a drop on command."""
    with bank(tmp_path, "--watch") as (process, ready):
        with dial(ready) as link:
            link.sendall(b"GET / HTTP/1.1\r\n\r\n")
            lines = [process.stdout.readline() for _ in range(2)]
        http(ready, "/habits", {"next": [{"habit": "drop_link", "on": "sign_on"}]})
        with dial(ready) as link:
            link.sendall(Teller("cup-pos").frames("sign_on"))
            lines += [process.stdout.readline() for _ in range(3)]

    assert "looks like TLS or HTTP" in lines[1]
    assert lines[-1].endswith(" 已断开: 本行断开\n")


def test_links_that_come_and_those_of_a_branch_are_shown(tmp_path):
    """As JSON too, in English by their own words."""
    more = ("--branch", f"127.0.0.1:{free_port()}", "--watch", "--json")
    with bank(tmp_path, *more) as (process, ready):
        lines = [process.stdout.readline() for _ in range(2)]
        with dial(ready) as link:
            peer = "{}:{}".format(*link.getsockname())
            lines.append(process.stdout.readline())
        lines.append(process.stdout.readline())

    rows = [json.loads(line) for line in lines]
    assert [(row["link"], row.get("why"), row.get("branch")) for row in rows] == [
        ("dialling", None, True),
        ("failed", "refused", True),
        ("up", None, None),
        ("down", "closed", None),
    ]
    assert rows[2]["peer"] == rows[3]["peer"] == peer


SCRIPT = """
title: a lost answer
steps:
- habit: {habit: silent, on: sale}
- expect: {kind: sign_on, code: 00, within_ms: 20000}
- expect: {kind: sale, amount_fen: 100, habit: silent, within_ms: 20000}
- expect: {kind: reversal, code: 00, within_ms: 20000}
- net_fen: 0
- say: the money is back
"""


def test_a_script_passes_with_exit_code_0(tmp_path):
    """Expectations, habits and the book; the lines are JSON."""
    script = tmp_path / "script.yaml"
    script.write_text(SCRIPT, encoding="utf-8")
    more = ("--script", str(script), "--json")
    with bank(tmp_path, *more) as (process, ready), dial(ready) as link:
        teller = FarTeller(link, "cup-pos")
        link.sendall(teller.frames("sale", stan="000050", amount="000000000100"))
        assert teller.reverse("000050") == "00"
        lines = [json.loads(line) for line in process.stdout]
        assert process.wait(PATIENCE_S) == 0

    said = [(line["say"], line.get("passed")) for line in lines]
    assert said == [("the money is back", None), ("脚本通过", True)]


def test_a_script_that_fails_says_why_and_exits_1(tmp_path):
    """The step, what was expected, what came."""
    script = tmp_path / "script.yaml"
    steps = "steps:\n- expect: {kind: sign_on}\n- never: {kind: sale, for_ms: 20000}\n"
    script.write_text(steps, encoding="utf-8")
    with bank(tmp_path, "--script", str(script)) as (process, ready), dial(ready) as link:
        teller = FarTeller(link, "cup-pos")
        teller.send("sale", amount="000000000100")
        (line,) = process.stdout
        assert process.wait(PATIENCE_S) == 1

    assert "脚本未通过: step 2: never: kind sale, for_ms 20000: it came" in line


def test_a_script_that_is_stopped_has_not_passed(tmp_path):
    """Whoever ends it early, a build server too, gets exit code 1."""
    script = tmp_path / "script.yaml"
    script.write_text("steps: [{say: begun}, {wait_ms: 3600000}]", encoding="utf-8")
    with bank(tmp_path, "--script", str(script), "--json") as (process, _):
        assert json.loads(process.stdout.readline())["say"] == "begun"
        process.terminate()
        (line,) = process.stdout
        assert process.wait(PATIENCE_S) == 1

    told = json.loads(line)
    assert (told["say"], told["passed"]) == ("脚本未结束就被停止", False)


def test_it_ends_when_nobody_reads_the_view_any_more(tmp_path):
    """As any filter does; without a traceback."""
    with bank(tmp_path, "--watch") as (process, ready):
        process.stdout.close()
        with dial(ready):
            assert process.wait(PATIENCE_S) == 0
        assert process.stderr.read() == ""


def test_the_help_is_enough_to_begin(tmp_path):
    """Every built-in dialect is named, and the keys file that it shows is one."""
    done = subprocess.run(
        [sys.executable, "-m", "switch.cli", "bank", "simulate", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "YYT_LANG": "en"},
    )
    assert [name for name in BUILT_IN if name not in done.stdout] == []
    _, _, shown = done.stdout.partition("never real keys or cards):\n")
    keys = tmp_path / "keys.yaml"
    keys.write_text(dedent(shown.partition("\n\n")[0]), encoding="utf-8")
    world = load_world(keys)
    assert (len(world.terminals), len(world.cards)) == (1, 1)


def refused(tmp_path, **changes):
    """What a simulator says that does not start: one sentence, exit code 2, no traceback."""
    keys = tmp_path / "keys.json"
    keys.write_text(msgspec.json.encode(WORLD).decode(), encoding="utf-8")
    options = {"listen": "127.0.0.1:0", "http": "0", "ledger": tmp_path / "b.db", "keys": keys}
    given = [
        [f"--{name}"] if value is None else [f"--{name}={value}"]
        for name, value in {**options, **changes}.items()
    ]
    done = subprocess.run(
        [sys.executable, "-m", "switch.cli", "bank", "simulate", *chain(*given)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "YYT_LANG": "zh"},
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert MERCHANT not in done.stderr
    return done.stderr


KEYS_YAML = """terminals:
- {merchant: "103290083980001", terminal: "10000001", tmk: 0123456789ABCDEFFEDCBA9876543210}
cards:
- {name: zhang, pan: "6225881234567890", pin: "135790", balance_fen: 10000}
- {name: li, pan: "6200000000000000005", pin: "135790", balance_fen: 500}
"""
BAD_YAML = "terminals:\n- {merchant: a, terminal: b\n  tmk: 0123456789ABCDEF}\n"


def test_a_wrong_file_is_one_sentence(tmp_path):
    """Which file, which line, which rule; nothing of a key that stands there."""
    bad = tmp_path / "bad.yaml"
    bad.write_text(BAD_YAML, encoding="utf-8")
    sing = tmp_path / "sing.yaml"
    sing.write_text("steps: [{sing: a}]", encoding="utf-8")
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"cards: \xff")

    assert "unknown field `sing`" in refused(tmp_path, script=sing)
    assert f"{bad}: line 3, column 6: expected" in refused(tmp_path, script=bad)
    told = refused(tmp_path, keys=bad)
    assert f"{bad}: line 3, column 6: expected" in told
    assert "0123" not in told
    assert "none.yaml: No such file or directory" in refused(tmp_path, keys=tmp_path / "none.yaml")
    assert f"{latin}: not UTF-8 text" in refused(tmp_path, keys=latin)


def test_a_wrong_ledger_is_one_sentence(tmp_path):
    """A file of another kind (it stays as it is), a folder, a folder that is a file."""
    other = tmp_path / "notes.txt"
    other.write_text("not a database, and long enough to be looked at " * 40, encoding="utf-8")
    before = other.read_bytes()

    assert f"{other}: 打不开账本: file is not a database" in refused(tmp_path, ledger=other)
    assert other.read_bytes() == before
    assert f"{tmp_path}: 打不开账本: unable to open" in refused(tmp_path, ledger=tmp_path)
    assert "打不开账本" in refused(tmp_path, ledger=other / "bank.db")


def test_a_ledger_has_one_simulator(tmp_path):
    """A second one would give numbers out twice; when the first is gone, even killed, it may."""
    with bank(tmp_path) as (process, _):
        ledger = tmp_path / "bank.db"
        assert f"{ledger}: 另一个模拟器正在使用此账本" in refused(tmp_path, ledger=ledger)
        process.kill()
        process.wait(PATIENCE_S)
    with bank(tmp_path) as (_, ready):
        assert ready["ready"] == "bank"


@pytest.mark.parametrize(
    ("right", "wrong", "rule"),
    [
        ("10000001", "1001", "terminals 1: terminal: Expected `str` matching"),
        ("103290083980001", "10329", "terminals 1: merchant: Expected `str` matching"),
        ("6225881234567890", "62258812345678X0", "cards 1: pan: Expected `str` matching"),
        ("500", "5.00", "line 5, column 70: not a whole number"),
        ("name: li", "name: zhang", "cards: name: one stands there twice"),
        ("6200000000000000005", "6225881234567890", "cards: pan: one stands there twice"),
    ],
)
def test_a_wrong_keys_file_names_place_and_rule_and_no_card(tmp_path, right, wrong, rule):
    """What would otherwise be found as a sign-on or a sale that fails (I12)."""
    keys = tmp_path / "own.yaml"
    assert KEYS_YAML.count(right) == 1
    keys.write_text(KEYS_YAML.replace(right, wrong), encoding="utf-8")

    with pytest.raises(WorldError, match=re.escape(rule)) as caught:
        load_world(keys)

    assert "622588" not in str(caught.value)


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("listen", "127.0.0.1:99999", "127.0.0.1:99999: 应写作 HOST:PORT，端口 0 到 65535"),
        ("listen", "8583", "8583: 应写作 HOST:PORT"),
        ("branch", "127.0.0.1:70000", "127.0.0.1:70000: 应写作 HOST:PORT"),
        ("branch", "127.0.0.1:0", "127.0.0.1:0: 应写作 HOST:PORT，端口 1 到 65535"),
        ("http", "99999", "99999: 端口是 0 到 65535 的整数"),
        ("http", "-1", "-1: 端口是 0 到 65535 的整数"),
    ],
)
def test_a_wrong_address_is_one_sentence(tmp_path, option, value, sentence):
    """What no socket has."""
    assert sentence in refused(tmp_path, **{option: value})


def test_json_alone_is_refused(tmp_path):
    """It would show nothing: nobody watches, no script is played."""
    assert "--json 与 --watch 或 --script 同用" in refused(tmp_path, json=None)


def test_a_wrong_order_is_told_what_would_be_right(tmp_path):
    """Place, rule, and the names that there are."""
    with bank(tmp_path) as (_, ready):
        habit = http(ready, "/habits", {"next": [{"habit": "lost"}]})["error"]
        push = http(ready, "/push", {"kind": "sale"})["error"]

    assert habit.startswith("next 1: habit: Invalid enum value 'lost'; one of ")
    assert "lose, " in habit
    assert push == (
        "kind: Invalid enum value 'sale'; one of day_cut_end, day_cut_start, echo, key_reset"
    )


def test_a_path_that_is_none_names_those_that_are(tmp_path):
    """404, and what can be asked."""
    with bank(tmp_path) as (_, ready):
        told = http(ready, "/leger")

    assert told["error"] == "no such path"
    assert {"GET /ledger", "GET /health", "POST /habits", "POST /push"} <= set(told["paths"])
