"""Recorded cards, one file each, and how each ends. All card numbers are invented."""

import json
from pathlib import Path

import pytest

from switch.cli import main

FOLDER = Path(__file__).parent / "transcripts"
PAID = ("approved", "", "8000048000", "6800")
ENDS = {
    "pboc-debit": PAID,
    "pboc-credit-without-directory": PAID,
    "format-80": PAID,
    "t0-61xx-6cxx-short-country": PAID,
    "short-country": PAID,
    "expired": ("approved", "", "8040048000", "6800"),
    "visa": ("approved", "", "8080048000", "6800"),
    "no-common-verification": ("approved", "", "8000808000", "6800"),
    "first-aac": ("declined", "card_declined", "8000048000", "6800"),
    "first-tc": ("declined", "offline_approval_refused", "8000048000", "6800"),
    "second-aac": ("declined", "card_declined", "8000048000", "6800"),
    "pulled-before-second-ac": ("declined", "card_gone", "8000048000", "6800"),
    "pulled-before-first-ac": ("cancelled", "card_gone", "8000048000", "4800"),
    "blocked-card": ("terminated", "card_blocked", "8000000000", "0000"),
    "duplicate-pan": ("terminated", "duplicate_5A", "8000000000", "0000"),
    "missing-cdol1": ("terminated", "missing_8C", "8000000000", "0000"),
    "missing-cdol2": ("terminated", "missing_8D", "8000000000", "0000"),
    "missing-expiry": ("terminated", "missing_5F24", "8000000000", "0000"),
    "missing-pan": ("terminated", "missing_5A", "8000000000", "0000"),
    "track2-of-another-card": ("terminated", "track2_of_another_card", "8000000000", "0000"),
}
"""File → end, reason, TVR, TSI."""
UNDONE = {"second-aac", "pulled-before-second-ac"}


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.json")))
def test_a_recorded_card_ends_as_it_should(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every file of the folder, by the command line: exit code 0, the end, and what is undone."""
    assert main(["emv", "run", "--transcript", str(FOLDER / f"{name}.json"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    told = (result["end"], ", ".join(result["reasons"]), result["tvr"], result["tsi"])

    assert told == ENDS[name]
    assert result["reversal_needed"] is (name in UNDONE)
    assert (result["field55"] is not None) is result["host_approved"]
    assert (result["field55_reversal"] is not None) is result["host_approved"]
