"""What stands at the bank of one payment: its operation, less what undoes it (rule 8)."""

from collections.abc import Collection

from tests.sim.bank_host import BankHost
from tests.sim.reading import Identity


def undos_of(bank: BankHost, identities: Collection[Identity]) -> set[Identity]:
    """Those of a payment's numbers at the bank that name another of its numbers."""
    entries = bank.entries
    return {one for one in identities if one in entries and entries[one].original in identities}


def stands_fen(bank: BankHost, identities: Collection[Identity]) -> int:
    """Whichever way it moved; less than nothing: more was given back than taken."""
    undos = undos_of(bank, identities)
    return sum(
        -bank.entries[one].net_fen if one in undos else bank.entries[one].net_fen
        for one in identities
        if one in bank.entries
    )
