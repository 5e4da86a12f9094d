"""The loopback door of a kiosk: what the demo and the operator ask of the agent.

Only loopback, and never a browser's page: a request with an ``Origin`` is refused, and one under a
name that is not this machine's own (a foreign page's, rebound to 127.0.0.1). The kiosk's own page
has a site of its own (:mod:`terminal_agent.page`).
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from terminal_agent import preview
from terminal_agent.bounded_request import BoundedRequest
from terminal_agent.config import AgentConfig
from terminal_agent.desk import Desk, FlowError
from terminal_agent.devices.interfaces import DeviceError
from terminal_agent.flow import Wish
from terminal_agent.journal import Journal
from terminal_agent.logs import get_logger
from terminal_agent.protocol import Opaque, Told, fault_of
from terminal_agent.slips import Slips

_log = get_logger("control")

BODY_BYTES_MAX = 16_384

JSON = "application/json; charset=utf-8"
Reply = tuple[int, str, bytes]
Pay = Callable[[Wish], Awaitable[Told]]


class Control:
    """The routes. ``GET`` /health /ledger /receipts/KEY /receipts/KEY.png; ``POST`` /pay
    /reprint/KEY."""

    def __init__(
        self,
        config: AgentConfig,
        journal: Journal,
        desk: Desk,
        slips: Slips,
        *,
        pay: Pay,
        devices: Callable[[], dict[str, str]],
        locked: Callable[[], str | None],
    ) -> None:
        """``pay``: see :meth:`ScriptedHands.pay`. ``devices``: role → state. ``locked``: what a
        locked kiosk shows."""
        self._config = config
        self._journal = journal
        self._desk = desk
        self._slips = slips
        self._pay = pay
        self._devices = devices
        self._locked = locked

    def site(self, reactor: Any) -> Site:
        """Ready to listen on the loopback address."""
        site = Site(_Router(self.answer), requestFactory=_Request, reactor=reactor)
        site.displayTracebacks = False
        site.noisy = False
        return site

    async def answer(self, method: str, path: str, body: bytes) -> Reply:
        """One request. Raises nothing that the caller caused."""
        head, _, rest = path.strip("/").partition("/")
        try:
            if (method, path) == ("GET", "/health"):
                return self._health()
            if (method, path) == ("GET", "/ledger"):
                return self._ledger()
            if (method, path) == ("POST", "/pay"):
                wish = msgspec.json.decode(body, type=Wish, dec_hook=_dec_hook)
                return _json(200, await self._pay(wish))
            if (method, head) == ("GET", "receipts"):
                return self._receipt(rest)
            if (method, head) == ("POST", "reprint"):
                await self._slips.print(rest)
                return _json(200, {"printed": rest})
        except msgspec.DecodeError as error:
            rule, path = fault_of(error, "body")
            return _json(400, {"error": f"{path}: {rule}"})
        except FlowError as error:
            return _json(409, {"code": error.code, "error": error.text})
        except KeyError:
            return _json(404, {"error": "no such payment here"})
        except (DeviceError, preview.NoFontError) as error:
            return _json(503, {"error": str(error)})
        return _json(404, {"error": "no such page"})

    def _health(self) -> Reply:
        up = self._desk.link.up
        parts = {"link": "up" if up else "down", **self._devices()}
        body = {
            "status": "up" if up else "degraded",
            "terminal": self._config.terminal,
            "parts": parts,
            "open": self._desk.payments.open_count,
            "locked": self._locked(),
        }
        return _json(200 if up else 503, body)

    def _ledger(self) -> Reply:
        told = self._journal.ledger()
        approved = sum(line.amount_fen for line in told if line.state == "approved")
        return _json(200, {"told": told, "approved_fen": approved})

    def _receipt(self, name: str) -> Reply:
        key = name.removesuffix(".png")
        text = self._slips.text(key, copy=False)
        if key == name:
            return 200, "text/plain; charset=utf-8", text.encode()
        font = preview.find_font(self._config.receipt.font)
        return 200, "image/png", preview.picture(text, self._config.receipt.columns, font)


def _dec_hook(kind: type, value: object) -> object:
    if kind is Opaque and isinstance(value, str):
        return Opaque(value)
    raise ValueError("must be text")


def _json(status: int, body: object) -> Reply:
    return status, JSON, msgspec.json.encode(body) + b"\n"


class _Request(BoundedRequest):
    body_bytes_max = BODY_BYTES_MAX


class _Router(Resource):
    isLeaf = 1

    def __init__(self, answer: Callable[[str, str, bytes], Awaitable[Reply]]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._answer = answer

    def render(self, request: _Request) -> int:
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)
        Deferred.fromCoroutine(self._serve(request, gone)).addErrback(_broken, request, gone)
        return NOT_DONE_YET

    async def _serve(self, request: _Request, gone: list[object]) -> None:
        if request.getHeader("origin") is not None or not _is_own_name(request):
            reply = _json(403, {"error": "not for pages"})
        elif request.body_bytes > BODY_BYTES_MAX:
            reply = _json(413, {"error": f"more than {BODY_BYTES_MAX} bytes"})
        else:
            assert request.content is not None
            method = request.method.decode("ascii", "replace")
            path = request.path.decode("ascii", "replace")
            reply = await self._answer(method, path, request.content.read())
        _write(request, gone, reply)


def _is_own_name(request: Request) -> bool:
    """Whether it was asked for under this machine's own name, whatever the port."""
    own = {b"localhost", b"127.0.0.1", b"[::1]", request.getHost().host.encode()}
    return request.getRequestHostname() in own


def _write(request: Request, gone: list[object], reply: Reply) -> None:
    if gone:
        return
    status, content_type, body = reply
    request.setResponseCode(status)
    request.setHeader("Content-Type", content_type)
    request.setHeader("Content-Length", str(len(body)))
    request.write(body)
    request.finish()


def _broken(failure: Failure, request: Request, gone: list[object]) -> None:
    """Named boundary: say so in the log, and 500 without a word of it to the caller."""
    _log.error("request_failed", path=str(request.path), exc_info=failure.value)
    _write(request, gone, _json(500, {"error": "see the log"}))
