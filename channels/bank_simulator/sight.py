"""What somebody who watches the bank is shown of a message: masked, made only when one looks."""

from collections.abc import Callable, Mapping

from msgspec import Struct

from channels.bank_simulator.asked import Asked
from switch.model.secret import masked_pan


class Seen(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message and what was said to it. No secret is in it."""

    kind: str
    """What it was recognised as; empty: as nothing."""
    mti: str = ""
    terminal: str = ""
    stan: str = ""
    amount_fen: int = 0
    card: str = ""
    """Masked."""
    original: str = ""
    """STAN of what it refers to."""
    code: str = ""
    """Field 39 of the answer; empty: it was not answered."""
    habit: str = ""
    """The bad habit that was applied."""
    answer: bool = False
    """It is the switch's answer to something the bank sent."""
    sent: bool = False
    """The bank began it."""
    why: str = ""
    """Why it was not understood."""

    @classmethod
    def of(cls, asked: Asked, answer: Mapping[str, str]) -> "Seen":
        """A request and its answer."""
        values = asked.values
        amount = values.get("amount") or values.get("F4", "")
        return cls(
            kind=asked.kind,
            mti=asked.message.mti,
            terminal=asked.terminal,
            stan=values.get("stan", ""),
            amount_fen=int(amount or 0),
            card=masked_pan(asked.pan) if asked.pan else "",
            original=values.get("original_F11") or values.get("F11", ""),
            code=answer.get("39", ""),
            habit=str(asked.habit.habit) if asked.habit else "",
        )


Watch = Callable[[Seen], None]
