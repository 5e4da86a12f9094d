"""How the switch reaches its key service."""

from msgspec import Struct

from hsm.address import parse_address
from hsm.keys import parse_cryptogram


class HsmConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the ``payshield`` plugin. Every limit and time is stated, none is assumed."""

    addresses: tuple[str, ...]
    """``tcp:IP:PORT`` or ``unix:/PATH`` of each key service that holds the same LMK."""
    connections: int
    """Connections kept open to each address."""
    timeout_ms: int
    """One try of one command; also the longest wait for a free connection. A command that may be
    repeated gets a second try on another connection."""
    connect_timeout_ms: int
    in_flight_limit: int
    """Commands sent and unanswered on one connection."""
    waiting_limit: int
    """Commands waiting for a connection; above it they fail at once (``down``)."""
    reconnect_first_ms: int
    reconnect_ceiling_ms: int
    """Waits between tries to connect: doubled from the first to the ceiling, with jitter."""
    echo_interval_ms: int
    """A connection that was silent for this long is asked for a sign of life (NC)."""
    header_length: int
    """Message header of the device, 1 to 32 characters; a payShield's default is 4."""
    lmk_id: str
    """Two digits, sent as ``%NN`` with every command; empty: not sent."""
    dek: str
    """The vault's key (type 00B) as a cryptogram under the LMK: ``U…`` or ``T…``."""

    def __post_init__(self) -> None:
        """Refuse what cannot work; the loader adds file and line to these sentences."""
        if not self.addresses:
            raise ValueError("addresses: at least one is needed")
        for address in self.addresses:
            parse_address(address)
        for name in ("connections", "timeout_ms", "connect_timeout_ms", "in_flight_limit",
                     "waiting_limit", "reconnect_first_ms", "echo_interval_ms"):  # fmt: skip
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be 1 or more")
        if self.reconnect_ceiling_ms < self.reconnect_first_ms:
            raise ValueError("reconnect_ceiling_ms: is below reconnect_first_ms")
        if not 1 <= self.header_length <= 32:
            raise ValueError("header_length: must be from 1 to 32")
        if 4 * self.in_flight_limit > 16**self.header_length:
            # A header must stay unused while its request, or its late answer, may be under way.
            raise ValueError("in_flight_limit: too many for headers of this length")
        if self.lmk_id and not (len(self.lmk_id) == 2 and self.lmk_id.isdecimal()):
            raise ValueError("lmk_id: two digits, or empty")
        if len(parse_cryptogram(self.dek).hex) < 32:
            raise ValueError("dek: a double or triple length key is needed")
