"""Settings of doors: what a configuration may say, and what conf check refuses."""

from importlib.resources import files

import msgspec
import pytest

from channels.inbound.bank_origin.config import OriginConfig
from channels.inbound.business_date import whole_date
from channels.inbound.capture import captured
from channels.inbound.pos.config import PosConfig
from channels.inbound.totals import claimed
from channels.iso8583.errors import DialectError
from channels.iso8583.load import load_dialect, parse_dialect
from switch.bench.counter_stage import _door_settings
from tests.inbound.rig import ORIGIN_DOOR, POS_DOOR, POS_TERMINAL, TERMINAL


def _pos(**changes):
    return msgspec.convert({**POS_DOOR, **changes}, PosConfig, strict=False)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"terminals": [POS_TERMINAL, POS_TERMINAL]}, "named twice"),
        ({"terminals": [{**POS_TERMINAL, "operations": []}]}, "length"),
        ({"terminals": [{**POS_TERMINAL, "operations": ["cash"]}]}, "cash"),
        ({"terminals": [{**POS_TERMINAL, "operations": ["sale", "deposit"]}]}, "deposit"),
        ({"dialect": "nowhere"}, "nowhere"),
        ({"peer_in_flight_limit": 0}, ">= 1"),
        ({"idle_timeout_ms": None}, "idle_timeout_ms"),
    ],
)
def test_mistakes_are_named(changes, text):
    """Every limit is stated, every terminal is one."""
    with pytest.raises(msgspec.ValidationError, match=text):
        _pos(**changes)


def test_a_dialect_without_the_sections_is_for_no_door(tmp_path):
    """``inbound`` for any door, ``origin`` for a bank's."""
    text = (files("channels.iso8583") / "dialects" / "cup-pos.yaml").read_text(encoding="utf-8")
    start, middle, end = (text.index(word) for word in ("\ninbound:", "\norigin:", "\nunmapped_"))
    bare, half = tmp_path / "bare.yaml", tmp_path / "half.yaml"
    bare.write_text(text[:start] + text[end:], encoding="utf-8")
    half.write_text(text[:middle] + text[end:], encoding="utf-8")

    with pytest.raises(msgspec.ValidationError, match="no section inbound"):
        _pos(dialect=str(bare))
    with pytest.raises(msgspec.ValidationError, match="no section origin"):
        msgspec.convert({**ORIGIN_DOOR, "dialect": str(half)}, OriginConfig, strict=False)


def test_the_bench_s_door_is_right():
    """What ``yyt bench bank`` writes into its switches' files."""
    settings = _door_settings(9100, {TERMINAL: POS_TERMINAL["tmk"]})

    assert msgspec.convert(settings, PosConfig, strict=False).terminals[0].terminal == TERMINAL


def test_keys_of_terminals_are_known_to_conf_check():
    """Each master key by its place in the file."""
    assert _pos().held_keys() == (("terminals[0].tmk", "000", POS_TERMINAL["tmk"]),)


@pytest.mark.parametrize("value", ["A3019134567890123456789", "A401812", "A3xxx12", ""])
def test_what_a_template_did_not_write_is_not_read(value):
    """The other direction of a template: all of it, lengths included, or nothing."""
    assert captured("A3{qr_code:len3}{qr_code}", value) is None


@pytest.mark.parametrize("text", ["", "1" * 29, "A" * 62, "1" * 61])
def test_totals_of_another_form_are_none(text):
    """A settlement in a form that we do not know compares with nothing."""
    settlement = load_dialect("cup-pos").settlement
    assert claimed(settlement, {"48": text}) is None


@pytest.mark.parametrize(
    ("month_day", "today", "whole"),
    [
        ("0704", "20260704", "20260704"),
        ("0101", "20261231", "20270101"),
        ("1231", "20270101", "20261231"),
        ("0000", "20260704", ""),
        ("13", "20260704", ""),
    ],
)
def test_I14_a_bank_s_date_is_made_whole(month_day, today, whole):
    """The year that brings it nearest to today."""
    assert whole_date(month_day, today) == whole


CUP = (files("channels.iso8583") / "dialects" / "cup-pos.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ('declined: "05"', 'declined: "00"', "inbound.codes.declined"),
        ('approved: "00"', 'approved: "05"', "inbound.codes.approved"),
        ('buried: "12"', 'buried: "1Z"', "inbound.codes.buried"),
        ('unbalanced: "2"', 'unbalanced: "1"', "inbound.unbalanced"),
        ('balanced: "1"', 'balanced: "3"', "inbound.balanced"),
        ('kiosks\n  batch: {field: "60"', 'kiosks\n  batch: {field: "99"', "inbound.batch"),
        ('bill: {field: "59", at: 20, size: 32}', 'bill: {field: "59", at: 20, size: 0}',
         "origin.bill"),
        ('receipt: "59"', 'receipt: "99"', "origin.receipt"),
        ("rows_max: 6", "rows_max: 7", "origin.listing"),
        ("{name: title, size: 40}", "{name: price, size: 40}", "origin.listing.row"),
        ('query: {mti: "0200"', 'query: {mti: "0210"', "origin.query.mti"),
    ],
)  # fmt: skip
def test_I7_a_dialect_s_mistakes_are_named_before_a_terminal_sees_them(old, new, path):
    """A refusal that reads as an approval above all; and parts that name nothing."""
    assert old in CUP

    with pytest.raises(DialectError, match=path.replace(".", r"\.")):
        parse_dialect(CUP.replace(old, new, 1), "changed")
