"""The pages about money say what the code does."""

import re
from pathlib import Path

from switch.payment.diagram import DIAGRAMS
from tests.payment.draw import PAGE, drawn

ROOT = Path(__file__).parents[2]
CODE = ("switch", "channels", "his_bridge", "hsm", "terminal_agent", "tests")


def _sources() -> list[str]:
    return [path.read_text(encoding="utf-8") for top in CODE for path in (ROOT / top).rglob("*.py")]


def test_diagrams_are_drawn_from_the_table() -> None:
    """docs/payment-machine.md holds every diagram, as the table is now."""
    text = PAGE.read_text(encoding="utf-8")

    assert text == drawn(text), "draw it again: python -m tests.payment.draw"
    assert set(re.findall(r"<!-- diagram: (\w+) -->", text)) == set(DIAGRAMS)


def test_every_cited_invariant_is_restated() -> None:
    """docs/invariants.md has I1 … I16 once each, and the code cites no other."""
    page = (ROOT / "docs" / "invariants.md").read_text(encoding="utf-8")
    restated = re.findall(r"\*\*(I\d+) ", page)
    cited = {name for text in _sources() for name in re.findall(r"\b(I\d{1,2})\b", text)}

    assert restated == [f"I{n}" for n in range(1, 17)]
    assert cited <= set(restated)


def test_invariants_name_tests_that_exist() -> None:
    """Where the page says that something is proved, there is something."""
    page = (ROOT / "docs" / "invariants.md").read_text(encoding="utf-8")
    for folder in set(re.findall(r"`(tests/\w+)`", page)):
        assert any((ROOT / folder).glob("*.py")), folder


def test_every_cited_rule_is_restated() -> None:
    """docs/payment-law.md has rules 1 … 19, and the code cites no other."""
    page = (ROOT / "docs" / "payment-law.md").read_text(encoding="utf-8")
    rules = [int(n) for n in re.findall(r"^(\d+)\. \*\*", page, re.MULTILINE)]
    cited = {int(n) for text in _sources() for n in re.findall(r"\brules? (\d+)", text)}

    assert rules == list(range(1, 20))
    assert cited <= set(rules)
