"""What the walks visited, and how long it took, is printed with the results."""

import pytest

from tests.payment.summary import show


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    show(terminalreporter, "walk", "exhaustive walks of the payment machine")
