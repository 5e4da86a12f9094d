"""What each mutant was caught by is printed with the results."""

import pytest

from tests.payment.summary import show


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    show(terminalreporter, "mutant", "named mutants")
