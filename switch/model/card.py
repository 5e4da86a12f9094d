"""What a card payment needs once (I12)."""

from msgspec import Struct

from switch.model.pin import PinFor
from switch.model.secret import Secret


class CardSecrets(Struct, kw_only=True):
    """What a card payment needs once and nothing may keep: lives in memory for one payment.

    ``pin_block`` is the pad's cryptogram (16 hex) under the terminal's key ``pin_key`` (key under
    LMK). ``pan`` and ``track2`` leave only in fields 2 and 35.
    """

    pan: Secret[str]
    track2: Secret[str] | None = None
    pin_block: Secret[str] | None = None
    pin_key: str = ""
    pin_for: PinFor | None = None
    """The block was made under a bank's own key (pass-through), not under ``pin_key``."""
    expiry: str = ""
    card_sequence: str = ""
    entry_mode: str = "021"
    """Field 22."""
    chip: Secret[bytes] | None = None
    """Field 55, TLV."""
    qr_code: Secret[str] | None = None
    """A payment code scanned from the patient's phone; then there is no ``pan``."""
    issuer: Secret[bytes] | None = None
    """What an approving issuer says to the chip, for whoever asked for the payment: set when the
    approval comes, and kept nowhere else."""

    @property
    def pin_way(self) -> str:
        """As routes name it: ``translate`` or ``pass_through``; empty: there is no PIN block."""
        if self.pin_block is None:
            return ""
        return "translate" if self.pin_for is None else "pass_through"

    def forget(self) -> None:
        """Whoever still holds it, a waiting request above all, holds nothing any more."""
        self.pan = Secret("")
        self.track2 = self.pin_block = self.chip = self.qr_code = None


class BalanceQuery(Struct, frozen=True, kw_only=True):
    """What a channel's ``inquire("balance", …)`` takes."""

    clearing: str
    secrets: CardSecrets
