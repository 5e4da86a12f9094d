"""The officers' side of the admin socket: blocking, one request at a time."""

import socket
from types import TracebackType
from typing import Any, Final, Self

from msgspec import Struct

from hsm.admin.protocol import FRAME_MAX, LENGTH_BYTES, framed, read_reply

CONNECT_S: Final = 5.0
ANSWER_S: Final = 120.0
"""Passphrases are slow on purpose, and several may be looked at for one answer."""


class AdminError(Exception):
    """The daemon refused. ``code`` and ``what`` are for hsm.ceremony.texts."""

    def __init__(self, code: str, what: str = "") -> None:
        super().__init__(f"{code} {what}".strip())
        self.code = code
        self.what = what


class Admin:
    """A connection to a daemon's admin socket. OSError when there is none, or it is silent."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(CONNECT_S)
        try:
            self._socket.connect(path)
        except OSError:
            self._socket.close()
            raise
        self._socket.settimeout(ANSWER_S)

    def ask(self, request: Struct) -> dict[str, Any]:
        """The facts of the answer. AdminError: refused; OSError: the line broke."""
        self._socket.sendall(framed(request))
        length = int.from_bytes(self._read(LENGTH_BYTES), "big")
        if length > FRAME_MAX:
            raise ConnectionError("an answer without end")
        try:
            reply = read_reply(self._read(length))
        except ValueError as error:
            raise ConnectionError(str(error)) from None
        if reply.error:
            raise AdminError(reply.error, reply.what)
        return reply.facts

    def close(self) -> None:
        """Hang up; a ceremony under way is wiped."""
        self._socket.close()

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            chunk = self._socket.recv(count - len(data))
            if not chunk:
                raise ConnectionError("the key service hung up")
            data += chunk
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
