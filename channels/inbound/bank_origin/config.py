"""Configuration of a door for a bank's own kiosks and counters."""

from channels.inbound.config import DoorConfig, Stations, checked_stations, held_keys
from channels.iso8583.config import Limit


class OriginConfig(DoorConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One door for a bank that begins payments itself. Times in milliseconds."""

    terminals: Stations
    """Those that the bank signs on with; often one for all its kiosks."""
    batch_payments_limit: Limit
    """Payments of one batch; a batch with more is not settled here."""

    def __post_init__(self) -> None:
        """Refuse what the schema cannot see."""
        dialect = self.read_dialect()
        checked_stations(self.terminals)
        if dialect.origin is None:
            raise ValueError(f"dialect {dialect.name} has no section origin")

    def books_at(self) -> frozenset[str]:
        """The hospitals that book what this bank has taken: its payments have no other leg."""
        return frozenset(one.hospital for one in self.terminals)

    def held_keys(self) -> tuple[tuple[str, str, str], ...]:
        """(field, key type, text) of every key this section names."""
        return held_keys(self.terminals)
