"""Plays a virtual card into vpcd, the virtual reader of pcscd: real PC/SC without hardware.

vpcd listens (TCP 35963, slot 1 on 35964) and the card connects to it. A message is a length of two
bytes, big-endian, and a body: of one byte 00 power off, 01 power on, 02 reset (none is answered),
04 "give your ATR" (answered with it; also the check for presence); a longer one is an APDU.
Closing the connection takes the card out. Demonstrations and tests only: vpcd opens its port to
the network, so it must never be installed on a kiosk.

The card has a thread of its own: on the reactor's thread it could not answer a program that waits
for it there.
"""

import socket
import threading
from contextlib import suppress
from typing import Final, Protocol

from terminal_agent.emv.actions import CardGone

PORT: Final = 35963
_OFF, _ON, _RESET, _ATR = 0x00, 0x01, 0x02, 0x04
_CONNECT_S: Final = 5


class Playable(Protocol):
    """A card that can be played."""

    def reset(self) -> bytes:
        """Power up: the ATR."""
        ...

    def transmit(self, command: bytes) -> bytes:
        """The answer with its status word. Raises CardGone: it is pulled out there and then."""
        ...


class VpcdCard:
    """A card in slot ``slot`` from :meth:`insert` until :meth:`pull`, or until it pulls itself.

    ``card`` is touched by the playing thread alone while it is inside; ``heard`` is read from
    anywhere (a count, replaced whole). A socket's ``shutdown`` may come from any thread.
    """

    def __init__(self, card: Playable, slot: int = 0, host: str = "127.0.0.1") -> None:
        self._card = card
        self._address = (host, PORT + slot)
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._atr = b""
        self.heard = 0
        """APDUs answered so far."""

    def insert(self) -> None:
        """Put it in. Raises OSError when there is no virtual reader, or its slot is taken."""
        if self._socket is not None:
            raise OSError("the card is inside already")
        if self._thread is not None:
            self._thread.join()
        self._atr = self._card.reset()
        self._socket = socket.create_connection(self._address, _CONNECT_S)
        self._socket.settimeout(None)
        self._thread = threading.Thread(
            target=self._play, args=(self._socket,), name="vpcd-card", daemon=True
        )
        self._thread.start()

    def pull(self) -> None:
        """Take it out, even in the middle of an APDU. Out already is no error."""
        playing, self._socket = self._socket, None
        if playing is not None:
            with suppress(OSError):  # the other side was quicker
                playing.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> "VpcdCard":
        self.insert()
        return self

    def __exit__(self, *_: object) -> None:
        self.pull()

    def _play(self, playing: socket.socket) -> None:
        with playing, playing.makefile("rb") as incoming:
            try:
                while len(head := incoming.read(2)) == 2:
                    length = int.from_bytes(head, "big")
                    if len(body := incoming.read(length)) < length:
                        return
                    answer = self._answer(body)
                    if answer is not None:
                        playing.sendall(len(answer).to_bytes(2, "big") + answer)
            except (OSError, CardGone):
                return

    def _answer(self, body: bytes) -> bytes | None:
        if len(body) > 1:
            answer = self._card.transmit(body)
            self.heard += 1
            return answer
        if body == bytes([_ATR]):
            return self._atr
        if body in (bytes([_ON]), bytes([_RESET])):
            self._atr = self._card.reset()
        return None
