"""One request as the bank's departments see it, whatever its dialect."""

from collections.abc import Mapping

from msgspec import Struct

from channels.bank_simulator.entries import Key, WorkingKeys
from channels.bank_simulator.habits import Habit, Name
from channels.iso8583.dialect import Dialect
from channels.iso8583.message import Message
from channels.iso8583.reading import Reading
from channels.iso8583.recognise import (
    REVERSAL,
    SCRIPT_NOTICE,
    SETTLEMENT,
    UPLOAD,
    UPLOAD_END,
)

APPROVED = "00"
REVERSED_BEFORE = "12"
INVALID = "12"
NO_SUCH_CARD = "14"
NOT_FOUND = "25"
FORMAT = "30"
TOO_LITTLE_MONEY = "51"
WRONG_PIN = "55"
WRONG_AMOUNT = "64"
NOT_SIGNED_ON = "77"
DAY_CUT = "90"
DUPLICATE = "94"
UNKNOWN_TERMINAL = "97"
WRONG_MAC = "A0"

_WANTED = {
    *("merchant", "terminal", "stan", "batch", "amount", "pan", "track2", "pin_block", "qr_code"),
    *("original_batch", "original_F11", "original_F37", "original_F38", "original_F4"),
    *("debit_count", "debit_amount", "credit_count", "credit_amount", "upload_count"),
    *("F4", "F11", "F41", "F42"),
}


class Asked(Struct, kw_only=True):
    """A message, what it is, and the values its template wrote."""

    kind: str
    message: Message
    values: Mapping[str, str]
    merchant: str
    terminal: str
    habit: Habit | None
    keys: WorkingKeys | None = None
    """What its MAC was proven with; those in use where it has none."""

    def __repr__(self) -> str:
        return f"<Asked {self.kind} {self.terminal}>"

    def misbehaves(self, name: Name) -> bool:
        """Whether this habit applies to it."""
        return self.habit is not None and self.habit.habit is name

    @property
    def refused(self) -> str:
        """The code it must be declined with; empty: none."""
        return self.habit.code if self.habit and self.habit.habit is Name.DECLINE else ""

    @property
    def batch(self) -> str:
        """Its batch; that of the keys where the dialect has none."""
        return self.values.get("batch") or (self.keys.batch if self.keys else "")

    @property
    def key(self) -> Key:
        """Its own identity."""
        return (self.merchant, self.terminal, self.batch, self.values["stan"])

    @property
    def pan(self) -> str:
        """The card's number, from the track where that is all there is."""
        track = self.values.get("track2", "").replace("=", "D")
        return self.values.get("pan") or track.partition("D")[0]


class Reader:
    """Every template of a dialect, ready to be read."""

    def __init__(self, dialect: Dialect) -> None:
        templates = {
            **dialect.operations,
            **dialect.network,
            REVERSAL: dialect.reversal.template,
            SCRIPT_NOTICE: dialect.script_notice,
        }
        if dialect.settlement is not None:
            templates[SETTLEMENT] = dialect.settlement.request
            templates[UPLOAD] = dialect.settlement.upload
            templates[UPLOAD_END] = dialect.settlement.upload_end
        self._readings = {
            kind: Reading(dialect, template, _WANTED)
            for kind, template in templates.items()
            if template is not None
        }

    def asked(self, kind: str, message: Message, habit: Habit | None) -> Asked:
        """The request of this kind."""
        values = self._readings[kind].values(message.fields)
        return Asked(
            kind=kind,
            message=message,
            values=values,
            merchant=values.get("merchant") or values.get("F42", ""),
            terminal=values.get("terminal") or values.get("F41", ""),
            habit=habit,
        )
