"""Configuration of a door. Every time and every limit is the operator's to state."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from channels.iso8583.config import (
    Doorway,
    Limit,
    MerchantId,
    Milliseconds,
    TerminalId,
    tls_files,
)
from channels.iso8583.dialect import Dialect
from channels.iso8583.errors import DialectError
from channels.iso8583.load import configured_dialect
from switch.model.held_key import check_held


class StationConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A terminal that may come: the owner of a key set and a batch here."""

    merchant: MerchantId
    """F42, 15 characters."""
    terminal: TerminalId
    """F41, 8 characters."""
    hospital: str
    tmk: str
    """Its master key, type ZMK (000): ``key:NAME`` in the key store, or a cryptogram under our LMK.
    Working keys are made by the HSM and given to the terminal under it."""

    def __post_init__(self) -> None:
        """The form of its key."""
        check_held("tmk", self.tmk)


class DoorConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every door needs. Times in milliseconds."""

    dialect: str
    """Name of a built-in dialect, or whole path of a dialect file; it must have a section
    ``inbound``."""
    listen: Doorway
    connect_timeout_ms: Milliseconds
    """Until TLS stands on a new connection."""
    frame_limit_bytes: Limit
    frame_timeout_ms: Milliseconds
    """A frame is complete within this time of its first byte, else the connection is closed; so is
    one whose peer does not take the answers that wait for it."""
    idle_timeout_ms: Milliseconds
    """Nothing received for so long: the connection is closed."""
    peer_in_flight_limit: Limit
    """Requests of one address that are being served; one more is refused politely."""
    pin_key_type: Literal["70D", "002"]
    """Type of the PIN keys that terminals are given: 70D; on an HSM that does not keep TPK, TMK and
    PVK apart: 002."""
    wrong_macs_per_minute: Limit
    """Of one terminal from one address; above it the HSM is not asked for it any more until the
    minute is over (I10)."""
    terminal_timeout_ms: Milliseconds
    """How long its terminals wait for an answer. What comes later is not sent: they have begun to
    reverse. ``conf check`` refuses less than the exchanges of one payment may take together."""

    def named_files(self) -> tuple[tuple[str, str], ...]:
        """(field, path) of every file of TLS this section names."""
        return tls_files("listen.tls", self.listen.tls)

    def listens_on(self) -> tuple[tuple[tuple[str | int, ...], str, int], ...]:
        """(path, host, port) of the port that peers dial."""
        return ((("listen", "port"), self.listen.host, self.listen.port),)

    def read_dialect(self) -> Dialect:
        """Raises ValueError for a file that is none, or that is for no door."""
        try:
            dialect = configured_dialect(self.dialect)
        except DialectError as error:
            raise ValueError(str(error)) from None
        if dialect.inbound is None:
            raise ValueError(f"dialect {dialect.name} has no section inbound: it is for no door")
        return dialect


def checked_stations(stations: tuple[StationConfig, ...]) -> None:
    """Raises ValueError for a terminal that is named twice."""
    names = [(one.merchant, one.terminal) for one in stations]
    if len(set(names)) < len(names):
        raise ValueError("a terminal is named twice")


def held_keys(stations: tuple[StationConfig, ...]) -> tuple[tuple[str, str, str], ...]:
    """(field, key type, text) of every key that stations name."""
    return tuple((f"terminals[{n}].tmk", "000", one.tmk) for n, one in enumerate(stations))


Stations = Annotated[tuple[StationConfig, ...], Meta(min_length=1)]
