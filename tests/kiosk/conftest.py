"""Fixtures of the kiosk's tests."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from channels.kiosk import pki
from tests.kiosk.rig import Client, Kiosk, Switch, enrol_terminal


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority with KIOSK001 and KIOSK002 enrolled in ``k1`` and ``k2`` below it."""
    folder = tmp_path_factory.mktemp("pki")
    pki.init(folder, ["localhost", "127.0.0.1"])
    enrol_terminal(folder, "KIOSK001", folder / "k1")
    enrol_terminal(folder, "KIOSK002", folder / "k2", tpk="")
    return folder


@pytest.fixture(scope="session")
def running_switch(authority: Path) -> Iterator[Switch]:
    """One fake switch on free ports for all."""
    running = Switch(authority)
    yield running
    running.process.end()


@pytest.fixture
def switch(running_switch: Switch) -> Switch:
    """The fake switch, knowing nothing of former tests."""
    running_switch.do(reset=True)
    return running_switch


@pytest.fixture
def connect(switch: Switch, authority: Path) -> Iterator[Callable[..., Client]]:
    """Connect with the certificate of a folder (default KIOSK001's), or with none."""
    with ExitStack() as stack:

        def dial(folder: Path | None = authority / "k1") -> Client:
            client = Client(switch.ports["terminals"], folder, authority)
            stack.enter_context(client.stack)
            return client

        yield dial


@pytest.fixture
def kiosk(tmp_path: Path, authority: Path, switch: Switch) -> Iterator[Kiosk]:
    """An agent ready to start before the fake switch."""
    made = Kiosk(tmp_path, authority, switch.ports["terminals"])
    yield made
    if made.process is not None:
        made.process.end()
