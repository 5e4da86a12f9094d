"""By whose key the pad makes a PIN block: asked before the PIN is typed, said with the block."""

from typing import Annotated

from msgspec import Meta, Struct

from terminal_agent.protocol.secrets import Bin

PIN_PLAN = "Pin.Plan"

TRANSLATED = "translate"
"""Under the key that the pad shares with the switch; the key service translates."""
THROUGH = "pass_through"
"""Under the bank's own key, in a slot of its own; the bank gets the block as the pad made it."""

_Text = Annotated[str, Meta(max_length=64)]
_Name = Annotated[str, Meta(min_length=1, max_length=64)]


class PinFor(Struct, frozen=True, kw_only=True):
    """Whose key it is: the bank's channel, F42, F41, and which of its keys, counted from 1."""

    bank: _Name
    merchant: _Name
    terminal: _Name
    generation: Annotated[int, Meta(ge=1)]


class PinMadeFor(PinFor, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same beside the block that was made under it."""


class PinPlan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """By whose key shall the pad make the PIN block of this card?"""

    business: _Name
    bin: Bin
    medium: _Text = "bank_card"


class PinPlanReply(Struct, frozen=True, kw_only=True):
    """``ok`` false: such a card cannot pay this business now; ``text`` says why, for the patient.
    Of ``pass_through`` everything below is filled."""

    ok: bool
    code: str = ""
    text: str = ""
    mode: str = TRANSLATED
    slot: str = ""
    """The pad's slot by its name: bank and merchant role, ``icbc.outpatient``."""
    pin_for: PinFor | None = None
    cryptogram: str = ""
    """The PIN key in hex, as the bank sent it: under the master key in the slot."""
    check_value: str = ""

    def __repr__(self) -> str:
        return f"<PinPlanReply {self.mode if self.ok else self.code}>"
