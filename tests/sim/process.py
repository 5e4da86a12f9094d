"""A process of the world: it may die, be frozen, and it sees the reactor through its own eyes."""

from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet.defer import Deferred

from tests.sim.clock import Call, SimClock
from tests.sim.mix import Mix
from tests.sim.network import Connector, Listener, Network


class Process:
    """Also the reactor of everything that runs in it. Dead: nothing of it runs or leaves it any
    more. Frozen: what is due waits until it wakes; the clocks go on meanwhile."""

    def __init__(self, name: str, clock: SimClock, network: Network) -> None:
        self.name = name
        self.alive = True
        self.frozen = False
        self.died_at = float("inf")
        self._clock = clock
        self._network = network
        self._due: list[tuple[Callable[..., object], tuple]] = []

    # ---- life -----------------------------------------------------------------------------------

    def die(self) -> None:
        self.alive = False
        self.died_at = self._clock.rightNow
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

    # ---- the reactor, as far as it is used ------------------------------------------------------

    def seconds(self) -> float:
        return self._clock.rightNow

    def callLater(self, delay: float, function: Callable[..., object], *args: Any) -> Call:
        call = self._clock.callLater(delay, self._called)
        call.args = (call, function, args)
        return call

    def _called(self, call: Call, function: Callable[..., object], args: tuple) -> None:
        if self.frozen and self.alive:
            call.done = False  # it can still be cancelled by what runs before it at waking
            self._due.append((self._resumed, (call, function, args)))
        else:
            self.run(function, *args)

    def _resumed(self, call: Call, function: Callable[..., object], args: tuple) -> None:
        if not call.done:
            call.done = True
            function(*args)

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
        mix: Mix,
        died: Callable[["Mortal", str], None],
        stalled: Callable[["Mortal", str], None],
    ) -> None:
        super().__init__(name, clock, network)
        self._random = random
        self._mix = mix
        self._died = died
        self._stalled = stalled

    def run(self, function: Callable[..., object], *args: Any) -> None:
        if self.alive and self._random.random() * 10 < self._mix.crash:
            self._died(self, "idle")
            return
        super().run(function, *args)

    def effect(self, name: str) -> bool:
        """Near a write or a commit the chance is ten times as high."""
        if not self.alive:
            return False
        draw = self._random.random()
        if draw < self._mix.crash:
            self._died(self, name)
        elif draw - self._mix.crash < self._mix.stall and not self.frozen:
            self._stalled(self, name)
        return self.alive

    async def breath(self, name: str) -> None:
        """An effect in the middle of a coroutine: it goes on, goes on much later, or never."""
        if not self.effect(name):
            await Deferred()
        if self.frozen:
            awake: Deferred[None] = Deferred()
            self.callLater(0, awake.callback, None)
            await awake
