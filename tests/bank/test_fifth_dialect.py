"""The dialect author's guide, tried: its table makes a fifth dialect, and that dialect pays."""

import json
import re
import socket
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from channels.bank_simulator.macs import keyed
from channels.iso8583.codec import Codec
from channels.iso8583.keyblock import cut_keys
from channels.iso8583.load import load_dialect
from channels.iso8583.mac import MacMaker
from channels.iso8583.template import compiled, filled
from hsm import primitives
from switch import cli
from switch.model.outcome import Outcome
from switch.net.frames import FrameReader, framed
from tests.bank.rig import MERCHANT, PAN, PIN, TMK, Rig, payment, sell, undo

GUIDE = (Path(__file__).parents[2] / "docs" / "dialect-guide.md").read_text(encoding="utf-8")
FIRST_ONLY = ('"3": "000000"', '"25": "00"')
"""What the guide says of its sale alone."""


def _changes():
    """(old, new) of each row of the guide's table."""
    table = GUIDE.split("| the file says | it becomes |\n", 1)[1].split("\n\n", 1)[0]
    for row in table.splitlines()[1:]:
        _, old, new = (cell.strip() for cell in row.strip("|").split("|"))
        yield old.strip("`"), new.strip("`")


@pytest.fixture
def path(tmp_path):
    """harbour.yaml, made as the guide says."""
    text = (files("channels.iso8583") / "dialects" / "cup-pos.yaml").read_text(encoding="utf-8")
    for old, new in _changes():
        assert old in text, old
        text = text.replace(old, new, 1 if old in FIRST_ONLY else -1)
    made = tmp_path / "harbour.yaml"
    made.write_text(text, encoding="utf-8")
    return str(made)


def test_the_guide_makes_a_right_file(path, capsys):
    """check says so, diff shows the changes and no other, describe reads its frames."""
    assert cli.main(["dialect", "check", path]) == 0
    capsys.readouterr()
    assert cli.main(["dialect", "diff", "--json", "cup-pos", path]) == 1
    changed = {row["path"] for row in json.loads(capsys.readouterr().out)}
    assert changed == {
        "name",
        "title",
        "length_prefix",
        "tpdu.destination",
        "header",
        "fields.60.max",
        "fields.64.like",
        "mac.rule",
        "network.sign_on.fields.60",
        "network.sign_on.answer.60",
        "operations.sale.fields.3",
        "operations.sale.fields.25",
        "codes.A1.text",
    }
    codec = Codec(load_dialect(path))
    frame = framed(codec.encode("0800", {"11": "000001"}), codec.dialect.length_prefix)
    assert cli.main(["describe", "--dialect", path, frame.hex()]) == 0
    assert "harbour" in capsys.readouterr().out


def test_the_channel_pays_and_reverses_with_it(path):
    """Sign-on, sale, reversal: the real channel against the simulator, by the file alone."""
    rig = Rig(dialect=path)
    assert all(terminal.fresh for terminal in rig.terminals)

    paid, reply = rig.run(sell(rig, payment(rig)), seconds=2)
    undone = rig.run(rig.channel.exchange(undo(paid), None), seconds=2)

    assert reply.outcome is Outcome.DONE
    assert undone.outcome is Outcome.DONE
    assert rig.host.debits()["net_fen"] == 0


class Terminal:
    """A terminal of the made-up bank on a real socket."""

    def __init__(self, address, dialect):
        host, port = address.split(":")
        self.link = socket.create_connection((host, int(port)), timeout=30)
        self.codec, self.macs = Codec(dialect), MacMaker(dialect)
        self.reader = FrameReader(dialect.length_prefix, 4096)
        self.mak = b""

    def ask(self, mti, fields):
        """The answer to a request, which gets its MAC when there is a key."""
        codec, mac_field = self.codec, self.codec.dialect.mac.field
        if self.mak:
            fields = fields | {mac_field: self.macs.blank}
        encoded = codec.encode(mti, fields)
        if self.mak:
            data = self.macs.input(mti, fields, codec.mab(encoded))
            encoded = self.macs.sealed(encoded, keyed(self.mak, data, self.macs.form))
        self.link.sendall(framed(encoded, codec.dialect.length_prefix))
        while True:
            for frame in self.reader.receive(self.link.recv(4096)):
                return codec.decode(frame)


@pytest.fixture
def bank(path, tmp_path):
    """``yyt bank simulate`` with the file: its address."""
    keys = {
        "terminals": [{"merchant": MERCHANT, "terminal": "10000001", "tmk": TMK}],
        "cards": [{"name": "rich", "pan": PAN, "pin": PIN, "balance_fen": 100_000}],
    }
    (tmp_path / "keys.json").write_text(json.dumps(keys), encoding="utf-8")
    argv = [sys.executable, "-m", "switch.cli", "bank", "simulate", "--listen", "127.0.0.1:0"]
    argv += ["--dialect", path, "--http", "0", "--ledger", str(tmp_path / "bank.db")]
    argv += ["--keys", str(tmp_path / "keys.json"), "--seed", "1"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    yield json.loads(process.stdout.readline())["iso8583"]
    process.kill()
    process.wait(20)
    process.stdout.close()


def test_a_sale_over_a_real_socket(path, bank):
    """Sign on, take the keys, pay with PIN and MAC; the answer's MAC is the bank's."""
    dialect = load_dialect(path)
    terminal = Terminal(bank, dialect)
    values = {"stan": "000001", "batch": "000001", "terminal": "10000001", "merchant": MERCHANT}
    sign_on = dialect.network["sign_on"]

    block = cut_keys(dialect, terminal.ask(sign_on.mti, filled(compiled(sign_on), values)).fields)
    tmk = bytes.fromhex(TMK)
    pik = primitives.ecb_decrypt(tmk, bytes.fromhex(block.pik.removeprefix("X")))
    terminal.mak = primitives.ecb_decrypt(tmk, bytes.fromhex(block.mak.removeprefix("X")))
    pin_block = primitives.pin_block_0(PIN, primitives.account12(PAN))
    values |= {
        "stan": "000002",
        "pan": PAN,
        "amount": "000000000100",
        "entry_mode": "021",
        "currency": "156",
        "track2": PAN + "D4912101",
        "pin_block": primitives.ecb_encrypt(pik, pin_block).hex().upper(),
    }
    sale = dialect.operations["sale"]
    answer = terminal.ask(sale.mti, filled(compiled(sale), values))
    terminal.link.close()

    data = terminal.macs.input(answer.mti, answer.fields, answer.mab)
    assert answer.code == "00"
    assert answer.fields["3"] == "190000"
    assert answer.fields["64"].encode() == keyed(terminal.mak, data, terminal.macs.form)


def test_every_error_the_guide_names_is_one_that_is_said():
    """Sentences in the guide are those of the program."""
    sources = "".join(
        path.read_text(encoding="utf-8")
        for path in (Path(__file__).parents[2] / "channels" / "iso8583").glob("*.py")
    )

    for sentence in ("its length is no number, cut short, or above", "padded with another nibble"):
        assert sentence in GUIDE
        assert sentence in sources
    assert re.search(r"no value is called \{name\}", sources)
