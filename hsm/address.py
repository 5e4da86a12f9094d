"""Where a key service listens: ``tcp:HOST:PORT``, ``tls:HOST:PORT`` or ``unix:PATH``."""

from ipaddress import ip_address
from typing import NamedTuple


class Address(NamedTuple):
    """A TCP address (``path`` empty), with or without TLS on it, or the path of a socket file."""

    host: str = ""
    port: int = 0
    path: str = ""
    tls: bool = False

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return bool(self.path) or ip_address(self.host).is_loopback

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"{'tls' if self.tls else 'tcp'}:{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read an address; ValueError with a sentence for people when it is none.

    >>> parse_address("tls:10.0.0.7:1500")
    Address(host='10.0.0.7', port=1500, path='', tls=True)
    """
    kind, _, rest = text.partition(":")
    if kind == "unix" and rest.startswith("/"):
        return Address(path=rest)
    host, _, port = rest.rpartition(":")
    number = port.isascii() and port.isdecimal() and int(port) <= 0xFFFF
    if kind not in ("tcp", "tls") or not number:
        raise ValueError(f"{text}: write tcp:127.0.0.1:PORT, tls:IP:PORT or unix:/PATH")
    try:
        ip_address(host)
    except ValueError:
        raise ValueError(f"{text}: the host must be an IP address") from None
    return Address(host=host, port=int(port), tls=kind == "tls")
