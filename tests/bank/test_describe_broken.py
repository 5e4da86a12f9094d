"""``yyt describe`` of what is not right: broken frames, incomplete messages, what is no frame."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from channels.iso8583.codec import Codec
from channels.iso8583.describe import Explainer
from channels.iso8583.errors import RemoteError
from channels.iso8583.framing import as_far, read
from channels.iso8583.rule_texts import rule_text
from switch import cli
from switch.net.frames import framed
from tests.bank.dialects import CODECS, NAMES, SALE, sale

SECRETS = (SALE["2"], SALE["35"], SALE["52"], SALE["2"][6:15])
SOURCES = Path(__file__).parents[2] / "channels" / "iso8583"


def _run(capsys, *arguments):
    code = cli.main(["describe", *arguments])
    return code, capsys.readouterr()


def _sale(name):
    codec = CODECS[name]
    return framed(codec.encode("0200", sale(name)), codec.dialect.length_prefix)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("named", [True, False])
def test_a_frame_that_was_cut_shows_the_fields_before_the_cut(capsys, name, named):
    """In text and in JSON, then the place and the rule; the dialect is found all the same."""
    cut = _sale(name)[:-12].hex()
    options = ["--dialect", name] if named else []

    code, said = _run(capsys, *options, cut)
    _, in_json = _run(capsys, *options, "--json", "--unmasked", cut)
    facts = json.loads(in_json.out)

    assert code == 1
    assert "交易金额" in said.out
    assert SALE["4"] in said.out
    assert "长度前缀：写的是" in said.err
    assert "第 60 域（" in said.err
    assert facts["dialect"] == name
    assert facts["fields"] == {n: v for n, v in sale(name).items() if int(n) < 60}
    assert facts["error"]["field"] == "length"
    assert "第 60 域（" in facts["problem"]


def test_a_field_that_is_not_in_the_dialect_ends_what_can_be_read(capsys):
    """Nobody knows how long it is: what stands before it is shown."""
    dialect = CODECS["cup-pos"].dialect
    fields = {number: field for number, field in dialect.fields.items() if number != "26"}
    codec = Codec(replace(dialect, fields=fields))
    frame = CODECS["cup-pos"].encode("0200", sale("cup-pos"))

    far = as_far(codec, frame)

    assert list(far.message.fields) == ["2", "3", "4", "11", "22", "23", "25"]
    assert [(one.path, one.rule) for one in far.errors] == [("26", "field is not in the dialect")]


@pytest.mark.parametrize("name", NAMES)
def test_I12_no_cut_shows_a_secret(name):
    """Wherever the frame ends, with and without its prefix: what is shown is masked."""
    codec = CODECS[name]
    explainer = Explainer(codec.dialect)
    frame = _sale(name)
    for end in range(1, len(frame)):
        for data in (frame[:end], frame[4:end]):
            far = as_far(codec, data)
            if far.message is not None and far.errors:
                shown = str(explainer.described(far.message, far.errors).as_json())
                assert not any(secret in shown for secret in SECRETS), end


def test_I12_behind_a_card_number_that_was_misread_nothing_is_shown():
    """The bank writes field 2 in characters, the file says BCD: its second half would stand in
    fields 3 and 4."""
    number = "622588123456789012"
    fields = {"2": number, "3": "000000", "4": "000000012345", "11": "000042"}
    body = CODECS["cup-pos"].body("0200", fields)
    right = bytes.fromhex("18" + number)
    assert right in body
    wrong = body.replace(right, b"\x18" + number.encode())

    far = as_far(CODECS["cup-pos"], wrong, body=True)
    shown = Explainer(CODECS["cup-pos"].dialect).described(far.message, far.errors)

    assert [one.number for one in shown.fields] == ["2", "3", "4", "11"]
    assert all(set(one.value) == {"*"} for one in shown.fields[1:])


def test_a_message_that_lacks_a_field_says_which_and_why(capsys):
    """By number, name and rule, in the chosen language; it decodes, so the exit code is 0."""
    frame = CODECS["cup-pos"].encode("0200", {"3": "000000"}).hex()

    code, chinese = _run(capsys, "--dialect", "cup-pos", frame)
    english_code, english = _run(capsys, "--lang", "en", "--dialect", "cup-pos", frame)

    assert (code, english_code) == (0, 0)
    assert re.search(r"问题: 第 \d+ 域（.+）：0200 报文必须有这个域", chinese.out)
    assert re.search(r"problem: field \d+ \(.+\): mandatory in 0200", english.out)


def _rules():
    """Every rule that reading a message can break, as the sources say it."""
    for name in ("codec", "field_codec", "framing", "headers", "rules", "tlv"):
        tree = ast.parse((SOURCES / f"{name}.py").read_text(encoding="utf-8"))
        constants = {
            node.targets[0].id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {
                "RemoteError",
                "TlvError",
            }:
                rule = node.args[-1]
                if isinstance(rule, ast.Name) and rule.id in constants:
                    rule = constants[rule.id]
                yield _written(rule)


def _written(rule):
    if isinstance(rule, ast.Constant):
        return rule.value
    if isinstance(rule, ast.JoinedStr):
        return "".join(one.value if isinstance(one, ast.Constant) else "7" for one in rule.values)
    return None


def test_every_rule_has_a_chinese_sentence():
    """One that is added to the codec is added to the table."""
    rules = [rule.replace("is not 7", "is not gbk") for rule in _rules() if rule is not None]

    assert len(rules) > 20
    for rule in rules:
        assert re.search("[一-鿿]", rule_text(rule, english=False)), rule
        assert rule_text(rule, english=True) == rule


def test_what_looks_like_nothing_is_said_in_whole_sentences(capsys):
    """Not: it looks like it looks like nothing."""
    _, said = _run(capsys, "ffffffff")

    assert "不像任何已知的报文开头 · no known beginning of a frame" in said.err
    assert "看起来是" not in said.err


@pytest.mark.parametrize(
    ("text", "words"),
    [("02 0z", "第 5 个字符"), ("0200\n6", "位数是奇数"), ("0x0200", "第 2 个字符")],
)
def test_what_is_not_hexadecimal_is_said_with_its_place(capsys, text, words):
    """Which character, or that a digit is missing; never the text itself."""
    code, said = _run(capsys, text)

    assert (code, said.out) == (2, "")
    assert words in said.err
    assert text not in said.err


@pytest.mark.parametrize("errors", ["utf-8:strict", "utf-8:surrogateescape"])
def test_a_frame_that_comes_in_binary_is_no_traceback(errors):
    """Whether Python decodes stdin strictly or not: what to do, and nothing of the frame."""
    done = subprocess.run(
        [sys.executable, "-m", "switch.cli", "describe", "-"],
        input=b"\x81\xff" + _sale("cup-pos"),
        env=os.environ | {"PYTHONIOENCODING": errors},
        capture_output=True,
        check=False,
        timeout=30,
    )

    said = done.stderr.decode()
    assert (done.returncode, done.stdout) == (2, b"")
    assert said.startswith("yyt describe: 不是十六进制: 第 1 个字符")
    assert "xxd -p" in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_frame_of_another_dialect_than_the_named_one_is_told(capsys, name):
    """Who reads it, in text and in JSON; the exit code stays that of a broken frame."""
    frame = _sale(name).hex()
    other = "gz-ascii" if name == "cup-pos" else "cup-pos"

    code, said = _run(capsys, "--dialect", other, frame)
    _, in_json = _run(capsys, "--dialect", other, "--json", frame)

    assert code == 1
    assert f"能解开它的内置规范: {name}" in said.err
    assert json.loads(in_json.out)["others"] == [name]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [(["zz"], "frame"), ([" "], "frame"), (["0200", "--dialect", "nope"], "dialect")],
)
def test_with_json_a_mistake_of_the_user_is_json_too(capsys, arguments, field):
    """One object on stdout with error and problem, nothing on stderr, exit code 2 as without."""
    code, said = _run(capsys, "--json", *arguments)

    facts = json.loads(said.out)
    assert (code, said.err) == (2, "")
    assert facts["error"]["field"] == field
    assert facts["problem"]


def test_what_reads_is_never_called_broken():
    """as_far and read agree on whole frames."""
    for name in NAMES:
        far = as_far(CODECS[name], _sale(name))
        assert (far.errors, far.message.fields) == ((), sale(name))
        with pytest.raises(RemoteError):
            read(CODECS[name], _sale(name)[:-1])
