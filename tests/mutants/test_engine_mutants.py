"""The negative controls: a simulator that does not catch these proves nothing."""

import pytest

from tests.mutants import (
    business_mutants,
    engine_mutants,
    host_mutants,
    ladder_mutants,
    notice_mutants,
)
from tests.mutants.mutant import Mutant
from tests.sim.listening import listening
from tests.sim.world import play

MUTANTS = (
    *engine_mutants.MUTANTS,
    *business_mutants.MUTANTS,
    *host_mutants.MUTANTS,
    *notice_mutants.MUTANTS,
    *ladder_mutants.MUTANTS,
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_simulator_catches_the_mutant(mutant: Mutant) -> None:
    """Within its bounded number of worlds, and as the invariant it breaks."""
    found: set[str] = set()
    with listening(), mutant.patch():
        for seed in range(mutant.seeds):
            result = play(seed, weather=mutant.weather)
            found |= {violation.invariant for violation in result.violations}
            if found & mutant.seen_as:
                return
    pytest.fail(f"{mutant.name} survived {mutant.seeds} worlds; seen: {sorted(found)}")
