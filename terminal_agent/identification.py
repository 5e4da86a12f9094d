"""Who stands at the kiosk: the first of several media that is shown, the others are let go.

Bank cards are no medium: the hospital never sees a card number (docs/kiosk.md).
"""

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
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
        """(medium, number) of the first that is shown. Raises DeviceError: what the first device
        said that could not read what it was shown; timeOut when nothing was."""
        media = self.usable()
        if not media:
            raise DeviceError(Completion.DEVICE_NOT_READY, "no device to be identified at")
        reads = [Deferred.fromCoroutine(self._one(medium, timeout_ms)) for medium in media]
        first: Any = DeferredList(
            reads, fireOnOneCallback=True, fireOnOneErrback=True, consumeErrors=True
        )
        first.addErrback(_inner)
        found = await first
        self.cancel()
        medium_number: tuple[str, Opaque] = found[0]
        return medium_number

    def cancel(self) -> None:
        """Nobody is waited for any more."""
        for device in self._devices.values():
            device.cancel()

    def _add(self, medium: str, device: Device, read: Callable[[int], Awaitable[Opaque]]) -> None:
        self._devices[medium] = device
        self._reads[medium] = read

    async def _one(self, medium: str, timeout_ms: int) -> tuple[str, Opaque]:
        return medium, await self._reads[medium](timeout_ms)


def _inner(failure: Failure) -> Failure:
    """The DeviceError inside of Twisted's FirstError."""
    inside = getattr(failure.value, "subFailure", failure)
    return inside if isinstance(inside, Failure) else failure


def _visit_number(device: VisitCardReading) -> Callable[[int], Awaitable[Opaque]]:
    async def read(timeout_ms: int) -> Opaque:
        return Opaque(await device.read_number(timeout_ms))

    return read


def _id_number(device: IdReader) -> Callable[[int], Awaitable[Opaque]]:
    async def read(timeout_ms: int) -> Opaque:
        return (await device.read_identity(timeout_ms)).number

    return read
