"""A card under power in a PC/SC reader: blocking, for one thread.

The kiosk's driver keeps it in a reader's own thread; :func:`open_reader` is for a command line.
"""

import re
from collections.abc import Callable
from time import sleep
from typing import Any

from terminal_agent.devices.interfaces import Completion, DeviceError
from terminal_agent.devices.pcsc_service import (
    CARD_GONE,
    Code,
    Connection,
    PcscError,
    PcscService,
)
from terminal_agent.emv.actions import CardGone
from terminal_agent.emv.apdu import Style

_T1 = 2
APDU_BYTES_MAX = 261
"""A short command: header, Lc, 255 bytes, Le."""
_TRIES = 5
_WAIT_MS = 300


class CardGoneError(DeviceError, CardGone):
    """The card was pulled, or stopped to answer for good: the kernel knows it as CardGone."""

    def __init__(self) -> None:
        DeviceError.__init__(self, Completion.USER_ERROR, "card gone")


class PcscCard:
    """A connection. Opened, used and closed by one and the same thread."""

    def __init__(self, service: PcscService, context: Any, connection: Connection) -> None:
        self._service, self._context, self._connection = service, context, connection
        self.atr = service.atr(connection)
        self.style = Style.T1 if connection.protocol == _T1 else Style.T0

    @classmethod
    def connect(
        cls,
        service: PcscService,
        reader: str,
        tries: int,
        pause: Callable[[], object],
    ) -> "PcscCard":
        """Power the card in ``reader`` up. A card that was only just put in may still be without
        power (0x80100067): it is tried again, with a ``pause`` between.

        Raises DeviceError: deviceNotReady (no card, or in use elsewhere), hardwareError (service or
        chip does not answer).
        """
        try:
            context = service.open()
        except PcscError as error:
            raise _failed(error) from None
        left = tries
        while True:
            left -= 1
            try:
                return cls(service, context, service.connect(context, reader))
            except PcscError as error:
                if not left or error.code not in CARD_GONE - {Code.NO_CARD}:
                    service.close(context)
                    raise _failed(error) from None
            pause()

    def transmit(self, command: bytes) -> bytes:
        """The card's answer with its status word. Raises CardGoneError; DeviceError
        hardwareError when the service itself is gone."""
        if not 4 <= len(command) <= APDU_BYTES_MAX:
            raise DeviceError(Completion.USER_ERROR, "a command has 4 to 261 bytes")
        try:
            answer = self._service.transmit(self._connection, command)
        except PcscError as error:
            if error.code in CARD_GONE:
                raise CardGoneError from None
            raise _failed(error) from None
        if len(answer) < 2:
            raise CardGoneError
        return answer

    def close(self) -> None:
        """Power down."""
        self._service.disconnect(self._connection)
        self._service.close(self._context)


def open_reader(pattern: str) -> PcscCard:
    """The card in the first reader whose name fits, for a command line; blocks.

    Its ``atr``, ``style`` and ``transmit`` are what :func:`terminal_agent.emv.driver.drive` needs.
    Raises ConfigError (pyscard is not installed) and DeviceError.
    """
    service = PcscService()
    try:
        wanted = re.compile(pattern)
    except re.error:
        raise DeviceError(Completion.USER_ERROR, "not a regular expression") from None
    try:
        context = service.open()
        try:
            names = service.readers(context)
        finally:
            service.close(context)
    except PcscError as error:
        raise _failed(error) from None
    fitting = [name for name in names if wanted.search(name)]
    if not fitting:
        known = ", ".join(names) or "none at all"
        raise DeviceError(Completion.DEVICE_NOT_READY, f"no such reader; there are: {known}")
    return PcscCard.connect(service, fitting[0], _TRIES, lambda: sleep(_WAIT_MS / 1000))


def _failed(error: PcscError) -> DeviceError:
    if error.code == Code.NO_CARD:
        return DeviceError(Completion.DEVICE_NOT_READY, "no card")
    if error.code in CARD_GONE:
        return DeviceError(Completion.HARDWARE_ERROR, "the chip does not answer")
    if error.code == Code.SHARING_VIOLATION:
        return DeviceError(Completion.DEVICE_NOT_READY, "another program uses the reader")
    return DeviceError(Completion.HARDWARE_ERROR, f"smart-card service ({error})")
