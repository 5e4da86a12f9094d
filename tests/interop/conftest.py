"""The real key service, started once for all vectors."""

from collections.abc import Iterator

import pytest

from tests.interop.host import Daemon, Host


@pytest.fixture(scope="session")
def daemon() -> Iterator[Daemon]:
    """``yyt hsm serve --test-lmk`` on loopback; it must end cleanly."""
    process = Daemon()
    yield process
    assert process.stop() == 0


@pytest.fixture(scope="session")
def _line(daemon: Daemon) -> Iterator[Host]:
    with daemon.connect() as host:
        yield host


@pytest.fixture
def host(_line: Host) -> Host:
    """One connection that all ordinary vectors share."""
    return _line
