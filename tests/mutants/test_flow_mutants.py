"""Every named mutant of the kiosk is caught, on every run."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings

import tests.mutants.flow_mutants  # noqa: F401 - enters its mutants
from tests.flows.test_flow_walk import BEGINNINGS, WALKS, walk
from tests.mutants.registry import Mutant, of_layer
from tests.visits import test_visits_cards as cards

HUNT = settings(
    max_examples=1500,
    deadline=None,
    database=None,
    derandomize=True,
    phases=(Phase.generate,),
    report_multiple_bugs=False,
)
"""The walk's own number of examples, the same ones on every run, not made smaller when found."""


@pytest.mark.parametrize("mutant", of_layer("flows"), ids=str)
def test_the_walk_catches_it(
    mutant: Mutant,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    """The random walk over the kiosk's machine finds the wrong thought."""
    mutant.patch(monkeypatch)
    walks = 0

    def counted(moves: list[tuple[str, object]], begin: str) -> None:
        nonlocal walks
        walks += 1
        walk(moves, begin)

    with pytest.raises(AssertionError):
        HUNT(given(WALKS, BEGINNINGS)(counted))()

    record_property("mutant", f"{mutant.name:46} walk: {mutant.invariant} after {walks} walks")


@pytest.mark.parametrize("mutant", of_layer("finisher"), ids=str)
def test_a_test_of_the_finisher_catches_it(
    mutant: Mutant,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """The test that the mutant names fails with it."""
    mutant.patch(monkeypatch)
    scene = getattr(cards, mutant.scene)

    with pytest.raises(AssertionError):
        scene(cards.Rig(tmp_path))

    record_property("mutant", f"{mutant.name:46} {mutant.scene}: {mutant.invariant}")
