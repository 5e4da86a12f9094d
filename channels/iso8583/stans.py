"""STANs (F11) of one logical terminal, from blocks reserved in the database (I8).

A block is this process's alone; what is left of it at a crash is never used. The next block is
fetched when half of the current one is gone, so that a payment does not wait for the database.
"""

from collections import deque

from twisted.internet.defer import Deferred

from switch.ports import LogicalTerminal, Numbers


class Stans:
    """Numbers of one logical terminal. ``block`` is how many are reserved at a time."""

    def __init__(self, numbers: Numbers, terminal: LogicalTerminal, block: int) -> None:
        self._numbers = numbers
        self._terminal = terminal
        self._block = block
        self._left: deque[int] = deque()
        self._batch = ""
        self._epoch = 0
        self._filling: Deferred[None] | None = None
        self._waiting: list[Deferred[None]] = []

    @property
    def batch(self) -> str:
        """The batch the numbers belong to; empty before the first block."""
        return self._batch

    async def take(self) -> tuple[str, str]:
        """The next (batch, STAN of 6 digits). Raises JournalDown when the database is away."""
        while not self._left:
            await self._wait()
        stan = self._left.popleft()
        if len(self._left) < self._block // 2:
            self._fill()
        return self._batch, f"{stan:06d}"

    async def adopt(self, batch: str) -> None:
        """The bank named a batch: its numbers go on where the former's were. Raises JournalDown."""
        if batch == self._batch:
            return
        await self._numbers.adopt_batch(self._terminal, batch)
        self._epoch += 1
        self._left.clear()
        self._batch = batch

    def forget(self) -> None:
        """Another node had the terminal, or its batch was settled: the database says which batch it
        is by now."""
        self._epoch += 1
        self._left.clear()
        self._batch = ""

    def _wait(self) -> "Deferred[None]":
        waiter: Deferred[None] = Deferred()
        self._waiting.append(waiter)
        self._fill()
        return waiter

    def _fill(self) -> None:
        if self._filling is None:
            self._filling = Deferred.fromCoroutine(self._reserve())
            if self._filling.called:
                self._filling = None

    async def _reserve(self) -> None:
        epoch = self._epoch
        problem: Exception | None = None
        try:
            block = await self._numbers.reserve(self._terminal, self._block)
        except Exception as error:  # whatever it is, whoever waits must hear of it
            problem = error
        else:
            if epoch == self._epoch:
                if block.batch != self._batch:
                    self._left.clear()
                    self._batch = block.batch
                self._left.extend(range(block.first, block.last + 1))
        self._filling = None
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if problem is None:
                waiter.callback(None)
            else:
                waiter.errback(problem)
