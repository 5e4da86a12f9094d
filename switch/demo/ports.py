"""The demo's ports: free ones of the loopback address, the same for as long as it runs."""

import socket

from msgspec import Struct


class Ports(Struct, frozen=True, kw_only=True):
    """Loopback ports, fixed for the life of the demo so that what restarts is found again."""

    hsm: int
    bank: int
    bank_http: int
    his: int
    his_http: int
    kiosk: int
    enrol: int
    metrics: int
    kiosk_1: int
    kiosk_2: int
    kiosk_3: int
    page: int

    def control(self, kiosk: str) -> int:
        """The control port of a kiosk."""
        port: int = getattr(self, kiosk.replace("-", "_"))
        return port


def free_ports() -> Ports:
    """Ports that nobody listens on now, all different."""
    sockets = [socket.socket() for _ in Ports.__struct_fields__]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        numbers = [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
    return Ports(**dict(zip(Ports.__struct_fields__, numbers, strict=True)))
