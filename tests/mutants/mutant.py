"""A mutant of the shell or of a plugin, to be caught by the seeded simulator."""

from collections.abc import Callable
from typing import Any


class Mutant:
    """``patch`` makes the context manager that breaks the product for the time of a run;
    ``seen_as`` are the invariants its capture may be reported under. ``seeds`` is how many worlds
    the simulator may need. ``weather`` fixes faults of their mix, for what shows only where several
    rare things meet."""

    def __init__(
        self,
        name: str,
        patch: Callable[[], Any],
        *seen_as: str,
        seeds: int = 200,
        weather: dict[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.patch = patch
        self.seen_as = frozenset(seen_as)
        self.seeds = seeds
        self.weather = weather or {}
