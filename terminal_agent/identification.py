"""Who stands at the kiosk: the first of several media that is shown, the others are let go.

A device that breaks leaves the others waiting: with the ID reader unplugged the visit card is
still read. Bank cards are no medium: the hospital never sees a card number (docs/kiosk.md).
"""

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from terminal_agent.devices.interfaces import (
    Completion,
    Device,
    DeviceError,
    IdReader,
    Scanner,
    State,
    VisitCardReading,
)
from terminal_agent.protocol import Opaque

PERSONS_DOING = frozenset(
    {
        Completion.USER_ERROR,
        Completion.INVALID_DATA,
        Completion.CANCELED,
        Completion.TIME_OUT,
    }
)
"""Ends that are not a device's trouble: what was shown is unreadable, nobody showed anything."""


class Identification:
    """The media of one kiosk: medium → how a number is read of it."""

    def __init__(
        self,
        *,
        visit_card: VisitCardReading | None = None,
        id_reader: IdReader | None = None,
        scanner: Scanner | None = None,
    ) -> None:
        self._devices: dict[str, Device] = {}
        self._reads: dict[str, Callable[[int], Awaitable[Opaque]]] = {}
        if visit_card is not None:
            self._add("visit", visit_card, _visit_number(visit_card))
        if id_reader is not None:
            self._add("id", id_reader, _id_number(id_reader))
        if scanner is not None:
            self._add("scan", scanner, scanner.read)

    @property
    def media(self) -> tuple[str, ...]:
        """In the order shown."""
        return tuple(self._reads)

    def usable(self) -> tuple[str, ...]:
        """Media whose device works now."""
        return tuple(
            medium for medium, device in self._devices.items() if device.status() == State.ONLINE
        )

    async def read(self, timeout_ms: int) -> tuple[str, Opaque]:
        """(medium, number) of the first that is shown; afterwards no device waits. Raises
        DeviceError: what was shown could not be read, nothing was shown in time, it was cancelled;
        or what the last device said, when none works any more."""
        media = self.usable()
        if not media:
            raise DeviceError(Completion.DEVICE_NOT_READY, "no device to be identified at")
        race = _Race(len(media))
        for medium in media:
            one = Deferred.fromCoroutine(self._one(medium, timeout_ms))
            one.addCallbacks(race.won, race.lost)
        try:
            return await race.ended
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Nobody is waited for any more."""
        for device in self._devices.values():
            device.cancel()

    def _add(self, medium: str, device: Device, read: Callable[[int], Awaitable[Opaque]]) -> None:
        self._devices[medium] = device
        self._reads[medium] = read

    async def _one(self, medium: str, timeout_ms: int) -> tuple[str, Opaque]:
        return medium, await self._reads[medium](timeout_ms)


class _Race:
    """Several devices wait, and one of them ends it."""

    def __init__(self, runners: int) -> None:
        self._runners = runners
        self.ended: Deferred[tuple[str, Opaque]] = Deferred()

    def won(self, found: tuple[str, Opaque]) -> None:
        """Something was shown and read; what comes after it is for nobody."""
        self._runners -= 1
        if not self.ended.called:
            self.ended.callback(found)

    def lost(self, failure: Failure) -> None:
        """A person's doing ends it for all, a device's trouble for that device alone."""
        self._runners -= 1
        error = failure.value
        ours = isinstance(error, DeviceError) and error.completion not in PERSONS_DOING
        if not self.ended.called and not (ours and self._runners):
            self.ended.errback(failure)


def _visit_number(device: VisitCardReading) -> Callable[[int], Awaitable[Opaque]]:
    async def read(timeout_ms: int) -> Opaque:
        return Opaque(await device.read_number(timeout_ms))

    return read


def _id_number(device: IdReader) -> Callable[[int], Awaitable[Opaque]]:
    async def read(timeout_ms: int) -> Opaque:
        return (await device.read_identity(timeout_ms)).number

    return read
