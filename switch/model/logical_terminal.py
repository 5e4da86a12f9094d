"""A logical terminal of a bank, and what belongs to it: numbers and working keys."""

from msgspec import Struct


class LogicalTerminal(Struct, frozen=True, kw_only=True):
    """(bank, F42, F41): the owner of a key set, a batch and a STAN counter (rule 15)."""

    bank: str
    merchant: str
    terminal: str


class StanBlock(Struct, frozen=True, kw_only=True):
    """STANs ``first … last`` of ``batch``, reserved in the database for this process alone."""

    batch: str
    first: int
    last: int


class WorkingKeys(Struct, frozen=True, kw_only=True):
    """A key set under the LMK. ``generation`` 0 = none yet."""

    generation: int
    pik: str
    mak: str
    pik_kcv: str
    mak_kcv: str
    installed_at: int
    pik_cryptogram: str = ""
    """The PIN key as the bank sent it, under its TMK, for the kiosk that this terminal is dedicated
    to; empty for every other terminal."""
