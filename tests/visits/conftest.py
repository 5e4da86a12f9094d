"""A kiosk with a page before the fake switch."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from channels.kiosk import pki
from tests.kiosk.rig import Switch, enrol_terminal
from tests.visits.rig import PageKiosk


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority with KIOSK001 enrolled in ``k1``."""
    folder = tmp_path_factory.mktemp("pki")
    pki.init(folder, ["localhost", "127.0.0.1"])
    enrol_terminal(folder, "KIOSK001", folder / "k1")
    return folder


@pytest.fixture(scope="session")
def running_switch(authority: Path) -> Iterator[Switch]:
    """One for all tests."""
    running = Switch(authority)
    yield running
    running.process.end()


@pytest.fixture
def switch(running_switch: Switch) -> Switch:
    """Knowing nothing of former tests."""
    running_switch.do(reset=True)
    return running_switch


@pytest.fixture
def kiosk(tmp_path: Path, authority: Path, switch: Switch) -> Iterator[PageKiosk]:
    """Configured; :meth:`PageKiosk.start` runs it."""
    made = PageKiosk(tmp_path, authority, switch.ports["terminals"])
    yield made
    if made.process is not None and made.process.child.poll() is None:
        made.stop(kill=True)
