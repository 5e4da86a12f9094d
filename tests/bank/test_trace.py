"""The masked record of a bank's messages, and ``yyt bank trace``."""

import json
import os
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


@pytest.mark.parametrize(("since", "until", "found"), [("20990101", "", False), ("", "2026", True)])
def test_a_window_of_time_in_words(tmp_path, capsys, monkeypatch, since, until, found):
    """Nothing in it is one sentence; else each field on its line."""
    monkeypatch.setenv("YYT_LANG", "en")
    Bench(tmp_path).sale()
    arguments = ["bank", "trace", str(tmp_path), "icbc", "--since", since, "--until", until]
    code = main(arguments)
    told = capsys.readouterr()

    assert code == (0 if found else 2)
    assert ("  0200 sale  " in told.out) is found
    assert ("   4  000000012345" in told.out) is found
    assert ("no record" in told.err) is not found


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
