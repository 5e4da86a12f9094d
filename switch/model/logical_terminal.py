"""A logical terminal of a bank, and what belongs to it: numbers, working keys, and a node."""

from collections.abc import Sequence
from typing import Protocol

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
    """Of the older of its keys, milliseconds: the age of the set."""
    pik_cryptogram: str = ""
    """The PIN key as the bank sent it, under its TMK, for the kiosk that this terminal is dedicated
    to; empty for every other terminal."""
    pik_type: str = "001"
    """Key type of ``pik``: a bank's PIN key (001), or one that we gave a terminal (002, 70D)."""
    pik_at: int = 0
    """When the PIN key was installed; 0: ``installed_at``."""
    mak_at: int = 0
    pik_reset: str = ""
    """Moment (YYYYMMDDhhmmss) and number (F11) of the bank's newest reset of it that was taken; an
    older one changes nothing. Empty: none."""
    mak_reset: str = ""

    def __repr__(self) -> str:
        return f"<WorkingKeys {self.generation}>"


class Holding(Struct, frozen=True, kw_only=True):
    """Whose a logical terminal is, as the database has it."""

    terminal: LogicalTerminal
    node: str
    """The node that holds it."""
    ours: bool
    """This very process holds it."""
    number: int
    """Grows with every change of hands: another number means that others may have changed keys."""
    wanted_by: str
    """Another node that asks for it now; empty: none."""
    key_generation: int
    """Of its newest stored keys; 0 = none."""
    alone: bool
    """No other node is alive."""


class Terminals(Protocol):
    """Logical terminals belong to one node at a time (rules 15 and 16; I13): only that one starts
    debits on them and signs them on. A holding lasts as long as the node's lease."""

    @property
    def node(self) -> str:
        """This node's name."""
        ...

    async def hold(
        self, terminals: Sequence[LogicalTerminal], patience_ms: int
    ) -> Sequence[Holding]:
        """Take those that are free, and say of each whose it is. A holder whose lease has run out
        keeps its terminals ``patience_ms`` longer: what it sent last is answered by then.
        JournalDown when the database is away."""
        ...

    def holds(self, terminal: LogicalTerminal) -> bool:
        """Whether it is ours at this moment, from memory: seen in the lease we still have."""
        ...

    async def want(self, terminals: Sequence[LogicalTerminal], for_ms: int) -> None:
        """Ask their holders to give them up; the wish ends after ``for_ms``. Who asked first is
        served. JournalDown when the database is away."""
        ...

    async def give_up(self, terminal: LogicalTerminal) -> None:
        """Nothing of ours is in flight on it: to the node that wants it, else to nobody.
        :meth:`holds` is false from the call on. JournalDown when the database is away."""
        ...
