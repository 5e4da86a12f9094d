"""Mutants of a bank's channel (layer ``bank``), each to be caught by the test of
``tests/bank/test_sales_at_once.py`` that its scene names."""

from collections import deque

import pytest

from channels.iso8583.pool import Pool, _Waiter
from channels.iso8583.terminal import Terminal
from tests.mutants.registry import mutant


@mutant(
    "a bank's own limit is forgotten",
    "bank",
    "I11",
    "test_I11_the_sale_above_the_limit_waits_and_goes_when_one_ends",
)
def bank_limit_forgotten(patch: pytest.MonkeyPatch) -> None:
    """Only the terminals' room counts: the bank gets more at once than it has agreed to."""
    real = Pool._free

    def by_terminal(self: Pool, ring: deque[Terminal]) -> Terminal | None:
        leases, self._leases = self._leases, {}
        try:
            return real(self, ring)
        finally:
            self._leases = leases

    patch.setattr(Pool, "_free", by_terminal)


@mutant(
    "a sale waits for ever for its place",
    "bank",
    "I11",
    "test_I11_the_sale_that_waited_in_vain_is_not_sent",
)
def waits_for_ever(patch: pytest.MonkeyPatch) -> None:
    """The patient stands there until another payment ends, if ever one does."""
    real = Pool._leave

    def only_with_a_place(self: Pool, waiter: _Waiter, terminal: Terminal | None) -> None:
        if terminal is not None:
            real(self, waiter, terminal)

    patch.setattr(Pool, "_leave", only_with_a_place)


@mutant("the line has no end", "bank", "I11", "test_I11_the_line_is_bounded")
def line_without_end(patch: pytest.MonkeyPatch) -> None:
    """However many wait, one more may."""

    async def lease(self: Pool, key: tuple[str, int], ring: deque[Terminal]) -> Terminal | None:
        terminal = self._free(ring) or await self._wait(ring)
        if terminal is not None:
            self._leases[key] = (terminal, self._timeline.now_ms())
        return terminal

    patch.setattr(Pool, "_lease", lease)


@mutant(
    "a place that is free again is nobody's",
    "bank",
    "I11",
    "test_I11_the_sale_above_the_limit_waits_and_goes_when_one_ends",
)
def free_place_is_kept(patch: pytest.MonkeyPatch) -> None:
    """The end of a payment wakes nobody who waits in line."""

    def asleep(_self: Pool) -> None:
        return None

    patch.setattr(Pool, "serve", asleep)
