"""The hands of a demonstration: what a patient would do at emulated devices.

Digits of a PIN come through here as keys of the emulated pad. They reach neither the kiosk's page
nor a :class:`View` (I12).
"""

from collections.abc import Callable
from typing import Annotated, Literal, Protocol

from msgspec import Meta, Struct

ACTION_ID_CHARACTERS_MAX = 128
"""A scanned code is the longest."""


class PanelView(Struct, frozen=True, kw_only=True):
    """What lies beside the kiosk."""

    cards: tuple[str, ...] = ()
    """Bank cards to put in, by name."""
    inside: str = ""
    """The one in the reader; empty: none."""
    pin: str = ""
    """What the made-up holders of these cards type; empty: it is not told."""
    visit_cards: tuple[str, ...] = ()
    id_cards: tuple[str, ...] = ()
    paper: bool = True
    """The printer has paper."""
    slip: int = 0
    """Grows with every slip printed; 0: none yet."""


class PanelAction(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the hands do.

    ``id``: insert, visit and id: a name of the panel's view; key: 0 … 9, clear, enter, cancel;
    scan: the code; paper: ``in`` or ``out``; pull: empty.
    """

    what: Literal["insert", "pull", "key", "visit", "id", "scan", "paper"]
    id: Annotated[str, Meta(max_length=ACTION_ID_CHARACTERS_MAX)] = ""

    def __repr__(self) -> str:
        return f"<{self.what}>"


class Hands(Protocol):
    """The emulators, as the side panel sees them. All on the reactor's thread."""

    def state(self) -> PanelView:
        """What lies there now."""
        ...

    def watch(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` after every change, for ever."""
        ...

    def do(self, action: PanelAction) -> None:
        """One movement; what is not possible now does nothing."""
        ...

    def slip_png(self) -> bytes | None:
        """The slip printed last, as a picture; None: there is none."""
        ...
