"""Real pcscd with the virtual reader vpcd, one for the whole session and one for the machine."""

from collections.abc import Iterator

import pytest

from tests.pcsc.daemon import Pcscd


def pytest_configure(config: pytest.Config) -> None:
    """The marker of everything that needs the daemon; such tests share one xdist group."""
    config.addinivalue_line("markers", "pcsc: needs pcscd and vpcd, one of each on a machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The socket of pcscd has a fixed name: whoever uses it stays on one worker."""
    for item in items:
        if item.get_closest_marker("pcsc"):
            item.add_marker(pytest.mark.xdist_group("pcsc"))


@pytest.fixture(scope="session")
def daemon() -> Iterator[Pcscd]:
    """The daemon, while nobody else on this machine has it."""
    with Pcscd() as started:
        yield started


@pytest.fixture
def pcscd(daemon: Pcscd) -> Iterator[Pcscd]:
    """A fresh one for each test, with empty slots."""
    daemon.start()
    yield daemon
    daemon.kill()
