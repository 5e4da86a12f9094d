"""A kiosk with a page before the fake switch."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kiosk import conftest as kiosks
from tests.kiosk.rig import Switch
from tests.visits.rig import PageKiosk

authority = kiosks.authority
running_switch = kiosks.running_switch
switch = kiosks.switch


@pytest.fixture
def kiosk(tmp_path: Path, authority: Path, switch: Switch) -> Iterator[PageKiosk]:
    """Configured; :meth:`PageKiosk.start` runs it."""
    made = PageKiosk(tmp_path, authority, switch.ports["terminals"])
    yield made
    if made.process is not None and made.process.child.poll() is None:
        made.stop(kill=True)
