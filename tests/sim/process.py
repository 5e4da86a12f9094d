"""A process of the world: it may die, be frozen, and it sees the reactor through its own eyes."""

from collections.abc import Callable
from random import Random
from typing import Any

from tests.sim.clock import Call, SimClock
from tests.sim.network import Connector, Listener, Network


class Process:
    """Also the reactor of everything that runs in it. Dead: nothing of it runs or leaves it any
    more. Frozen: what is due waits until it wakes; the clocks go on meanwhile."""

    def __init__(self, name: str, clock: SimClock, network: Network) -> None:
        self.name = name
        self.alive = True
        self.frozen = False
        self._clock = clock
        self._network = network
        self._due: list[tuple[Callable[..., object], tuple]] = []

    # ---- life ------------------------------------------------------------------------------------

    def die(self) -> None:
        self.alive = False
        self._due.clear()
        self._network.drop_owner(self)

    def thaw(self) -> None:
        self.frozen = False
        due, self._due = self._due, []
        for function, args in due:
            self.run(function, *args)

    def run(self, function: Callable[..., object], *args: Any) -> None:
        if not self.alive:
            return
        if self.frozen:
            self._due.append((function, args))
        else:
            function(*args)

    def effect(self, name: str) -> bool:
        return self.alive

    # ---- the reactor, as far as it is used -------------------------------------------------------

    def seconds(self) -> float:
        return self._clock.rightNow

    def callLater(self, delay: float, function: Callable[..., object], *args: Any) -> Call:
        call = self._clock.callLater(delay, self._called, function, args)
        return call

    def _called(self, function: Callable[..., object], args: tuple) -> None:
        self.run(function, *args)

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None
    ) -> Connector:
        return self._network.connect(self, port, factory, timeout)

    def listenTCP(
        self, port: int, factory: Any, backlog: int = 50, interface: str = ""
    ) -> Listener:
        return self._network.listen(self, port, factory)


class Mortal(Process):
    """A process of ours: every effect may be its last."""

    def __init__(
        self,
        name: str,
        clock: SimClock,
        network: Network,
        random: Random,
        chance: Callable[[], float],
        died: Callable[["Mortal", str], None],
    ) -> None:
        super().__init__(name, clock, network)
        self._random = random
        self._chance = chance
        self._died = died

    def run(self, function: Callable[..., object], *args: Any) -> None:
        if self.alive and self._random.random() * 10 < self._chance():
            self._died(self, "idle")
            return
        super().run(function, *args)

    def effect(self, name: str) -> bool:
        """Near a write or a commit the chance is ten times as high."""
        if self.alive and self._random.random() < self._chance():
            self._died(self, name)
        return self.alive
