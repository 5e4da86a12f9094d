"""The computer's smart-card service (pcscd, winscard) as a few blocking calls with one error type.

pyscard's classes above ``smartcard.scard`` are left alone: they keep one context for the whole
process, which is dead for good once the service was restarted. Here a context belongs to the
thread that opened it, and is opened anew after every trouble.
"""

import importlib
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from terminal_agent.config import ConfigError

NEWS_OF_READERS: Final = "\\\\?PnP?\\Notification"
"""A reader that is none: it changes when readers come and go."""

READERS_MAX: Final = 32
"""Readers looked at; further ones are not."""


class PcscError(Exception):
    """A call failed; ``code`` is the service's own, as 32 bits without sign."""

    def __init__(self, call: str, code: int) -> None:
        self.code = code & 0xFFFFFFFF
        super().__init__(f"{call}: 0x{self.code:08X}")


class ReaderState(NamedTuple):
    """What the service says of one reader."""

    name: str
    flags: int
    """SCARD_STATE bits; above bit 16 a count of insertions and removals."""
    atr: bytes


class Flag:
    """Bits of :class:`ReaderState` (the same for pcscd and winscard)."""

    CHANGED: Final = 0x0002
    PRESENT: Final = 0x0020
    MUTE: Final = 0x0200


class Code:
    """Answers that mean something to us."""

    CANCELLED: Final = 0x80100002
    UNKNOWN_READER: Final = 0x80100009
    TIMEOUT: Final = 0x8010000A
    SHARING_VIOLATION: Final = 0x8010000B
    NO_CARD: Final = 0x8010000C
    NOT_TRANSACTED: Final = 0x80100016
    READER_UNAVAILABLE: Final = 0x80100017
    NO_READERS: Final = 0x8010002E
    COMM_DATA_LOST: Final = 0x8010002F
    UNRESPONSIVE: Final = 0x80100066
    UNPOWERED: Final = 0x80100067
    RESET: Final = 0x80100068
    REMOVED: Final = 0x80100069


CARD_GONE: Final = frozenset(
    {
        Code.NO_CARD,
        Code.NOT_TRANSACTED,
        Code.COMM_DATA_LOST,
        Code.UNRESPONSIVE,
        Code.UNPOWERED,
        Code.RESET,
        Code.REMOVED,
    }
)
"""In the middle of a dialogue these all mean: this card answers no more. A card that was taken out
and put back has lost what was said, so a reset is no better."""


class Connection(NamedTuple):
    """A powered card."""

    handle: Any
    protocol: int
    """1 is T=0, 2 is T=1."""


class PcscService:
    """The calls. Each raises PcscError; none holds Python's lock while it waits."""

    def __init__(self) -> None:
        """Raises ConfigError when pyscard is not installed."""
        try:
            self._scard: Any = importlib.import_module("smartcard.scard")
        except ImportError:
            raise ConfigError("driver pcsc needs pyscard: pip install 'yinyitong[card]'") from None

    def open(self) -> Any:
        """A context. Fails at once when the service does not run."""
        code, context = self._scard.SCardEstablishContext(self._scard.SCARD_SCOPE_USER)
        _check("open", code)
        return context

    def close(self, context: Any) -> None:
        """Forget a context; one that died with its service is forgotten all the same."""
        self._scard.SCardReleaseContext(context)

    def readers(self, context: Any) -> list[str]:
        """Names of the readers; the first 32 of them by name."""
        code, names = self._scard.SCardListReaders(context, [])
        if code & 0xFFFFFFFF == Code.NO_READERS:
            return []
        _check("readers", code)
        return sorted(names)[:READERS_MAX]

    def wait(
        self, context: Any, timeout_ms: int, known: Sequence[tuple[str, int]]
    ) -> list[ReaderState]:
        """Until a reader's state is no longer the ``known`` one, or until the time is over or
        :meth:`cancel` came: then nothing is returned."""
        code, found = self._scard.SCardGetStatusChange(context, timeout_ms, list(known))
        if code & 0xFFFFFFFF in (Code.TIMEOUT, Code.CANCELLED):
            return []
        _check("wait", code)
        return [ReaderState(name, flags, bytes(atr)) for name, flags, atr in found]

    def cancel(self, context: Any) -> None:
        """End a :meth:`wait` of another thread, the one call that may come from outside."""
        self._scard.SCardCancel(context)

    def connect(self, context: Any, reader: str) -> Connection:
        """Power the card up, for us alone."""
        scard = self._scard
        code, handle, protocol = scard.SCardConnect(
            context,
            reader,
            scard.SCARD_SHARE_EXCLUSIVE,
            scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1,
        )
        _check("connect", code)
        return Connection(handle, protocol)

    def atr(self, connection: Connection) -> bytes:
        """The card's answer to its reset."""
        code, _name, _state, _protocol, atr = self._scard.SCardStatus(connection.handle)
        _check("status", code)
        return bytes(atr)

    def transmit(self, connection: Connection, command: bytes) -> bytes:
        """One APDU and its answer."""
        code, answer = self._scard.SCardTransmit(
            connection.handle, connection.protocol, list(command)
        )
        _check("transmit", code)
        return bytes(byte & 0xFF for byte in answer)

    def disconnect(self, connection: Connection) -> None:
        """Power the card down; nothing is wrong when it has gone already."""
        self._scard.SCardDisconnect(connection.handle, self._scard.SCARD_UNPOWER_CARD)


def _check(call: str, code: int) -> None:
    if code:
        raise PcscError(call, code)
