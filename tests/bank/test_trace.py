"""The masked record of a bank's messages, and ``yyt bank trace``."""

import json
import os
from importlib.resources import files
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from channels.iso8583.codec import Codec
from channels.iso8583.config import TraceConfig
from channels.iso8583.load import load_dialect
from channels.iso8583.trace import IN, NOTE, OUT, Trace, lines
from hsm import primitives
from switch.cli import main
from switch.model.outcome import Outcome
from tests.bank.rig import PAN, PIN, TPK, TRACK2, Rig, Timeline, payment, sell, undo


class Bench:
    """A channel that records, and what the host heard of it in clear."""

    def __init__(self, folder, files=3, size=1_000_000):
        trace = {"directory": str(folder), "files": files, "bytes": size}
        self.heard = []
        self.rig = Rig(start=False, trace=trace)
        receive, decode = self.rig.host.receive, self.rig.host.codec.decode
        self.rig.host.receive = lambda frame: self.heard.append(decode(frame)) or receive(frame)
        self.rig.channel.start()
        self.rig.settle()

    def sale(self, key="p1"):
        paid, self.reply = self.rig.run(sell(self.rig, payment(self.rig, key)))
        self.rig.channel.release(undo(paid))
        return paid


def test_what_goes_and_comes_is_recorded_field_by_field(tmp_path):
    """A sign-on, a sale and its answer: both lengths, the fields' values, and our reading."""
    Bench(tmp_path).sale()

    found = list(lines(tmp_path, "icbc"))
    kinds = [(line.way, line.message.get("kind", line.text)) for line in found]
    assert (OUT, "sign_on") in kinds
    at = kinds.index((OUT, "sale"))
    said = [(OUT, "sale"), (NOTE, "payment"), (IN, "sale"), (NOTE, "proven: 00")]
    assert kinds[at : at + 4] == said
    sale, whose = found[at : at + 2]
    assert sale.message["fields"]["4"] == "000000012345"
    assert sale.wire_bytes == sale.message_bytes + 2
    assert whose.payment == "p1"
    assert (whose.terminal, whose.stan) == (sale.terminal, sale.stan)


def test_I12_nothing_of_a_card_or_a_key_is_in_the_record(tmp_path):
    """Card number, tracks, PIN block under either key, working keys in either form."""
    bench = Bench(tmp_path)
    paid = bench.sale()
    bench.rig.run(bench.rig.channel.exchange(undo(paid), None))

    text = "".join(path.read_text("utf-8") for path in tmp_path.iterdir())
    clear = primitives.pin_block_0(PIN, primitives.account12(PAN)).hex().upper()
    secrets = [PAN, TRACK2, TRACK2.replace("=", "D"), clear, TPK]
    for message in bench.heard:
        secrets += [message.fields[n] for n in ("2", "35", "52") if n in message.fields]
    for terminal in bench.rig.terminals:
        secrets += [terminal.keys.pik, terminal.keys.mak]
    assert len(secrets) > 10
    assert [secret for secret in secrets if secret in text] == []
    answers = [line for line in lines(tmp_path, "icbc") if line.way == IN]
    blocks = [one.message["fields"]["62"] for one in answers if "62" in one.message["fields"]]
    assert blocks
    assert {*"".join(blocks)} == {"*"}


def test_what_does_not_prove_itself_is_recorded_with_its_reason(tmp_path):
    """A wrong MAC: the frame, and that it changes nothing."""
    bench = Bench(tmp_path)
    bench.rig.habit("wrong_mac")
    bench.rig.begin(sell(bench.rig, payment(bench.rig)))
    bench.rig.settle(1)

    notes = [line.text for line in lines(tmp_path, "icbc") if line.way == NOTE]
    assert "not proven: wrong MAC; it changes nothing" in notes


def test_I11_the_record_is_a_ring(tmp_path):
    """Never more files than it may have, none much longer than it may be; the newest are kept, for
    their owner's eyes."""
    bench = Bench(tmp_path, files=3, size=4_096)
    for number in range(40):
        bench.sale(f"p{number}")

    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["icbc.1.jsonl", "icbc.2.jsonl", "icbc.jsonl"]
    assert all(path.stat().st_size < 3 * 4_096 for path in tmp_path.iterdir())
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir())
    keys = [int(line.payment[1:]) for line in lines(tmp_path, "icbc") if line.payment]
    assert keys == sorted(keys)
    assert keys[-1] == 39


def test_a_disk_that_does_not_take_it_costs_the_record_alone(tmp_path):
    """The folder is a file: the sale goes on."""
    blocked = tmp_path / "not-a-folder"
    blocked.write_text("")
    bench = Bench(blocked)
    bench.sale()
    assert bench.reply.outcome is Outcome.DONE


def test_a_payment_is_shown_with_its_reversal(tmp_path, capsys):
    """By its key: the sale, the answers, the reversal under the same STAN, and no other payment."""
    bench = Bench(tmp_path)
    paid = bench.sale("p1")
    bench.sale("p2")
    bench.rig.run(bench.rig.channel.exchange(undo(paid), None))

    capsys.readouterr()
    assert main(["bank", "trace", str(tmp_path), "icbc", "p1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    mtis = [line["message"]["mti"] for line in found if line["way"] != NOTE]
    assert mtis == ["0200", "0210", "0400", "0410"]
    assert {line.get("payment", "p1") for line in found} == {"p1"}


def trace(folder, *arguments):
    """``yyt bank trace``: its exit code."""
    return main(["bank", "trace", str(folder), *arguments])


SALE_ROWS = {
    "zh": (
        "2026-07-04 12:00:00  发出  icbc-1  0200 消费  线上 ",
        "\n   4  交易金额                  000000012345\n",
        "\n   2  主账号                    622588******7890\n",
        "\n  52  个人标识码数据            ****************\n",
        "\n      2       60.2 批次号               000001\n",
        "\n  39  应答码                    00  (交易成功)\n",
        "  判断  icbc-1  10000001 000002  支付 p1\n",
        "  判断  icbc-1  10000001 000002  已核实，应答码 00 交易成功\n",
        "  判断  icbc-1  10000002 000002  未通过核实：MAC 错误，不作任何改变\n",
    ),
    "en": (
        "2026-07-04 12:00:00  out  icbc-1  0200 sale  ",
        "\n   4  amount                    000000012345\n",
        "\n  39  response code             00  (交易成功)\n",
        "  reading  icbc-1  10000001 000002  payment p1\n",
        "  reading  icbc-1  10000001 000002  proven: 00 交易成功\n",
        "  reading  icbc-1  10000002 000002  not proven: wrong MAC; it changes nothing\n",
    ),
}


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_tester_reads_names_and_meanings(tmp_path, capsys, monkeypatch, language):
    """Each field with its name, parts with theirs, the response code with its text, what we made of
    it in the reader's language; I12 what is masked stays masked."""
    monkeypatch.setenv("YYT_LANG", language)
    bench = Bench(tmp_path)
    bench.sale()
    bench.rig.habit("wrong_mac")
    bench.rig.begin(sell(bench.rig, payment(bench.rig, "p2")))
    bench.rig.settle(1)
    capsys.readouterr()

    assert trace(tmp_path, "icbc") == 0
    told = capsys.readouterr()
    assert [row for row in SALE_ROWS[language] if row not in told.out] == []
    assert told.err == ""
    assert [secret for secret in (PAN, TRACK2, TPK) if secret in told.out] == []
    words = ("proven", "payment", "sale", "sign_on")
    assert language == "en" or [word for word in words if word in told.out] == []


def test_a_dialect_of_the_hospital_s_own_is_given(tmp_path, capsys, monkeypatch):
    """The record has its name alone: ISO's names and a hint without the file, all with it."""
    monkeypatch.setenv("YYT_LANG", "zh")
    text = (files("channels.iso8583") / "dialects" / "cup-pos.yaml").read_text(encoding="utf-8")
    own = tmp_path / "own.yaml"
    own.write_text(text.replace("name: cup-pos", "name: own", 1), encoding="utf-8")
    codec = Codec(load_dialect(str(own)))
    config = TraceConfig(directory=str(tmp_path), files=1, bytes=1_000_000)
    Trace("icbc", config, codec, Timeline(Clock())).frame(
        IN, "link", codec.encode("0210", {**ANSWER, "39": "51"})
    )

    assert trace(tmp_path, "icbc") == 0
    told = capsys.readouterr()
    assert "  39  response code             51\n" in told.out
    assert "报文规范 own 不是内置规范：用 --dialect FILE" in told.err
    assert trace(tmp_path, "icbc", "--dialect", str(own)) == 0
    told = capsys.readouterr()
    assert "  39  应答码                    51  (余额不足)\n" in told.out
    assert told.err == ""
    assert trace(tmp_path, "icbc", "--dialect", "nowhere") == 2
    assert "nowhere" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("window", "found"),
    [
        (("--since", "2026-07-04"), True),
        (("--until", "2026-07-04"), True),
        (("--since", "2026-07-05"), False),
        (("--until", "2026-07-03"), False),
        (("--since", "2026-07-04 12:00", "--until", "2026-07-04T12:00:00"), True),
        (("--since", "2026-07-04 12:01"), False),
        (("--until", "2026-07-04 11:59"), False),
        (("--since", "20260704120001"), False),
        (("--since", "20260704"), True),
    ],
)
def test_a_window_of_time(tmp_path, capsys, monkeypatch, window, found):
    """Days are whole days, minutes whole minutes; an empty window is a sentence and exit code 1."""
    monkeypatch.setenv("YYT_LANG", "en")
    Bench(tmp_path).sale()
    capsys.readouterr()

    assert trace(tmp_path, "icbc", *window) == (0 if found else 1)
    told = capsys.readouterr()
    assert ("  0200 sale  " in told.out) is found
    assert told.err == ("" if found else "yyt bank trace: icbc: no message in this time\n")


@pytest.mark.parametrize("text", ["yesterday", "2026", "2026-13-01", "2026-02-30", "2026-7-4", "x"])
@pytest.mark.parametrize("option", ["--since", "--until"])
def test_what_is_no_time_is_refused(tmp_path, capsys, monkeypatch, option, text):
    """It would filter nothing, or everything, and the tester would not know."""
    monkeypatch.setenv("YYT_LANG", "zh")

    assert trace(tmp_path, "icbc", option, text) == 2
    assert f"{option} {text}: 时间应写作 YYYY-MM-DD" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("directory", "arguments", "code", "sentence"),
    [
        ("nowhere", ("icbc",), 2, "no such directory (it is trace.directory"),
        ("", ("icb",), 2, "no record of the channel icb; there are records of: icbc"),
        ("empty", ("icbc",), 2, "no record at all is here"),
        ("", ("icbc", "p9"), 1, "the record of icbc has no payment key p9"),
        ("", ("icbc", "p1", "--since", "2026-07-05"), 1, "icbc p1: no message in this time"),
    ],
)
def test_each_reason_for_nothing_is_its_own(
    tmp_path, capsys, monkeypatch, directory, arguments, code, sentence
):
    """A wrong place, a wrong name, a wrong key, a wrong time; JSON says it by the exit code too."""
    monkeypatch.setenv("YYT_LANG", "en")
    bench = Bench(tmp_path, files=3, size=4_096)
    for number in range(20):
        bench.sale(f"p{number % 3}")
    (tmp_path / "empty").mkdir()
    capsys.readouterr()

    for more in ((), ("--json",)):
        assert trace(tmp_path / directory, *arguments, *more) == code
        told = capsys.readouterr()
        assert sentence in told.err
        assert told.out == ("[]\n" if more and code == 1 else "")


HEX_PAN = PAN.encode().hex().upper()
NOT_LUHN = "6225880123456789013"
CODE = "134567890123456789"
KEYS = "0123456789ABCDEFFEDCBA9876543210"
NAMES = {"11": "000042", "41": "10000001", "42": "103290083980001"}
CARD = {**NAMES, "2": PAN, "3": "000000", "4": "000000012345", "22": "021", "25": "00"}
ANSWER = {**NAMES, "3": "000000", "4": "000000012345", "25": "00", "39": "00"}
LEAKS = {
    "a payment code, taken for a sale by card": (
        *("cup-pos", "0200", {**CARD, "22": "031", "59": f"A3018{CODE}"}, CODE),
    ),
    "a payment code in no known message": ("cup-pos", "0820", {"59": f"A3018{CODE}"}, CODE),
    "a payment code behind another tag": (
        *("cup-pos", "0200", {**CARD, "59": f"A2003abcA3018{CODE}"}, CODE),
    ),
    "a payment code in a reversal": (
        *("cup-pos", "0400", {**CARD, "59": f"A3018{CODE}", "60": "2200000700050"}, CODE),
    ),
    "the card's number among digits": ("cup-pos", "0200", {**CARD, "61": f"000{PAN}0"}, PAN),
    "the card's number in parts": ("cup-pos", "0200", {**CARD, "48": f"{PAN}000000"}, PAN[6:12]),
    "a card's number among digits": ("cup-pos", "0210", {**ANSWER, "61": PAN}, PAN),
    "a card's number where totals are at other times": (
        *("cup-pos", "0210", {**ANSWER, "48": f"001{PAN}"}, PAN),
    ),
    "the track's number among digits": (
        *("cup-pos", "0200", {**NAMES, "35": f"{PAN}D4912101", "61": f"0{PAN}"}, PAN),
    ),
    "the chip's number in a text": (
        *("zj-bcd", "0200", {**NAMES, "55": f"5A08{PAN}", "63": f"7{PAN}7"}, PAN),
    ),
    "characters of a number in F46": ("cup-pos", "0200", {**CARD, "46": HEX_PAN}, HEX_PAN),
    "characters of a number in F62": ("cup-pos", "0210", {**ANSWER, "62": HEX_PAN}, HEX_PAN),
    "characters of a number in a tag of F48": (
        *(
            "gz-ascii",
            "0210",
            {**ANSWER, "3": "430350", "48": f"2F01{len(PAN):02X}{HEX_PAN}"},
            HEX_PAN,
        ),
    ),
    "characters of a number in a field that a void fills": (
        *("zj-bcd", "0200", {**CARD, "3": "200000", "60": "23000007", "61": HEX_PAN}, HEX_PAN),
    ),
    "keys in an answer to a sale": (
        *("cup-pos", "0210", {**ANSWER, "60": "2200000700050", "62": KEYS + "00" * 8}, KEYS),
    ),
    "keys in a field that a void fills": (
        *("zj-bcd", "0210", {**ANSWER, "3": "200000", "60": "23000007"}, KEYS),
        {"61": KEYS + "00" * 8},
    ),
    "keys in an echo": (
        *("cups-host", "0820", {"7": "0102111111", "11": "000042", "70": "301"}, KEYS),
        {"48": f"NK{KEYS}"},
    ),
    "a key in an echo": (
        *("cups-host", "0820", {"7": "0102111111", "11": "000042", "70": "301"}, KEYS[:16]),
        {"96": KEYS[:16]},
    ),
    "keys in a text": ("cups-host", "0810", {**ANSWER, "63": f"XX{KEYS}"}, KEYS),
    "a number without a check digit": ("cup-pos", "0210", {**ANSWER, "63": NOT_LUHN}, NOT_LUHN),
    "a number in the merchant's name": (
        *("cup-pos", "0210", {**ANSWER, "43": NOT_LUHN.ljust(40)}, NOT_LUHN),
    ),
    "a number behind other digits": ("cup-pos", "0210", {**ANSWER, "63": f"001{PAN}"}, PAN),
    "a card's number in the parts of a text": ("cups-host", "0210", {**ANSWER, "60": PAN}, PAN),
    "a card's number in a sale's own F60": (
        *("cup-pos", "0200", {**CARD, "60": f"22{PAN}"}, PAN[6:12]),
    ),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_I12_a_secret_in_a_field_that_is_not_its_own_is_masked(tmp_path, leak):
    """Whatever the message was taken for; neither in the field nor, put together, in its parts."""
    name, mti, fields, secret, *more = LEAKS[leak]
    codec = Codec(load_dialect(name))
    config = TraceConfig(directory=str(tmp_path), files=1, bytes=1_000_000)
    trace = Trace("icbc", config, codec, Timeline(Clock()))

    trace.frame(IN, "link", codec.encode(mti, fields | (more[0] if more else {})))

    (line,) = lines(tmp_path, "icbc")
    parts = line.message["subfields"].values()
    shown = [*line.message["fields"].values(), *("".join(p["value"] for p in ps) for ps in parts)]
    assert len(line.message["fields"]) >= len(fields)
    assert [value for value in shown if secret in value] == []


def test_the_file_is_kept_open_and_made_again_when_somebody_takes_it_away(tmp_path):
    """One descriptor for many lines; a removed file costs nothing that comes later."""
    bench = Bench(tmp_path)
    bench.sale("p1")
    (path,) = tmp_path.iterdir()
    kept = [fd for fd in Path("/proc/self/fd").iterdir() if os.path.realpath(fd) == str(path)]
    path.unlink()
    bench.sale("p2")

    assert len(kept) == 1
    assert {line.payment for line in lines(tmp_path, "icbc") if line.payment} == {"p2"}
    assert path.stat().st_mode & 0o077 == 0


def test_a_channel_that_stops_closes_its_record(tmp_path):
    """No descriptor is left behind."""
    bench = Bench(tmp_path)
    bench.sale()
    bench.rig.run(bench.rig.channel.stop())
    (path,) = tmp_path.iterdir()

    open_files = [os.path.realpath(fd) for fd in Path("/proc/self/fd").iterdir()]
    assert str(path) not in open_files
