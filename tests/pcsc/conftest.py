"""Real pcscd with the virtual reader vpcd: one at a time on a machine."""

from collections.abc import Iterator

import pytest

from tests.pcsc.daemon import Pcscd


def pytest_configure(config: pytest.Config) -> None:
    """The marker of everything that needs the daemon; such tests share one xdist group."""
    config.addinivalue_line("markers", "pcsc: needs pcscd and vpcd, one of each on a machine")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The socket of pcscd has a fixed name: whoever uses it stays on one worker. First of all:
    xdist reads the groups in this same hook."""
    for item in items:
        if item.get_closest_marker("pcsc"):
            item.add_marker(pytest.mark.xdist_group("pcsc"))


@pytest.fixture
def pcscd() -> Iterator[Pcscd]:
    """A fresh one for each test, with empty slots; it takes 50 ms, and leaves the machine's only
    place to other runs in between."""
    with Pcscd() as daemon:
        daemon.start()
        yield daemon
