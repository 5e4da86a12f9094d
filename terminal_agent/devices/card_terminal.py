"""The card in a PC/SC reader, for the command line. Needs the extra ``yinyitong[card]``.

A kiosk's own reader is supervised and never blocks; this one is for trying a card out by hand.
"""

import importlib
import re
from typing import Any

from terminal_agent.devices.interfaces import Completion, DeviceError
from terminal_agent.emv.actions import CardGone
from terminal_agent.emv.apdu import Style


class TerminalCard:
    """A connected card."""

    def __init__(self, connection: Any, failure: type[Exception]) -> None:
        self._connection, self._failure = connection, failure
        self.atr = bytes(connection.getATR())

    def transmit(self, command: bytes) -> bytes:
        """Its answer with the status word. Raises CardGone."""
        try:
            data, first, second = self._connection.transmit(list(command))
        except self._failure:
            raise CardGone from None
        return bytes([*data, first, second])


def open_card(reader: str) -> tuple[TerminalCard, Style]:
    """The card in the first reader whose name fits the expression, and how it is spoken to.

    Raises DeviceError: no pyscard, no such reader, no card.
    """
    try:
        wanted = re.compile(reader)
    except re.error:
        raise DeviceError(Completion.USER_ERROR, "not a regular expression") from None
    try:
        system = importlib.import_module("smartcard.System")
        failures = importlib.import_module("smartcard.Exceptions")
    except ImportError:
        text = "pyscard is missing: install yinyitong[card]"
        raise DeviceError(Completion.UNSUPPORTED_COMMAND, text) from None
    failure: type[Exception] = failures.SmartcardException
    try:
        found = [each for each in system.readers() if wanted.search(str(each))]
        if not found:
            raise DeviceError(Completion.DEVICE_NOT_READY, "no such reader")
        connection = found[0].createConnection()
        connection.connect()
    except failure:
        raise DeviceError(Completion.DEVICE_NOT_READY, "no card in the reader") from None
    t0 = connection.getProtocol() == connection.T0_protocol
    return TerminalCard(connection, failure), Style.T0 if t0 else Style.T1
