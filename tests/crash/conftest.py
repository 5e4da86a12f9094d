"""One running stage for the whole matrix."""

from collections.abc import Iterator

import pytest

from tests.canary.bench import CanaryRig
from tests.crash.rig import running


@pytest.fixture(scope="session")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CanaryRig]:
    """PostgreSQL, HSM, bank, hospital, switch and two kiosks, as the demo starts them. After the
    last death nothing that was left lying about shows card, PIN or key (I12)."""
    with running(CanaryRig(tmp_path_factory.mktemp("crash"))) as started:
        yield started
        started.learn()
        assert started.known.scan_all(started.places()) == []
