"""Every named mutant of a bank's channel is caught, on every run."""

from collections.abc import Callable

import pytest

import tests.mutants.bank_mutants  # noqa: F401 - enters its mutants
from tests.bank import test_sales_at_once as sales
from tests.mutants.registry import Mutant, of_layer


@pytest.mark.parametrize("mutant", of_layer("bank"), ids=str)
def test_a_test_of_the_bank_catches_it(
    mutant: Mutant,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    """The test that the mutant names passes without it and fails with it."""
    scene = getattr(sales, mutant.scene)
    scene(sales.Roomy())
    mutant.patch(monkeypatch)

    with pytest.raises(AssertionError):
        scene(sales.Roomy())

    record_property("mutant", f"{mutant.name:46} {mutant.scene}: {mutant.invariant}")
