"""Who a connection belongs to, and what that client may ask."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from hsm import tls
from hsm.daemon.hardening import peer_uid

ALWAYS: Final = frozenset({"NC", "NO", "B2"})
"""Status and echo: every client needs them to examine a connection, and they tell no secret."""


class Client(NamedTuple):
    """One client as the audit log names it. ``allowed``: command codes; None: all."""

    name: str
    allowed: frozenset[str] | None = None


LOCAL: Final = Client("local")
"""Who may reach a loopback port under the published test LMK: everybody on this machine."""


def client(name: str, commands: Iterable[str]) -> Client:
    """A client that may ask these commands (``all``: every one)."""
    listed = frozenset(commands)
    return Client(name, None if listed == {"all"} else listed | ALWAYS)


class ByUser:
    """Clients at a Unix socket, by the user id that the system vouches for."""

    after_handshake = False

    def __init__(self, clients: Mapping[int, Client]) -> None:
        self._clients = dict(clients)

    def known(self, transport: Any) -> Client | None:
        """The client at the other end, None: a stranger."""
        uid = peer_uid(transport)
        return None if uid is None else self._clients.get(uid)

    def told(self, transport: Any) -> str:
        """Who it is, for the log of strangers."""
        return f"uid {peer_uid(transport)}"


class ByCertificate:
    """Clients under mutual TLS, by the common name of a certificate our authority signed."""

    after_handshake = True

    def __init__(self, clients: Mapping[str, Client]) -> None:
        self._clients = dict(clients)

    def known(self, transport: Any) -> Client | None:
        """The client at the other end, None: a stranger, or none yet."""
        return self._clients.get(tls.peer_name(transport))

    def told(self, transport: Any) -> str:
        """Who it is, for the log of strangers: our own authority signed that name."""
        return tls.peer_name(transport)


class Anyone:
    """One client, whoever connects: plain loopback TCP, under the published test LMK only."""

    after_handshake = False

    def __init__(self, client: Client = LOCAL) -> None:
        self._client = client

    def known(self, _transport: Any) -> Client | None:
        """The one client."""
        return self._client

    def told(self, _transport: Any) -> str:
        """Nobody is a stranger here."""
        return ""


Door = ByUser | ByCertificate | Anyone
"""How a listener knows its clients."""
