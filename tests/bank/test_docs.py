"""docs/bank-link.md says what the code does."""

from pathlib import Path

import pytest

from channels.bank_simulator.habits import Name, On
from channels.bank_simulator.habits import Order as HabitOrder
from channels.bank_simulator.world import World
from channels.iso8583.config import Config
from channels.iso8583.dialect import Action, Dialect
from channels.iso8583.session import TABLE

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
