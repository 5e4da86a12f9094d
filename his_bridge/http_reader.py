"""HTTP/1.1 messages from bytes, without I/O: what the HIS client and the HIS simulator both read.

Deliberately small and strict: bounded head and body, one meaning per message. Whatever is bent
(two lengths, a folded header, an odd transfer coding) is an :class:`HttpError`, never a guess; the
caller then closes the connection. Any input, whole or byte by byte, yields messages or HttpError.
"""

import re
from collections.abc import Generator

from msgspec import Struct

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_STATUS = re.compile(r"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: [^\r\n\x00]*)?")
_REQUEST = re.compile(r"([A-Z]{1,16}) (/[!-~]{0,1000}) HTTP/1\.([01])")
_LENGTH = re.compile(r"[0-9]{1,12}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})(?:[ \t]*;[^\r\n]{0,200})?")
_CHUNK_LINE_BYTES = 256
_BODYLESS = (204, 304)


class HttpError(Exception):
    """The peer's bytes are no message we accept; ``code`` says why in one word."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Message(Struct, kw_only=True):
    """One message: ``status`` for a response, ``method`` and ``path`` for a request."""

    status: int = 0
    method: str = ""
    path: str = ""
    headers: dict[str, str] = {}
    body: bytes = b""
    keep_alive: bool = True


class HttpReader:
    """Feed it bytes; it gives each message once, complete."""

    def __init__(self, *, requests: bool, head_limit_bytes: int, body_limit_bytes: int) -> None:
        self._requests = requests
        self._head_limit_bytes = head_limit_bytes
        self._body_limit_bytes = body_limit_bytes
        self._buffer = bytearray()
        self._ended = False
        self._ready: Message | None = None
        self._machine = self._read()
        next(self._machine)

    @property
    def pending(self) -> bool:
        """True when bytes of an unfinished message are held."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> Message | None:
        """The next message when it is complete; call again with ``b""`` for one already here."""
        self._buffer += data
        next(self._machine)
        message, self._ready = self._ready, None
        return message

    def end(self) -> Message | None:
        """The peer closed: the message whose body ended with the connection, if any."""
        self._ended = True
        return self.feed(b"")

    def _read(self) -> Generator[None]:
        yield
        while True:
            head = yield from self._until(b"\r\n\r\n", self._head_limit_bytes, "head_too_large")
            message, version = self._start(head.decode("latin-1"))
            if 100 <= message.status < 200:
                continue
            connection = message.headers.get("connection", "").lower()
            message.keep_alive = version == "1" and connection != "close"
            message.body = yield from self._body(message)
            self._ready = message
            yield

    def _start(self, head: str) -> tuple[Message, str]:
        first, *lines = head.split("\r\n")
        match = (_REQUEST if self._requests else _STATUS).fullmatch(first)
        if match is None:
            raise HttpError("bad_start_line")
        headers: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(":")
            name = name.lower()
            if not colon or not _TOKEN.fullmatch(name) or "\n" in value or "\r" in value:
                raise HttpError("bad_header")
            if name in headers and name in ("content-length", "transfer-encoding"):
                raise HttpError("two_lengths")
            headers[name] = value.strip(" \t")
        if self._requests:
            return Message(method=match[1], path=match[2], headers=headers), match[3]
        return Message(status=int(match[2]), headers=headers), match[1]

    def _body(self, message: Message) -> Generator[None, None, bytes]:
        length = message.headers.get("content-length")
        coding = message.headers.get("transfer-encoding")
        if message.status in _BODYLESS:
            return b""
        if coding is not None:
            if length is not None or coding.lower() != "chunked":
                raise HttpError("two_lengths" if length is not None else "bad_coding")
            return (yield from self._chunks())
        if length is not None:
            if not _LENGTH.fullmatch(length):
                raise HttpError("bad_length")
            return (yield from self._exactly(self._within(int(length))))
        if self._requests:
            return b""
        message.keep_alive = False
        return (yield from self._rest())

    def _chunks(self) -> Generator[None, None, bytes]:
        body = bytearray()
        while True:
            line = yield from self._until(b"\r\n", _CHUNK_LINE_BYTES, "bad_chunk")
            match = _CHUNK.fullmatch(line)
            if match is None:
                raise HttpError("bad_chunk")
            size = int(match[1], 16)
            if size == 0:
                break
            self._within(len(body) + size)
            body += yield from self._exactly(size)
            if (yield from self._exactly(2)) != b"\r\n":
                raise HttpError("bad_chunk")
        trailer_bytes = 0
        while line := (yield from self._until(b"\r\n", self._head_limit_bytes, "bad_chunk")):
            trailer_bytes += len(line)
            if trailer_bytes > self._head_limit_bytes:
                raise HttpError("bad_chunk")
        return bytes(body)

    def _within(self, size: int) -> int:
        if size > self._body_limit_bytes:
            raise HttpError("oversize")
        return size

    def _until(self, mark: bytes, limit: int, code: str) -> Generator[None, None, bytes]:
        start = 0
        while (at := self._buffer.find(mark, start, limit + len(mark))) < 0:
            if len(self._buffer) >= limit + len(mark):
                raise HttpError(code)
            if self._ended and self._buffer:
                raise HttpError("half_message")
            start = max(0, len(self._buffer) - len(mark) + 1)
            yield
        return self._take(at, len(mark))

    def _exactly(self, size: int) -> Generator[None, None, bytes]:
        while len(self._buffer) < size:
            if self._ended:
                raise HttpError("half_message")
            yield
        return self._take(size, 0)

    def _rest(self) -> Generator[None, None, bytes]:
        while not self._ended:
            self._within(len(self._buffer))
            yield
        return self._take(self._within(len(self._buffer)), 0)

    def _take(self, size: int, mark_bytes: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[: size + mark_bytes]
        return taken
