"""One running stage for the whole matrix."""

from collections.abc import Iterator

import pytest

from tests.crash.rig import Rig, running


@pytest.fixture(scope="session")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """PostgreSQL, HSM, bank, hospital, switch and two kiosks, as the demo starts them."""
    with running(Rig(tmp_path_factory.mktemp("crash"))) as started:
        yield started
