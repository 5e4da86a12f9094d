"""The 3 a.m. page knows every alarm, and every rule that is cited is written."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from tests.docs import pages

FOLDERS = ("switch", "channels", "his_bridge", "hsm", "terminal_agent")
ALERTS = pages.ROOT / "conf" / "prometheus" / "yyt-alerts.yaml"
LAW = pages.ROOT / "docs" / "payment-law.md"
ID = re.compile(r"\bI(?:1[0-6]|[1-9])\b")
RULE = re.compile(r"\b[Rr]ules? (\d+)(?: (?:and|to) (\d+))?\b")


def modules() -> Iterator[Path]:
    """The modules of the product."""
    for folder in FOLDERS:
        yield from sorted((pages.ROOT / folder).rglob("*.py"))


def row_of(word: str) -> str:
    """The row of the page's tables that has ``word`` in its first column; empty without one."""
    for line in pages.text(pages.FIRST_DAY).splitlines():
        if line.startswith("|") and f"`{word}`" in line.split("|")[1]:
            return line
    return ""


def alerts() -> dict[str, str]:
    """Alert → invariant, as Prometheus gets them."""
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule["labels"]["invariant"] for g in groups for rule in g["rules"]}


def logged_invariants() -> Iterator[tuple[str, str]]:
    """(event, invariant) of every log call that cites one; empty when the line itself names it."""
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                cited = [word.value for word in node.keywords if word.arg == "invariant"]
                for value in cited:
                    yield (
                        str(node.args[0].value),
                        str(value.value) if isinstance(value, ast.Constant) else "",
                    )


def test_every_alert_has_its_row() -> None:
    """With the invariant that the rule's label names, and a next step."""
    for alert, invariant in alerts().items():
        row = row_of(alert)
        assert ID.findall(row)[:1] == [invariant], alert
        assert row.split("|")[4].strip(), alert


def test_every_row_is_an_alert_that_exists() -> None:
    """A row for an alert that was renamed would mislead at night."""
    rows = re.findall(r"^\| `([A-Z]\w+)` \|", pages.text(pages.FIRST_DAY), re.MULTILINE)
    assert set(rows) == set(alerts())


def test_every_log_event_with_an_invariant_has_its_row() -> None:
    """What cites an invariant in the log is explained, under that invariant or *in the line*."""
    for event, invariant in logged_invariants():
        row = row_of(event)
        assert row, event
        if invariant and event != "alarm":
            assert invariant in ID.findall(row), event


def test_every_rule_that_is_cited_is_written() -> None:
    """*rule N* in code, tests and pages is a numbered rule of the law."""
    written = set(re.findall(r"^(\d+)\. ", pages.text(LAW), re.MULTILINE))
    sources = [*modules(), *sorted((pages.ROOT / "tests").rglob("*.py")), *pages.pages()]
    cited = {
        (number, path)
        for path in sources
        for found in RULE.finditer(path.read_text(encoding="utf-8"))
        for number in found.groups()
        if number
    }
    assert {f"{pages.name(path)}: {n}" for n, path in cited if n not in written} == set()
