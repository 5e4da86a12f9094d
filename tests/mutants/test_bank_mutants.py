"""Every named mutant of a bank's channel is caught, on every run."""

from collections.abc import Callable
from pathlib import Path

import pytest

import tests.mutants.bank_mutants  # noqa: F401 - enters its mutants
from tests.bank import test_conformance as conformance
from tests.bank import test_host_sessions as sessions
from tests.bank import test_sales_at_once as sales
from tests.bank.dialects import with_key_resets
from tests.mutants.registry import Mutant, of_layer


def _played(scene: str, folder: Path) -> None:
    """The test of that name, on a bank of its own."""
    if hasattr(sales, scene):
        getattr(sales, scene)(sales.Roomy())
        return
    if hasattr(sessions, scene):
        with pytest.MonkeyPatch.context() as slow:
            getattr(sessions, scene)(sessions.at_its_limit(slow))
        return
    dialect = with_key_resets(folder / "resets.yaml")
    getattr(conformance, scene)(conformance.with_one_terminal(dialect))


@pytest.mark.parametrize("mutant", of_layer("bank"), ids=str)
def test_a_test_of_the_bank_catches_it(
    mutant: Mutant,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """The test that the mutant names passes without it and fails with it."""
    _played(mutant.scene, tmp_path)
    mutant.patch(monkeypatch)

    with pytest.raises(AssertionError):
        _played(mutant.scene, tmp_path)

    record_property("mutant", f"{mutant.name:46} {mutant.scene}: {mutant.invariant}")
