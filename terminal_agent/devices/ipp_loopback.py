"""An emulated report printer on a loopback port, and the driver that prints to it."""

from pathlib import Path
from typing import Annotated, Any, Final

from msgspec import Meta
from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from terminal_agent.bounded_request import BoundedRequest
from terminal_agent.devices.ipp_emulator import IppEmulator
from terminal_agent.devices.ipp_exchange import IppExchange
from terminal_agent.devices.ipp_http import HttpPost, Unheard
from terminal_agent.devices.ipp_printer import DOCUMENT_BYTES_MAX, IppPrinter, IppTimes
from terminal_agent.devices.serial_device import Count

LOOPBACK: Final = "127.0.0.1"
PATH: Final = "/ipp/print"
BODY_BYTES_MAX: Final = DOCUMENT_BYTES_MAX + 65_536


class EmulatedIppOptions(IppTimes, frozen=True, kw_only=True):
    """A printer that is not there."""

    folder: str
    """Where its documents lie, ``NAME.1.pdf`` for the first one of a name."""
    port: Annotated[int, Meta(ge=0, le=65_535)] = 0
    """Loopback port; 0: any free one."""
    page_ms: Count = 300
    """How long a page takes."""


class _Request(BoundedRequest):
    body_bytes_max = BODY_BYTES_MAX


class LoopbackPrinter(Resource):
    """Serves an emulator over HTTP. ``http_status`` is for printers whose web server is what
    answers."""

    isLeaf = 1

    def __init__(self, reactor: Any, emulator: IppEmulator, port: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._reactor = reactor
        self._emulator = emulator
        self._port = port
        self._listening: Any = None
        self.http_status = 200

    def plug(self) -> str:
        """Listen; the address. Raises CannotListenError."""
        site = Site(self, reactor=self._reactor)
        site.requestFactory = _Request
        site.displayTracebacks = False
        site.noisy = False
        self._listening = self._reactor.listenTCP(self._port, site, interface=LOOPBACK)
        self._port = self._listening.getHost().port
        self._emulator.uri = f"ipp://{LOOPBACK}:{self._port}{PATH}"
        return self._emulator.uri

    def unplug(self) -> "Deferred[None]":
        """Nobody is there any more; the port stays the same for the next time."""
        listening, self._listening = self._listening, None
        return maybeDeferred(listening.stopListening if listening else lambda: None)

    def render(self, request: Request) -> bytes | int:
        """One request; without an answer the line stays open and silent."""
        assert isinstance(request, _Request)
        assert request.content is not None
        if request.path != PATH.encode():
            request.setResponseCode(404)
            return b""
        if request.method != b"POST" or request.body_bytes > BODY_BYTES_MAX:
            request.setResponseCode(400)
            return b""
        answer = bytearray()
        self._emulator.attach(answer.extend)
        self._emulator.received(request.content.read())
        if not answer:
            return NOT_DONE_YET
        request.setResponseCode(self.http_status)
        request.setHeader("Content-Type", "application/ipp")  # type: ignore[no-untyped-call]
        return bytes(answer)


class EmulatedIppPrinter(IppPrinter):
    """Driver and emulated printer in one process, for demonstrations."""

    def __init__(self, options: EmulatedIppOptions, reactor: Any) -> None:
        super().__init__(options, reactor, "", _unplugged)
        self.emulator = IppEmulator(reactor, Path(options.folder), options.page_ms)
        self.cable = LoopbackPrinter(reactor, self.emulator, options.port)

    def start(self) -> None:
        """Plug the printer in, then see IppPrinter."""
        uri = self.cable.plug()
        post = HttpPost(uri, "", self._reactor)
        self._exchange = IppExchange(uri, post, self._times.answer_timeout_ms)
        super().start()

    def stop(self) -> None:
        """Unplug it as well."""
        super().stop()
        self.cable.unplug()


def _unplugged(_body: bytes, _timeout_ms: int) -> "Deferred[bytes]":
    """Until it is started."""
    return fail(Unheard("unplugged"))
