"""What every test of the banks' part begins with."""

import pytest


@pytest.fixture(autouse=True)
def language(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chinese; ``--lang`` stays in the environment of the process, so it is put back."""
    monkeypatch.setenv("YYT_LANG", "zh")
