"""Options of the whole suite (they must be known before any test folder is read)."""

import pytest
from _pytest.nodeid import NodeId
from hypothesis import settings

settings.register_profile("house", deadline=None)  # a busy machine must not decide a test
settings.load_profile("house")

pytest_plugins = ("tests.browser",)


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--sim-seeds N --sim-start K``: which seeds the simulator of tests/sim plays. ``--tour``:
    make the pictures of docs/kiosk-tour.md anew."""
    group = parser.getgroup("simulator")
    group.addoption("--sim-seeds", type=int, default=300, help="number of seeds (default 300)")
    group.addoption("--sim-start", type=int, default=0, help="first seed (default 0)")
    parser.addoption("--tour", action="store_true", help="new pictures for docs/kiosk-tour.md")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """xdist 3.8 writes a test's group where pytest 9.2 no longer reads it: without this every
    worker would set up every heavy stage."""
    for item in items:
        grouped = getattr(item, "_nodeid", None)
        if grouped is not None:
            item._id = NodeId.parse(grouped)  # the only place pytest looks at
