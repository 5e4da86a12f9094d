"""One operation as a bank keeps it."""

from switch.model.operation import Operation
from tests.sim.process import Process
from tests.sim.reading import Identity


class Entry:
    """One operation as the bank keeps it: ``original`` is what it voids, refunds or completes."""

    __slots__ = (
        "amount_fen",
        "arrived_at",
        "booked",
        "code",
        "heard_at",
        "operation",
        "original",
        "reversed_at",
        "sender",
        "times",
    )

    def __init__(
        self,
        operation: Operation,
        amount_fen: int,
        original: Identity | None,
        arrived_at: float,
        sender: Process,
    ) -> None:
        self.operation = operation
        self.amount_fen = amount_fen
        self.original = original
        self.arrived_at = arrived_at
        self.booked = False
        self.code = ""
        self.reversed_at: float | None = None
        self.times = 1
        self.sender = sender
        self.heard_at: float | None = None
        """When the process that sent it read an authentic approval of it."""

    @property
    def net_fen(self) -> int:
        """What of it stands: taken, set aside or given back."""
        return self.amount_fen if self.booked and self.reversed_at is None else 0
