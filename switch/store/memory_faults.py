"""What may go wrong between a simulated node and its database."""

from typing import Protocol


class MemoryFaults(Protocol):
    """What may go wrong between a node and its database; the simulator draws it from its seed."""

    def down(self) -> bool:
        """The database is away now: new payments are refused, later versions wait."""
        ...

    def commit_ms(self) -> int:
        """How long the next commit takes to reach the disk."""
        ...

    def tell_ms(self) -> int:
        """How long the news of it takes to come back; long = a lost connection (K19)."""
        ...


class NoFaults:
    """A database that answers in the next turn."""

    def down(self) -> bool:
        return False

    def commit_ms(self) -> int:
        return 0

    def tell_ms(self) -> int:
        return 0
