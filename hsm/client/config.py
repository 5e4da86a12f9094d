"""How the switch reaches its key service."""

from re import fullmatch

from msgspec import Struct

from hsm.address import parse_address
from hsm.keys import parse_cryptogram
from switch.model.held_key import check_held, named_key, split_held


class TlsConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Mutual TLS for ``tls:`` addresses: paths of PEM files, and who must answer."""

    ca: str
    """The authority that signed the key services' certificates; no other is trusted."""
    certificate: str
    """Ours, as the key services know this switch: by its common name."""
    key: str
    """Its private key, not encrypted, readable by the switch's user alone."""
    peer_name: str
    """Common name of the key services' certificates; another name is refused."""


class HsmConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the ``payshield`` plugin. Every limit and time is stated, none is assumed."""

    addresses: tuple[str, ...]
    """``tls:IP:PORT``, ``tcp:IP:PORT`` or ``unix:/PATH`` of each key service of the same LMK."""
    connections: int
    """Connections kept open to each address."""
    timeout_ms: int
    """One try of one command; also the longest wait for a free connection. A command that may be
    repeated gets a second try, on another key service if there is one."""
    connect_timeout_ms: int
    """Until a new connection is open, TLS included, and again until it passed its examination
    (NC with the right LMK check value, and an echo)."""
    in_flight_limit: int
    """Commands sent and unanswered on one connection."""
    waiting_limit: int
    """Commands waiting for a connection; above it they fail at once (``busy``)."""
    reconnect_first_ms: int
    """Also the first wait before a service out of rotation is examined again."""
    reconnect_ceiling_ms: int
    """Waits between tries to connect: doubled from the first to the ceiling, with jitter."""
    echo_interval_ms: int
    """An idle connection that was silent for this long is asked for a sign of life (NC)."""
    silence_ms: int
    """A connection that owes answers and gave none for this long is asked for a sign of life, and
    dropped when that takes as long again: failing over takes two and a half times this."""
    header_length: int
    """Message header of the device, 1 to 32 characters; a payShield's default is 4."""
    lmk_id: str
    """Two digits, sent as ``%NN`` with every command; empty: not sent."""
    dek: str
    """The vault's key (type 00B): ``key:NAME`` in the key store, or a cryptogram under the LMK."""

    lmk_check_value: str = ""
    """What NC must show, 16 hex; empty: what the first key service shows. A service with another
    LMK is refused, because payments would fail on it."""
    tls: TlsConfig | None = None
    """Needed for ``tls:`` addresses."""

    def __post_init__(self) -> None:
        """Refuse what cannot work; the loader adds file and line to these sentences."""
        if not self.addresses:
            raise ValueError("addresses: at least one is needed")
        for address in self.addresses:
            if parse_address(address).tls and self.tls is None:
                raise ValueError(f"addresses: {address} needs the section tls")
        for name in ("connections", "timeout_ms", "connect_timeout_ms", "in_flight_limit",
                     "waiting_limit", "reconnect_first_ms", "echo_interval_ms",
                     "silence_ms"):  # fmt: skip
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be 1 or more")
        if self.reconnect_ceiling_ms < self.reconnect_first_ms:
            raise ValueError("reconnect_ceiling_ms: is below reconnect_first_ms")
        if not 1 <= self.header_length <= 32:
            raise ValueError("header_length: must be from 1 to 32")
        if 4 * self.in_flight_limit > 16**self.header_length:
            # A header must stay unused while its request, or its late answer, may be under way.
            raise ValueError("in_flight_limit: too many for headers of this length")
        if self.lmk_check_value and not fullmatch("[0-9A-F]{16}", self.lmk_check_value):
            raise ValueError("lmk_check_value: 16 hex digits, or empty")
        if self.lmk_id and not (len(self.lmk_id) == 2 and self.lmk_id.isdecimal()):
            raise ValueError("lmk_id: two digits, or empty")
        check_held("dek", self.dek)
        if not named_key(self.dek):
            held = parse_cryptogram(split_held(self.dek).cryptogram)
            if len(held.body) < 32:
                raise ValueError("dek: a double or triple length key is needed")

    def named_files(self) -> tuple[tuple[str, str], ...]:
        """(field, path) of every file this section names."""
        names = () if self.tls is None else ("ca", "certificate", "key")
        return tuple((f"tls.{name}", getattr(self.tls, name)) for name in names)

    def held_keys(self) -> tuple[tuple[str, str, str], ...]:
        """(field, key type, text) of every key this section names."""
        return (("dek", "00B", self.dek),)
