"""``yyt describe`` of several frames: one a line, or one behind the other."""

import io
import json
import sys

import pytest

from switch import cli
from switch.net.frames import framed
from tests.bank.dialects import CODECS, NAMES, SALE, sale


def _frame(name, stan, *, prefixed=True):
    codec = CODECS[name]
    raw = codec.encode("0200", sale(name) | {"11": stan})
    return (framed(raw, codec.dialect.length_prefix) if prefixed else raw).hex()


def _described(capsys, monkeypatch, text, *options):
    """Exit code and the answers' field 11, from stdin."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    code = cli.main(["describe", "--json", *options, "-"])
    facts = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return code, [one["fields"].get("11", "") for one in facts]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("between", ["", "\n", "\r\n\n"])
def test_frames_one_behind_the_other_are_described_one_by_one(
    capsys, monkeypatch, name, named, between
):
    """With their length prefixes, in one line or in several."""
    options = ["--dialect", name] if named else []
    text = between.join(_frame(name, stan) for stan in ("000001", "000002", "000003"))

    found = _described(capsys, monkeypatch, text, *options)

    assert found == (0, ["000001", "000002", "000003"])


@pytest.mark.parametrize("name", NAMES)
def test_lines_without_a_prefix_are_frames_of_their_own(capsys, monkeypatch, name):
    """As a trace has them."""
    text = "\n".join(_frame(name, stan, prefixed=False) for stan in ("000001", "000002"))

    assert _described(capsys, monkeypatch, text) == (0, ["000001", "000002"])


def test_bodies_by_lines(capsys, monkeypatch):
    """--body has no prefix to cut by: each line is one."""
    codec = CODECS["zj-bcd"]
    text = "\n".join(
        codec.body("0200", sale("zj-bcd") | {"11": stan}).hex() for stan in ("000001", "000002")
    )

    found = _described(capsys, monkeypatch, text, "--body", "--dialect", "zj-bcd")

    assert found == (0, ["000001", "000002"])


def test_one_frame_may_be_wrapped(capsys, monkeypatch):
    """Lines of 32 digits are one frame; so are two frames that are wrapped."""
    whole = _frame("cup-pos", "000001")
    wrapped = "\n".join(whole[at : at + 32] for at in range(0, len(whole), 32))

    assert _described(capsys, monkeypatch, wrapped) == (0, ["000001"])
    both = f"{wrapped}\n{_frame('cup-pos', '000002')}"
    assert _described(capsys, monkeypatch, both)[1][-1] == "000002"


def test_lines_may_end_amid_a_byte(capsys, monkeypatch):
    """A frame that is wrapped at an odd width is one frame."""
    whole = _frame("zj-bcd", "000001")
    wrapped = "\n".join(whole[at : at + 33] for at in range(0, len(whole), 33))

    assert _described(capsys, monkeypatch, wrapped) == (0, ["000001"])


def test_of_several_it_is_said_which_is_broken(capsys, monkeypatch):
    """On stderr too, which may go elsewhere than stdout."""
    text = f"{_frame('cup-pos', '000001')}\n{_frame('cup-pos', '000002')[:-30]}"
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))

    assert cli.main(["describe", "-"]) == 1
    said = capsys.readouterr()
    assert "第 1 条报文, 共 2 条" in said.out
    assert said.err.startswith("yyt describe: 第 2 条报文, 共 2 条\n")


def test_a_broken_one_among_them_is_shown_as_far_as_it_goes(capsys, monkeypatch):
    """The others are whole; the exit code says that one was not."""
    text = f"{_frame('cup-pos', '000001')}\n{_frame('cup-pos', '000002')[:-30]}"

    assert _described(capsys, monkeypatch, text) == (1, ["000001", "000002"])


def test_an_idle_frame_between_them_is_none(capsys, monkeypatch):
    """0000 keeps a host's link open; there is nothing to describe."""
    text = _frame("cups-host", "000001") + b"0000".hex() + _frame("cups-host", "000002")

    assert _described(capsys, monkeypatch, text) == (0, ["000001", "000002"])


def test_for_people_each_has_its_number(capsys):
    """Which of how many, before each; nothing secret."""
    code = cli.main(["describe", _frame("cup-pos", "000001") + _frame("cup-pos", "000002")])
    said = capsys.readouterr().out

    assert code == 0
    assert said.index("第 1 条报文, 共 2 条") < said.index("000001") < said.index("第 2 条报文")
    assert SALE["2"] not in said
