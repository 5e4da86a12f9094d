"""What a peer has not taken of us yet: bounded (I11).

Twisted says when more than 64 KiB wait on a connection, and when all of it is gone. A peer that
does not read within the time of a frame is dropped. A door also stops reading from it until then:
who does not take answers may ask no more.
"""

from collections.abc import Callable

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from switch.model.outcome import Millis
from switch.ports import Cancellable, Timeline


@implementer(IPushProducer)
class Outflow:
    """Of one connection. ``reading``: stops or goes on reading from it; None: reading goes on, as
    on a link to a bank, whose answers we want whatever it takes."""

    def __init__(
        self,
        timeline: Timeline,
        limit_ms: int,
        drop: Callable[[str], None],
        reading: Callable[[bool], None] | None,
    ) -> None:
        self._timeline = timeline
        self._limit_ms = limit_ms
        self._drop = drop
        self._reading = reading
        self._timer: Cancellable | None = None

    def pauseProducing(self) -> None:
        """Too much waits; said again at every write while it does."""
        if self._timer is not None:
            return
        at = Millis(self._timeline.now_ms() + self._limit_ms)
        self._timer = self._timeline.call_at(at, self._too_slow)
        if self._reading is not None:
            self._reading(False)

    def resumeProducing(self) -> None:
        """All of it is gone."""
        self.stopProducing()
        if self._reading is not None:
            self._reading(True)

    def stopProducing(self) -> None:
        """The connection is lost, or was caught up with."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        self._drop("the peer does not read what we send")
