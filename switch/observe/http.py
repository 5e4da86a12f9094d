"""Small HTTP servers on loopback: ``/metrics`` and ``/health``, and the simulators' ledgers.

They are for the machine's own operator and for Prometheus, so anything but a loopback address is
refused unless the configuration says so in words (ASVS 13.4.5). Bodies are bounded (I11).
"""

import ipaddress
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from switch.observe import metrics
from switch.observe.logs import get_logger

BODY_BYTES_MAX = 65_536
"""A control request is a few words; a larger one is answered 413."""
IDLE_S = 60

Answer = tuple[int, str, bytes]
"""HTTP status, content type, body."""
Route = Callable[[Any], object | Awaitable[object]]
"""Takes the JSON body (None for GET), returns (or awaits) anything JSON can hold."""

_log = get_logger("http")


class BindRefusedError(ValueError):
    """The address is not loopback and the configuration does not ask for that."""


class BadRequestError(ValueError):
    """Raised by a route for a request it cannot take: answered 400 with the sentence."""


def serve_json(
    reactor: Any,
    port: int,
    routes: Mapping[tuple[str, str], Route],
    *,
    host: str = "127.0.0.1",
    allow_remote: bool = False,
) -> IListeningPort:
    """Listen on ``host:port`` (0 = any free port) and answer ``{("GET", "/ledger"): route}``.

    Raises BindRefusedError, and Twisted's CannotListenError when the port is taken.
    """
    handlers = {key: _as_json(route) for key, route in routes.items()}
    return _listen(reactor, host, port, handlers, allow_remote=allow_remote)


def serve_operator(
    reactor: Any,
    port: int,
    health: Callable[[], Mapping[str, str]],
    routes: Mapping[tuple[str, str], Route],
    *,
    host: str = "127.0.0.1",
    allow_remote: bool = False,
) -> IListeningPort:
    """``GET /metrics``, ``GET /health`` (200 when every part says ``up``, else 503) and ``routes``.

    Same errors as :func:`serve_json`.
    """
    handlers = {key: _as_json(route) for key, route in routes.items()}
    handlers["GET", "/metrics"] = _metrics
    handlers["GET", "/health"] = lambda _body: _health(health())
    return _listen(reactor, host, port, handlers, allow_remote=allow_remote)


Handler = Callable[[bytes], Answer | Awaitable[Answer]]


def _listen(
    reactor: Any,
    host: str,
    port: int,
    handlers: Mapping[tuple[str, str], Handler],
    *,
    allow_remote: bool,
) -> IListeningPort:
    if not allow_remote and not ipaddress.ip_address(host).is_loopback:
        raise BindRefusedError(f"{host}: not a loopback address and allow_remote is not set")
    site = Site(_Router(handlers), requestFactory=_BoundedRequest, timeout=IDLE_S)
    site.displayTracebacks = False
    site.noisy = False
    listening: IListeningPort = reactor.listenTCP(port, site, interface=host)
    return listening


def _as_json(route: Route) -> Handler:
    async def handle(body: bytes) -> Answer:
        result = route(json.loads(body) if body else None)
        if isinstance(result, Awaitable):
            result = await result
        return 200, "application/json", _dumps(result)

    return handle


def _metrics(_body: bytes) -> Answer:
    return 200, "text/plain; version=0.0.4; charset=utf-8", metrics.exposition()


def _health(parts: Mapping[str, str]) -> Answer:
    healthy = all(state == "up" for state in parts.values())
    body = {"status": "up" if healthy else "degraded", "parts": dict(parts)}
    return 200 if healthy else 503, "application/json", _dumps(body)


def _dumps(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


class _BoundedRequest(Request):
    """Keeps no more of a body than it may be; the rest is read, dropped and answered 413."""

    body_bytes = 0

    def handleContentChunk(self, data: bytes) -> None:
        self.body_bytes += len(data)
        if self.body_bytes <= BODY_BYTES_MAX:
            super().handleContentChunk(data)  # type: ignore[no-untyped-call]


class _Router(Resource):
    isLeaf = 1

    def __init__(self, handlers: Mapping[tuple[str, str], Handler]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._handlers = handlers

    def render(self, request: _BoundedRequest) -> int:
        Deferred.fromCoroutine(self._answer(request)).addErrback(_broken, request)
        return NOT_DONE_YET

    async def _answer(self, request: _BoundedRequest) -> None:
        if request.body_bytes > BODY_BYTES_MAX:
            _write(request, (413, "application/json", b"{}\n"))
            return
        path = request.path.decode("ascii", "replace")
        handler = self._handlers.get((request.method.decode("ascii", "replace"), path))
        if handler is None:
            _write(request, self._unknown(path))
            return
        try:
            answer = handler(request.content.read())  # type: ignore[union-attr]
            if isinstance(answer, Awaitable):
                answer = await answer
        except ValueError as error:  # BadRequestError, and JSON that is none
            _write(request, (400, "application/json", _dumps({"error": str(error)})))
            return
        _write(request, answer)

    def _unknown(self, path: str) -> Answer:
        """No such path, or not by this method; with all that there are."""
        known = any(path == known_path for _, known_path in self._handlers)
        error = "not by this method" if known else "no such path"
        paths = sorted(f"{method} {path}" for method, path in self._handlers)
        body = _dumps({"error": error, "paths": paths})
        return 405 if known else 404, "application/json", body


def _write(request: Request, answer: Answer) -> None:
    status, content_type, body = answer
    request.setResponseCode(status)
    request.setHeader("Content-Type", content_type)
    request.setHeader("Content-Length", str(len(body)))
    request.write(body)
    request.finish()


def _broken(failure: Failure, request: Request) -> None:
    """A route failed: say so in the log, and 500 without a word of it to the caller."""
    _log.error("route_failed", path=str(request.path), exc_info=failure.value)
    if not request.finished:
        _write(request, (500, "application/json", b"{}\n"))
