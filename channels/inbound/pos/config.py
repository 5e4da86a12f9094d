"""Configuration of a door for POS terminals."""

from typing import Annotated

from msgspec import Meta

from channels.inbound.config import DoorConfig, StationConfig, checked_stations, held_keys
from channels.inbound.pos.businesses import BY_CODE, CARD, CODE, OFFERED, business_of
from channels.iso8583.config import Limit, Milliseconds
from switch.model.ask import Ask
from switch.model.operation import Operation


class PosTerminal(StationConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One POS."""

    clearing: str = ""
    """Whose money it collects (``outpatient``, ``inpatient``); empty: as the route says."""
    operations: Annotated[tuple[Operation, ...], Meta(min_length=1)]
    """What it may do."""


class PosConfig(DoorConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One door for counter POS and doctors' stations. Times in milliseconds."""

    terminals: Annotated[tuple[PosTerminal, ...], Meta(min_length=1)]
    key_max_age_ms: Milliseconds
    """Under older working keys no payment begins: the terminal is told to sign on. Reversals are
    taken all the same."""
    batch_payments_limit: Limit
    """Payments of one batch; a batch with more is not settled here."""

    def __post_init__(self) -> None:
        """Refuse what the schema cannot see."""
        dialect = self.read_dialect()
        checked_stations(self.terminals)
        for one in self.terminals:
            absent = sorted(set(one.operations) - (dialect.operations.keys() & OFFERED))
            if absent:
                text = f"terminal {one.terminal}: {', '.join(absent)} is not offered to a POS"
                raise ValueError(f"{text} in this dialect")

    def asks_for(self) -> tuple[Ask, ...]:
        """What its terminals may do, as businesses of the switch."""
        return tuple(
            Ask(
                path=("terminals", number),
                hospital=one.hospital,
                business=business_of(operation),
                medium=CODE if operation in BY_CODE else CARD,
                operation=operation,
                clearing=one.clearing,
            )
            for number, one in enumerate(self.terminals)
            for operation in one.operations
        )

    def held_keys(self) -> tuple[tuple[str, str, str], ...]:
        """(field, key type, text) of every key this section names."""
        return held_keys(self.terminals)
