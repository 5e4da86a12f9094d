"""What a named mutant is, and how a layer asks for those it must catch."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pytest

Patch = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Mutant:
    """One wrong thought. ``layer``: who must catch it. ``invariant``: which id it must break.
    ``scene``: where, in the layer's own words (the walk: a case's name)."""

    name: str
    layer: str
    invariant: str
    scene: str
    patch: Patch

    def __str__(self) -> str:
        return self.name


MUTANTS: list[Mutant] = []


def mutant(name: str, layer: str, invariant: str, scene: str) -> Callable[[Patch], Patch]:
    """Enter the decorated patch in the list. A name stands once only."""

    def enter(patch: Patch) -> Patch:
        assert all(name != known.name for known in MUTANTS), name
        MUTANTS.append(Mutant(name, layer, invariant, scene, patch))
        return patch

    return enter


def of_layer(layer: str, known: Iterable[Mutant] = MUTANTS) -> list[Mutant]:
    """The mutants that ``layer`` must catch."""
    return [x for x in known if x.layer == layer]
