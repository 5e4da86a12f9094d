"""Who may ask what of the page's site, and what every answer says to the browser.

The page is for the browser of this machine and for no page of somewhere else: the Host must be
ours (a name rebound to 127.0.0.1 is not), a request that another site caused is refused, and a
WebSocket comes only from our own origin. Any program of this machine can still read the page and
its token: the token ties a page to the run of the agent that served it, and keeps blind requests
out; it is no secret from other programs here.
"""

from twisted.web.server import Request

FETCHED_BY = frozenset({"same-origin", "none"})
"""``Sec-Fetch-Site`` of our own page, and of an address typed or configured; old browsers send
none at all."""


class Door:
    """The rules for one address; ``port`` is the one really listened on."""

    def __init__(self, bind: str, port: int, *, framed: bool) -> None:
        own = f"[{bind}]" if ":" in bind else bind
        names = dict.fromkeys((own, "127.0.0.1", "localhost"))
        # A browser leaves the usual port out.
        self._hosts = [name if port == 80 else f"{name}:{port}" for name in names]
        self._framed = framed

    @property
    def url(self) -> str:
        """Scheme, address and port, without a slash at the end."""
        return f"http://{self._hosts[0]}"

    def refusal(self, request: Request) -> int:
        """The status of a request that may not come in; 0: it may."""
        if request.method != b"GET":
            return 405
        if _header(request, "host") not in self._hosts:
            return 403
        if (_header(request, "sec-fetch-site") or "none") not in FETCHED_BY:
            return 403
        return 0

    def same_origin(self, request: Request) -> bool:
        """A WebSocket's Origin must be the address it was opened at."""
        return _header(request, "origin") == f"http://{_header(request, 'host')}"

    def set_headers(self, request: Request, *, frames: bool = False) -> None:
        """What every answer says; ``frames``: the document holds frames of ours."""
        policy = [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            "font-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'self'" if self._framed else "frame-ancestors 'none'",
        ]
        if frames:
            policy.append("frame-src 'self'")
        for name, value in (
            ("Content-Security-Policy", "; ".join(policy)),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cache-Control", "no-store"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=()"),
        ):
            request.setHeader(name, value)


def _header(request: Request, name: str) -> str:
    """The header's value; one that stands twice is no value."""
    values = request.requestHeaders.getRawHeaders(name) or []
    return values[0] if len(values) == 1 else ""
