"""ID card readers (二代证) with the public SAM protocol over a serial port."""

from typing import Any

from twisted.internet.defer import Deferred

from terminal_agent.devices.interfaces import CARD_IN, Completion, DeviceError, IdentityCard
from terminal_agent.devices.sam_frames import (
    FIND,
    FOUND,
    GOOD,
    NO_CARD,
    READ,
    SELECT,
    STATUS,
    Answer,
    Decoder,
    answer_of,
    card_of,
    encode,
)
from terminal_agent.devices.serial_device import Count, SerialDevice, SerialOptions


class IdReaderOptions(SerialOptions, frozen=True, kw_only=True):
    """The module speaks 115200 8N1."""

    find_interval_ms: Count
    """How often to look for a card while one is waited for."""


class SamIdReader(SerialDevice):
    """One module. A card that was read has to be lifted before it is found again."""

    role = "id_reader"

    def __init__(self, options: IdReaderOptions, reactor: Any, **world: Any) -> None:
        super().__init__(options, reactor, **world)
        self._interval_ms = options.find_interval_ms
        self._decoder = Decoder()
        self._canceled = True
        self._pause: Deferred[None] | None = None

    async def read_identity(self, timeout_ms: int) -> IdentityCard:
        """See IdReader. A card lifted too early is waited for again."""
        async with self._turn_of_mine():
            self._canceled = False
            end = self._reactor.seconds() + timeout_ms / 1000
            while not self._canceled:
                card = await self._try()
                if card is not None:
                    self._tell(CARD_IN)
                    return card
                if self._reactor.seconds() >= end:
                    raise DeviceError(Completion.TIME_OUT, "no card")
                await self._wait()
            raise DeviceError(Completion.CANCELED, "canceled")

    def cancel(self) -> None:
        """See Device."""
        self._canceled = True
        self._wake()

    async def _try(self) -> IdentityCard | None:
        """Find, select, read; None: nothing there, or lifted meanwhile. Raises DeviceError."""
        if (await self._command(FIND)).status != FOUND:
            return None
        if (await self._command(SELECT)).status != GOOD:
            return None
        answer = await self._command(READ)
        if answer.status != GOOD:
            return None
        try:
            return card_of(answer.data)
        except ValueError as error:
            raise DeviceError(Completion.INVALID_DATA, str(error)) from None

    async def _command(self, command: bytes) -> Answer:
        body: bytes = await self._ask(encode(command))
        return answer_of(body)

    async def _wait(self) -> None:
        pause: Deferred[None] = Deferred()
        self._pause = pause
        timer = self._reactor.callLater(self._interval_ms / 1000, self._wake)
        await pause
        if timer.active():
            timer.cancel()

    def _wake(self) -> None:
        pause, self._pause = self._pause, None
        if pause is not None:
            pause.callback(None)

    async def _greet(self) -> None:
        answer = await self._command(STATUS)
        if answer.status not in (GOOD, NO_CARD):
            raise DeviceError(Completion.HARDWARE_ERROR, f"status {answer.status:02X}")

    def _feed(self, data: bytes) -> None:
        for body in self._decoder.feed(data):
            self._answered(body)

    def _forget(self) -> None:
        self._decoder.forget()

    def _unplugged(self, error: DeviceError) -> None:
        self._wake()
