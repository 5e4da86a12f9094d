"""Reports of this folder's tests, printed before pytest's last line."""

import pytest

from tests.payment.report import LINES


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the walks visited and what the mutants were caught by."""
    if LINES:
        terminalreporter.section("payment machine")
        for line in sorted(LINES):
            terminalreporter.write_line(line)
