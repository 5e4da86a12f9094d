"""docs/bank-link.md says what the code does."""

import json
import re
from pathlib import Path

import pytest

from channels.bank_simulator.habits import Name, On
from channels.bank_simulator.habits import Order as HabitOrder
from channels.bank_simulator.world import World
from channels.iso8583.config import Config
from channels.iso8583.dialect import Action, Dialect
from channels.iso8583.session import TABLE
from switch import cli
from tests.bank.dialects import CODECS, sale

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "bank-link.md").read_text(encoding="utf-8")
SIMULATOR = (DOCS / "bank-simulator.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [*Config.__struct_fields__, *Action])
def test_every_word_is_explained(name):
    """Configuration keys and actions all stand in the page."""
    assert f"`{name}`" in TEXT


@pytest.mark.parametrize(
    "name", [*Name, *On, *World.__struct_fields__, *HabitOrder.__struct_fields__]
)
def test_every_word_of_the_simulator_is_explained(name):
    """Habits, what they are for, and the sections of the keys file."""
    assert f"`{name}`" in SIMULATOR


def test_every_key_of_a_described_frame_is_explained(capsys):
    """``yyt describe --json``: of a whole frame, a broken one, and what is none."""
    table = TEXT.split("| key | what | when |\n", 1)[1].split("\n\n", 1)[0]
    named = set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE))
    frame = CODECS["cup-pos"].encode("0200", sale("cup-pos")).hex()

    seen = set()
    for given in (frame, frame[:-40], "zz"):
        cli.main(["describe", "--json", given])
        seen |= json.loads(capsys.readouterr().out).keys()

    assert seen == named


def test_every_section_of_a_dialect_is_named():
    """A dialect author finds each section of the file."""
    plain = {"name", "title", "mti_encoding", "bitmap_encoding", "currency"}
    plain |= {"balance_field", "unmapped_text"}

    assert {n for n in Dialect.__struct_fields__ if f"`{n}`" not in TEXT} <= plain


def test_session_diagram_is_the_table():
    """The drawing is generated: one arrow per row, in the table's order."""
    arrows = [f"    {state} --> {after}: {event}" for (state, event), (after, _) in TABLE.items()]
    drawing = "\n".join(["stateDiagram-v2", "    [*] --> off", *arrows])

    assert drawing in TEXT, drawing
