"""How a bank reads a request: what it is, under which numbers, and which original it names."""

from channels.iso8583 import reading
from channels.iso8583.dialect import Dialect
from channels.iso8583.dialogue import Template
from channels.iso8583.message import Message
from channels.iso8583.recognise import REVERSAL, SCRIPT_NOTICE, Recogniser
from switch.model.operation import Operation
from switch.net.frames import LengthPrefix

Identity = tuple[str, str, str, str]
"""F42, F41, batch, STAN."""
BATCH = "000001"
"""The only one of a world; what a dialect without batches leaves unsaid."""
_OWN = frozenset({"batch", "stan"})
_NAMED = frozenset({"original_batch", "original_F11", "batch", "F11"})
_NO_MONEY = frozenset({Operation.BALANCE, Operation.DEPOSIT})


class Reading:
    """Of one dialect. ``prefix``: bytes before a frame."""

    def __init__(self, dialect: Dialect) -> None:
        self.prefix = 2 if dialect.length_prefix is LengthPrefix.BINARY_2 else 4
        self._recogniser = Recogniser(dialect)
        self._operations = frozenset(map(str, Operation)) - _NO_MONEY
        templates: dict[str, Template] = {**dialect.operations}
        templates[REVERSAL] = dialect.reversal.template
        if dialect.script_notice is not None:
            templates[SCRIPT_NOTICE] = dialect.script_notice
        self._own = {
            kind: reading.Reading(dialect, template, _OWN) for kind, template in templates.items()
        }
        self._named = {
            kind: reading.Reading(dialect, template, _NAMED if kind == REVERSAL else _NAMED - _OWN)
            for kind, template in templates.items()
        }

    def kind(self, message: Message) -> str:
        """See Recogniser."""
        return self._recogniser.kind(message)

    def operates(self, kind: str) -> bool:
        """It takes money, sets it aside or gives it back."""
        return kind in self._operations

    def moves_money(self, kind: str) -> bool:
        """Or takes it back."""
        return kind == REVERSAL or kind in self._operations

    def identity(self, kind: str, message: Message) -> Identity:
        """The message's own numbers."""
        values = self._own[kind].values(message.fields)
        return self._of(message, values.get("batch", ""), values["stan"])

    def original(self, kind: str, message: Message) -> Identity:
        """Those of the message that it names."""
        values = self._named[kind].values(message.fields)
        batch = values.get("original_batch") or values.get("batch", "")
        return self._of(message, batch, values.get("original_F11") or values["F11"])

    def _of(self, message: Message, batch: str, stan: str) -> Identity:
        return message.fields["42"], message.fields["41"], batch or BATCH, stan
