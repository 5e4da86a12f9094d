"""Which way a card's PIN block goes, and by whose key a kiosk's pad makes it."""

from typing import Protocol

from msgspec import Struct


class PinRoute(Struct, frozen=True, kw_only=True):
    """Which channel and which of its merchant roles a card's payment goes by, and in which way the
    PIN block travels: ``translate`` or ``pass_through``."""

    channel: str
    clearing: str
    pin: str


class PinFor(Struct, frozen=True, kw_only=True):
    """Whose key a PIN block was made under: (bank, F42, F41)'s, of this generation, in the slot of
    the kiosk that this logical terminal is dedicated to."""

    bank: str
    merchant: str
    terminal: str
    generation: int
    kiosk: str


class PinPlan(Struct, frozen=True, kw_only=True):
    """How the pad shall make the PIN block of one card. ``pin_for`` None: under the key that it
    shares with the switch; else under the bank's own, which comes with the plan."""

    pin_for: PinFor | None = None
    slot: str = ""
    """Bank and merchant role, ``icbc.outpatient``: the pad's slot with that bank's master key."""
    cryptogram: str = ""
    """The PIN key in hex, under that master key, as the bank sent it at sign-on."""
    check_value: str = ""

    def __repr__(self) -> str:
        return f"<PinPlan {self.slot or 'translate'}>"


class PassThrough(Protocol):
    """A channel whose settings offer ``pass_through()``: kiosks' pads hold PIN keys of its."""

    async def pin_plan(self, clearing: str, kiosk: str) -> PinPlan | None:
        """The PIN key of a logical terminal dedicated to this kiosk, as the bank sent it. None: no
        such terminal can take a payment now. Raises nothing."""
        ...
