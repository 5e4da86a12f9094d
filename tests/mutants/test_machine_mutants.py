"""Every named mutant of the payment machine is caught by the walk, on every run."""

from collections.abc import Callable

import pytest

import tests.mutants.machine  # noqa: F401 - enters its mutants
from tests.mutants.registry import Mutant, of_layer
from tests.payment.cases import BY_NAME
from tests.payment.walk import Walk

UNDOS_COUNTED = 3
"""Enough for the mutant that gives up after three."""


@pytest.mark.parametrize("mutant", of_layer("walk"), ids=str)
def test_the_walk_catches_it(
    mutant: Mutant,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    """The walk finds the wrong thought, names the invariant, and shows the shortest way there."""
    mutant.patch(monkeypatch)

    finding = Walk(BY_NAME[mutant.scene], undo_cap=UNDOS_COUNTED).run().finding

    assert finding is not None, f"{mutant} lives"
    steps = len(finding.trace) - 1
    record_property("mutant", f"{mutant.name:46} walk: {finding.invariant} after {steps} steps")
    assert finding.invariant == mutant.invariant, str(finding)
