"""Options of the whole suite (they must be known before any test folder is read)."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--sim-seeds N --sim-start K``: which seeds the simulator of tests/sim plays."""
    group = parser.getgroup("simulator")
    group.addoption("--sim-seeds", type=int, default=300, help="number of seeds (default 300)")
    group.addoption("--sim-start", type=int, default=0, help="first seed (default 0)")
