"""Goal: docs/crash-matrix.md tells of every point, and of no other."""

import re

from tests.crash.points import ROOT, named_points


def test_the_page_has_a_row_for_each_point() -> None:
    """Goal: the table's first column is the list of points in the source."""
    page = (ROOT / "docs" / "crash-matrix.md").read_text("utf-8")
    rows = re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)

    assert sorted(rows) == named_points()
