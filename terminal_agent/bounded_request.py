"""An HTTP request that keeps no more of its body than it may be (I11)."""

from twisted.web.server import Request


class BoundedRequest(Request):
    """``body_bytes`` counts all of it, so that the server can refuse what was too long."""

    body_bytes_max: int
    """The server's own limit, set by its subclass."""
    body_bytes = 0

    def handleContentChunk(self, data: bytes) -> None:
        self.body_bytes += len(data)
        if self.body_bytes <= self.body_bytes_max:
            super().handleContentChunk(data)  # type: ignore[no-untyped-call]
