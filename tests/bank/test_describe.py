"""``yyt describe``: any frame, masked, framed in any way, of any dialect."""

import json
import subprocess
import sys

import pytest

from channels.iso8583.describe import described
from channels.iso8583.framing import Look, looks
from channels.iso8583.message import Message
from channels.iso8583.template import compiled, filled
from switch import cli
from switch.net.frames import framed
from tests.bank.dialects import CODECS, NAMES, SALE, sale
from tests.bank.test_recognise import VALUES

SECRETS = (SALE["2"], SALE["35"], SALE["52"], SALE["2"][6:15])


def _frame(name, *, prefixed=True, body=False):
    codec = CODECS[name]
    if body:
        return codec.body("0200", sale(name)).hex()
    raw = codec.encode("0200", sale(name))
    return (framed(raw, codec.dialect.length_prefix) if prefixed else raw).hex()


def _run(capsys, *arguments):
    code = cli.main(["describe", *arguments])
    return code, capsys.readouterr()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("prefixed", [True, False])
@pytest.mark.parametrize("named", [True, False])
def test_json_of_every_dialect_with_and_without_prefix(capsys, name, prefixed, named):
    """Header, type and fields; binary as upper-case hex, text as text; the dialect is found."""
    options = ["--dialect", name] if named else []

    code, said = _run(capsys, *options, "--json", "--unmasked", _frame(name, prefixed=prefixed))

    facts = json.loads(said.out)
    assert (code, facts["dialect"], facts["mti"]) == (0, name, "0200")
    assert facts["fields"] == sale(name)
    assert bool(facts["header"]) is (name != "gz-ascii")


@pytest.mark.parametrize("name", NAMES)
def test_a_body_begins_at_the_message_type(capsys, name):
    """--body takes what traces often hold; there is no header to show."""
    code, said = _run(
        capsys, "--dialect", name, "--body", "--json", "--unmasked", _frame(name, body=True)
    )

    facts = json.loads(said.out)
    assert (code, facts["header"], facts["fields"]) == (0, {}, sale(name))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("options", [[], ["--json"], ["--lang", "en"]])
def test_I12_nothing_secret_is_shown(capsys, name, options):
    """Number by its ends; track, PIN block and chip data not at all; in text, JSON and English."""
    code, said = _run(capsys, *options, _frame(name))

    assert code == 0
    assert "622588*********0123" in said.out
    assert not any(secret in said.out + said.err for secret in SECRETS)


def test_I12_a_number_that_turns_up_elsewhere_is_masked():
    """The card's own number in a private field, and any other number that could be a card."""
    dialect = CODECS["cup-pos"].dialect
    fields = {"2": SALE["2"], "63": f"X{SALE['2']}Y", "59": "A301662258812345678908"}
    fields["62"] = "4242424242424242"

    shown = described(dialect, Message(mti="0200", fields=fields)).as_json()

    assert SALE["2"] not in str(shown)
    assert "4242424242424242" not in str(shown)


def test_I12_keys_and_payment_codes_are_masked():
    """The key block of a sign-on and the code on the patient's phone are secrets too."""
    dialect = CODECS["cup-pos"].dialect
    keys = {"11": "000001", "39": "00", "41": "10000001", "60": "00000001003", "62": "AB" * 40}
    values = VALUES | {"qr_code": "134567890123456789"}
    sale_by_code = filled(compiled(dialect.operations["qr_sale"]), values)

    sign_on = described(dialect, Message(mti="0810", fields=keys)).as_json()
    by_code = described(dialect, Message(mti="0200", fields=sale_by_code)).as_json()

    assert sign_on["kind"] == "sign_on"
    assert "ABAB" not in str(sign_on)
    assert by_code["kind"] == "qr_sale"
    assert "134567890123456789" not in str(by_code)
    assert by_code["fields"]["59"].startswith("A3")


def test_parts_and_meanings_are_shown(capsys):
    """Subfields by name, unknown tags kept, field 39 with its sentence and action."""
    codec = CODECS["cup-pos"]
    fields = {"11": "000042", "39": "51", "41": "10000001", "54": "1002156C000000012345"}
    fields |= {"55": "9F360200019F770411223344", "60": "2200000700050", "61": "0000070000410726"}

    code, said = _run(capsys, codec.encode("0210", fields).hex())

    assert code == 0
    for words in ("余额不足 · decline", "60.2 批次号", "000007", "61.2 原流水号", "9F77", "符号"):
        assert words in said.out


@pytest.mark.parametrize(
    ("name", "number", "value", "found"),
    [
        ("cup-pos", "62", "11" * 16 + "22" * 4 + "33" * 16 + "44" * 4, ["11" * 16, "22" * 4]),
        ("gz-ascii", "59", "A4003123", ["123"]),
        ("gz-ascii", "60", "22000007", ["22", "000007"]),
        ("gz-ascii", "61", "0000070000410726", ["000007", "000041", "0726"]),
        ("gz-ascii", "62", "AB12", ["AB", "12"]),
        ("zj-bcd", "59", "A4003123", ["123"]),
        ("zj-bcd", "60", "22000007", ["22", "000007"]),
        ("zj-bcd", "61", "0000070000410726", ["000007", "000041", "0726"]),
        ("zj-bcd", "62", "AB12", ["AB12"]),
        ("cups-host", "59", "AB12", ["AB", "12"]),
        ("cups-host", "62", "AB12", ["AB", "12"]),
    ],
)
def test_private_fields_are_taken_apart(name, number, value, found):
    """Each dialect says what is inside its own fields 59 to 62."""
    message = Message(mti="0200", fields={number: value})

    shown = described(CODECS[name].dialect, message, unmasked=True).fields[0]

    assert [one.value for one in shown.pieces][: len(found)] == found
    assert all(one.name for one in shown.pieces)


def test_field_that_is_not_as_declared_is_shown_whole():
    """A broken TLV is a note, not an error."""
    dialect = CODECS["cup-pos"].dialect

    shown = described(dialect, Message(mti="0210", fields={"55": "9F36"}), unmasked=True)

    assert shown.fields[0].value == "9F36"
    assert "缺少长度" in shown.fields[0].note


@pytest.mark.parametrize(
    ("frame", "found"),
    [
        (b"0008" + b"08000000", [Look.ASCII_LENGTH, Look.ASCII_MTI]),
        (b"0216" + b"0200" + bytes(3), [Look.ASCII_LENGTH, Look.ASCII_MTI]),
        (bytes.fromhex("0006600003000002"), [Look.BINARY_LENGTH, Look.TPDU]),
        (bytes.fromhex("600003000002"), [Look.TPDU]),
        (b"\x2e\x020050" + bytes(40) + b"0820", [Look.CUPS_HEADER, Look.ASCII_MTI]),
        (bytes.fromhex("02007038"), [Look.BCD_MTI]),
        (b"GET / HTTP", []),
    ],
)
def test_what_a_frame_looks_like(frame, found):
    """Outermost first; a length of four digits is seen although the frame was cut."""
    assert looks(frame) == found


@pytest.mark.parametrize(
    ("arguments", "path", "words"),
    [
        (["--dialect", "cup-pos", _frame("cup-pos")[:-20]], "length", "bytes follow"),
        (["--dialect", "cup-pos", _frame("cup-pos", prefixed=False)[:-20]], "60", "cut short"),
        (["--dialect", "gz-ascii", _frame("gz-ascii")[:-20]], "length", "bytes follow"),
        (
            ["--dialect", "cup-pos", _frame("gz-ascii")],
            "header",
            "looks like a 4-digit ASCII length",
        ),
        (["00000000"], "frame", "no built-in dialect"),
    ],
    ids=["binary length", "field", "ascii length", "other dialect", "nobody's"],
)
def test_errors_name_field_and_rule(capsys, arguments, path, words):
    """Exit code 1, place and rule on stderr, or in JSON on stdout; never a value."""
    code, said = _run(capsys, "--lang", "en", *arguments)
    json_code, in_json = _run(capsys, "--lang", "en", "--json", *arguments)

    assert (code, json_code) == (1, 1)
    assert path in said.err
    assert words in said.err
    assert json.loads(in_json.out)["error"]["field"] == path
    assert SALE["2"] not in said.err


def test_a_frame_that_no_dialect_reads_is_judged_by_each(capsys):
    """A digit that is none: the dialect that came as far as the field is named with it."""
    frame = _frame("cup-pos").replace("000000012345", "00000001234a", 1)

    code, said = _run(capsys, "--lang", "en", frame)
    _, in_json = _run(capsys, "--lang", "en", "--json", frame)

    assert code == 1
    assert "cup-pos: field 4 (amount): content does not fit" in said.err
    assert all(name in said.err for name in NAMES)
    assert json.loads(in_json.out)["error"]["field"] == "4"


def test_I12_a_track_without_separator_is_masked_whole():
    """What is no track could hold anything."""
    dialect = CODECS["cup-pos"].dialect
    message = Message(mti="0200", fields={"35": "62258812345678901234912101"})

    assert described(dialect, message).fields[0].value == "*" * 26


@pytest.mark.parametrize("arguments", [["xyz"], ["--dialect", "no-such", "0200"], ["0 2 0"]])
def test_mistakes_of_the_user_exit_2(capsys, arguments):
    """Not hexadecimal, no such dialect: one line."""
    code, said = _run(capsys, *arguments)

    assert code == 2
    assert said.err.count("\n") == 1


def test_a_frame_from_stdin_with_spaces_and_colons():
    """What packet tools copy is taken as it is."""
    text = ":".join(_frame("cup-pos")[at : at + 2] for at in range(0, len(_frame("cup-pos")), 2))

    done = subprocess.run(
        [sys.executable, "-m", "switch.cli", "describe", "--json", "-"],
        input=text[:60] + "\n" + text[60:],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )

    assert json.loads(done.stdout)["dialect"] == "cup-pos"
