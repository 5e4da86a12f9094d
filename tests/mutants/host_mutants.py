"""Mutants of what a bank asks of us host to host, to be caught by the seeded simulator."""

from typing import Any
from unittest import mock

from channels.iso8583 import bank_requests, new_keys
from channels.iso8583.bank import Bank
from channels.iso8583.bank_day import BankDay
from channels.iso8583.hub import Hub
from channels.iso8583.keyblock import KeyBlock
from channels.iso8583.new_keys import Imported, NewKeys
from channels.iso8583.session import State
from channels.iso8583.sign_on import Session
from channels.iso8583.stans import Stans
from switch.ports import LogicalTerminal, WorkingKeys
from tests.mutants.mutant import Mutant


def _check_value_not_compared() -> Any:
    """A pushed key set with a wrong check value is used."""
    return mock.patch.object(new_keys, "same_kcv", return_value=True)


def _reset_not_proven() -> Any:
    """A key reset is taken whatever its MAC is."""

    async def believed(self: Hub, message: Any, mak: str) -> bool:
        return True

    return mock.patch.object(Hub, "proves", believed)


def _reset_kept_in_memory() -> Any:
    """A key reset is acknowledged by the process that uses it, and stored by nobody."""

    async def remembered(self: NewKeys, block: KeyBlock, new: Imported, sent: str) -> bool:
        stored = self._context.keys
        with mock.patch.object(stored, "install", _installed):
            return await true(self, block, new, sent)

    async def _installed(_identity: Any, _keys: WorkingKeys) -> bool:
        return True

    true = NewKeys._store
    return mock.patch.object(NewKeys, "_store", remembered)


def _old_reset_taken() -> Any:
    """A key reset that was overtaken by a newer one brings its old key back."""
    return mock.patch.object(bank_requests, "sent_mark", return_value="")


def _session_not_asked_for() -> Any:
    """A node without the session leaves it to the holder to hear that keys are refused."""
    true = Session.refused

    def refused(self: Session, why: str, generation: int) -> None:
        if self.elsewhere and self.state is not State.READY:
            return
        true(self, why, generation)

    return mock.patch.object(Session, "refused", refused)


def _turn_kept_in_memory() -> Any:
    """The turn of the day is acknowledged by the process that heard it, and stored by nobody."""

    async def heard(self: BankDay) -> bool:
        return True

    return mock.patch.object(BankDay, "turned", heard)


def _numbers_by_terminal() -> Any:
    """Each terminal of a host counts F11 by itself."""

    def own(self: Bank, identity: LogicalTerminal) -> Stans:
        return Stans(self._context.numbers, identity, self._config.stan_block)

    return mock.patch.object(Bank, "_stans", own)


_HOST = {"dialect": "cups-host", "settles": False}
_RESETS = _HOST | {"bank_resets": 0.4}

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "check_value_not_compared",
        _check_value_not_compared,
        "I10",
        weather=_RESETS | {"reset_wrong": 0.4},
    ),
    Mutant("reset_not_proven", _reset_not_proven, "I10", weather=_RESETS | {"reset_wrong": 0.4}),
    Mutant("reset_kept_in_memory", _reset_kept_in_memory, "I4", weather=_HOST),
    Mutant("old_reset_taken", _old_reset_taken, "I4", weather=_RESETS | {"bank_slow": 0.2}),
    Mutant(
        "session_not_asked_for",
        _session_not_asked_for,
        "I3",
        weather=_RESETS
        | {"bank_strict_keys": True, "reset_forgotten": 0.5, "bank_resets": 0.15}
        | {"bank_black_hole": 0.1, "bank_cut": 0.1},
    ),
    Mutant("numbers_by_terminal", _numbers_by_terminal, "I8", weather=_HOST),
    Mutant("turn_kept_in_memory", _turn_kept_in_memory, "I4", weather=_HOST | {"day_turns": True}),
)
