"""What terminals of a front may ask for, as its configuration says it."""

from msgspec import Struct

from switch.model.operation import Operation


class Ask(Struct, frozen=True, kw_only=True):
    """A kind of payment. The configuration must have somebody who takes the money."""

    path: tuple[str | int, ...]
    """Of the entry that says so, within the front's settings: keys and numbers of list items."""
    hospital: str = ""
    """Empty: the terminals' records say it, not the configuration."""
    business: str
    medium: str = ""
    """How the money is paid, or was paid where an original is taken back; empty: any way."""
    operation: Operation | None = None
    """What the bank must offer; None: as the business has it."""
    clearing: str = ""
    """Merchant role; empty: as the route says."""
    kiosks: bool = False
    """Logical terminals may be dedicated to these terminals."""
