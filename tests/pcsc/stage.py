"""A private reactor for one scenario, and the readers' news as something to wait for."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.selectreactor import SelectReactor
from twisted.python.failure import Failure

from terminal_agent.devices.interfaces import DeviceEvent
from terminal_agent.devices.pcsc_monitor import (
    MonitorTimes,
    PcscMonitor,
    ReaderEvent,
    ReaderNews,
)
from terminal_agent.devices.pcsc_reader import PcscReader, read_options
from terminal_agent.devices.pcsc_service import PcscService

SCENARIO_S = 60
TIMES = MonitorTimes(look_again_ms=1000, retry_min_ms=50, retry_max_ms=400)
OPTIONS = {
    "reader": "Virtual PCD 00 00",
    "look_again_ms": "1000",
    "retry_min_ms": "50",
    "retry_max_ms": "400",
    "connect_tries": "5",
    "connect_pause_ms": "300",
    "apdu_timeout_ms": "5000",
}


class Stage:
    """What a scenario plays on. Everything it opens is closed at its end."""

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self.closing: list[Callable[[], object]] = []

    def monitor(self, pattern: str = "Virtual PCD 00 00", service: Any = None) -> "Watched":
        """A started monitor."""
        watched = Watched()
        monitor = PcscMonitor(
            service or PcscService(),
            re.compile(pattern),
            TIMES,
            watched.told,
            self.reactor.callFromThread,
        )
        watched.monitor = monitor
        self.closing.append(monitor.stop)
        monitor.start()
        return watched

    def reader(self, **options: str) -> PcscReader:
        """A started reader."""
        reader = PcscReader(read_options({**OPTIONS, **options}), self.reactor, PcscService())
        self.closing.append(reader.stop)
        reader.start()
        return reader

    def event(self, reader: PcscReader, name: str) -> "Deferred[DeviceEvent]":
        """The next event of this name."""
        seen: Deferred[DeviceEvent] = Deferred()

        def look(event: DeviceEvent) -> None:
            if event.name == name and not seen.called:
                seen.callback(event)

        reader.watch(look)
        return seen

    def pause(self, seconds: float) -> "Deferred[None]":
        """Let the world go on."""
        waited: Deferred[None] = Deferred()
        self.reactor.callLater(seconds, waited.callback, None)
        return waited


class Watched:
    """The news of one monitor, in order."""

    monitor: PcscMonitor

    def __init__(self) -> None:
        self._queue: DeferredQueue[ReaderEvent] = DeferredQueue()

    def told(self, event: ReaderEvent) -> None:
        """From the monitor."""
        self._queue.put(event)

    async def next(self) -> ReaderEvent:
        """The next one."""
        return await self._queue.get()

    async def expect(self, *news: ReaderNews) -> ReaderEvent:
        """The next ones are these; the last of them."""
        found = [await self.next() for _ in news]
        assert [event.news for event in found] == list(news)
        return found[-1]

    @property
    def waiting(self) -> int:
        """How many have come that nobody asked for."""
        return len(self._queue.pending)


def play(scenario: Callable[[Stage], Awaitable[None]]) -> None:
    """Run a scenario to its end on a reactor of its own."""
    reactor: Any = SelectReactor()
    stage = Stage(reactor)
    ended: list[Any] = []

    def end(result: Any) -> None:
        ended.append(result)
        for close in reversed(stage.closing):
            close()
        reactor.stop()

    def begin() -> None:
        running = Deferred.fromCoroutine(scenario(stage))  # type: ignore[arg-type]
        running.addTimeout(SCENARIO_S, reactor)
        running.addBoth(end)

    reactor.callWhenRunning(begin)
    reactor.run(installSignalHandlers=False)
    if isinstance(ended[0], Failure):
        ended[0].raiseException()
