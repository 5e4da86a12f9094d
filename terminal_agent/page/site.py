"""The site: the page, its files, its WebSocket; for demonstrations the side panel too.

====================  ==============================================================
``/kiosk``            the page, with this run's token in it
``/kiosk/ws``         View out, Tap in
``/static/NAME``      modules, styles and pictures
``/demo``             kiosk and side panel beside each other (only with a panel)
``/panel``            the side panel, a document of its own
``/panel/ws``         PanelView out, PanelAction in
``/panel/slip.png``   the slip printed last
====================  ==============================================================
"""

import secrets
from importlib.resources import files
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from twisted.web.websocket import WebSocketResource

from terminal_agent.config import PageConfig
from terminal_agent.flows.view import Tap
from terminal_agent.logs import get_logger
from terminal_agent.page.door import Door
from terminal_agent.page.guard import PageGuard, PageGuards
from terminal_agent.page.hands import Hands, PanelAction
from terminal_agent.page.session import Club, Session
from terminal_agent.page.stage import Stage

_log = get_logger("page")

SESSIONS_MAX = 4
"""The kiosk's browser, one just being replaced, and an engineer's."""
TOKEN_BYTES = 32
TOKEN_MARK = b"{{token}}"
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


class PageSite:
    """Everything between a :class:`View` and the patient's browser. Raises ValueError for a panel
    without hands."""

    def __init__(self, config: PageConfig, stage: Stage, hands: Hands | None, reactor: Any) -> None:
        if config.panel and hands is None:
            raise ValueError("a side panel needs emulated devices")
        self._config = config
        self._reactor = reactor
        self._hands = hands if config.panel else None
        self._listening: Any = None
        taps = msgspec.json.Decoder(Tap)
        self.kiosk = Club(
            reactor,
            secrets.token_urlsafe(TOKEN_BYTES),
            sessions_max=SESSIONS_MAX,
            snapshot=stage.view,
            heard=lambda message: stage.tapped(taps.decode(message)),
        )
        stage.watch(self.kiosk.changed)
        self.panel: Club | None = None
        if self._hands is not None:
            self.panel = _panel(self._hands, reactor)
            self._hands.watch(self.panel.changed)

    def start(self) -> None:
        """Listen. Raises CannotListenError."""
        root = _Root(self.kiosk, self.panel, self._hands)
        site = Site(root, timeout=None, reactor=self._reactor)
        site.displayTracebacks = False
        site.noisy = False
        guards = PageGuards(site, self._reactor)
        self._listening = self._reactor.listenTCP(
            self._config.port, guards, interface=self._config.bind
        )
        root.door = Door(self._config.bind, self.port, framed=self._config.panel)
        _log.info("page_ready", url=self.url)

    def stop(self) -> Deferred[None]:
        """Stop listening and send the pages away; they come back when somebody listens again."""
        listening, self._listening = self._listening, None
        for club in (self.kiosk, self.panel):
            if club is not None:
                club.close()
        return maybeDeferred(listening.stopListening if listening else lambda: None)

    @property
    def port(self) -> int:
        """The port really listened on; only after ``start``."""
        return int(self._listening.getHost().port)

    @property
    def url(self) -> str:
        """What the kiosk's browser opens."""
        door = Door(self._config.bind, self.port, framed=False)
        return f"{door.url}/{'demo' if self._config.panel else 'kiosk'}"


def _panel(hands: Hands, reactor: Any) -> Club:
    actions = msgspec.json.Decoder(PanelAction)
    return Club(
        reactor,
        secrets.token_urlsafe(TOKEN_BYTES),
        sessions_max=SESSIONS_MAX,
        snapshot=hands.state,
        heard=lambda message: hands.do(actions.decode(message)),
    )


def load_files() -> dict[str, tuple[str, bytes]]:
    """The page's files: name → (content type, content), read once."""
    found = {}
    for entry in files("terminal_agent.page").joinpath("static").iterdir():
        suffix = entry.name[entry.name.rfind(".") :]
        if suffix in KINDS:
            found[entry.name] = (KINDS[suffix], entry.read_bytes())
    return found


class _Root(Resource):
    """All addresses; ``door`` is set once the port is known, before anybody can connect."""

    isLeaf = 1
    door: Door

    def __init__(self, kiosk: Club, panel: Club | None, hands: Hands | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._files = load_files()
        self._sockets = {"/kiosk/ws": _Socket(kiosk)}
        self._documents = {"/kiosk": ("index.html", kiosk.token)}
        self._hands = hands
        if panel is not None:
            self._sockets["/panel/ws"] = _Socket(panel)
            self._documents["/panel"] = ("panel.html", panel.token)
            self._documents["/demo"] = ("demo.html", "")

    def render(self, request: Request) -> bytes | int:
        """One request. Twisted answers 500 without a word of it for a defect of ours."""
        _guard_of(request).message_ended()
        path = request.path.decode("ascii", "replace")
        self.door.set_headers(request, frames=path == "/demo")
        refused = self.door.refusal(request)
        if refused:
            if refused == 405:
                request.setHeader("Allow", "GET")
            return _say(request, refused)
        if path in self._sockets:
            if not self.door.same_origin(request):
                return _say(request, 403)
            return self._sockets[path].render_GET(request)
        return self._content(request, path)

    def _content(self, request: Request, path: str) -> bytes:
        if path in self._documents:
            name, token = self._documents[path]
            kind, content = self._files[name]
            content = content.replace(TOKEN_MARK, token.encode())
        elif path == "/panel/slip.png" and self._hands is not None:
            kind, content = "image/png", self._hands.slip_png() or b""
        elif path.startswith("/static/") and not path.endswith(".html"):
            kind, content = self._files.get(path.removeprefix("/static/"), ("", b""))
        else:
            content = b""
        if not content:
            return _say(request, 404)
        request.setHeader("Content-Type", kind)
        return content


class _Socket(WebSocketResource):
    """Upgrades; the door was passed already."""

    def __init__(self, club: Club) -> None:
        super().__init__(self)
        self._club = club

    def buildProtocol(self, request: Request) -> Session:
        """One session; what it may do depends on its first message."""
        return Session(self._club, _guard_of(request))


def _guard_of(request: Request) -> PageGuard:
    """The connection below HTTP."""
    assert request.channel is not None
    guard = request.channel.transport
    assert isinstance(guard, PageGuard)
    return guard


def _say(request: Request, status: int) -> bytes:
    request.setResponseCode(status)
    request.setHeader("Content-Type", "text/plain; charset=utf-8")
    return b"%d\n" % status
