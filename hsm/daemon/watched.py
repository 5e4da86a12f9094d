"""A key service under the test LMKs that shows every command it answers: for the console."""

import os
import secrets
from collections.abc import Callable
from typing import Any, Final

from hsm.address import Address
from hsm.commands import Service
from hsm.daemon.clients import Anyone, ByUser, Client, Door
from hsm.daemon.hardening import harden
from hsm.daemon.house import House, Limits
from hsm.daemon.protocol import HostFactory
from hsm.lmk import published_test_lmks
from hsm.policy import open_policy
from hsm.processor import Processor
from hsm.slots import Slots

_LIMITS: Final = Limits(connections_max=64, frame_ms=5_000, idle_ms=600_000)


class _Silent:
    def warning(self, *_: object, **__: object) -> None:
        """The console shows every answer: a log beside it would say it twice."""


class WatchedHouse(House):
    """Shows every frame and its answer."""

    def __init__(self, reactor: Any, show: Callable[[bytes, bytes], None]) -> None:
        service = Service(Slots(published_test_lmks()), open_policy(), secrets.token_bytes)
        super().__init__(Processor(service), _LIMITS, reactor, _Silent())
        self._show = show

    def answer(self, frame: bytes, client: Client) -> bytes:
        back = super().answer(frame, client)
        self._show(frame, back)
        return back


def watched_house(
    address: Address, reactor: Any, show: Callable[[bytes, bytes], None]
) -> tuple[WatchedHouse, Address]:
    """Listen on a loopback port or a Unix socket; the house, and where it really listens.
    CannotListenError."""
    harden()
    house = WatchedHouse(reactor, show)
    door: Door = ByUser({os.geteuid(): Client("local")}) if address.path else Anyone()
    factory = HostFactory(house, door)
    if address.path:
        reactor.listenUNIX(address.path, factory, mode=0o660, wantPID=True)
    else:
        port = reactor.listenTCP(address.port, factory, interface=address.host)
        address = address._replace(port=port.getHost().port)
    house.start()
    return house, address
