"""How a bank reads a request: what it is, under which numbers, and which original it names."""

from channels.iso8583.dialect import Dialect
from channels.iso8583.message import Message
from channels.iso8583.recognise import REVERSAL, Recogniser
from switch.model.operation import Operation

Identity = tuple[str, str, str, str]
"""F42, F41, batch, STAN."""


class Reading:
    """Of one dialect. ``prefix``: bytes before a frame."""

    def __init__(self, dialect: Dialect) -> None:
        self.prefix = 2
        self._recogniser = Recogniser(dialect)
        self._operations = frozenset(map(str, Operation)) - {str(Operation.BALANCE)}

    def kind(self, message: Message) -> str:
        """See Recogniser."""
        return self._recogniser.kind(message)

    def operates(self, kind: str) -> bool:
        """It takes money, sets it aside or gives it back."""
        return kind in self._operations

    def moves_money(self, kind: str) -> bool:
        """Or takes it back."""
        return kind == REVERSAL or kind in self._operations

    def identity(self, message: Message) -> Identity:
        """The message's own numbers."""
        fields = message.fields
        return fields["42"], fields["41"], fields["60"][2:8], fields["11"]

    def original(self, message: Message) -> Identity:
        """Those of the message that it names: field 61, batch and number."""
        fields = message.fields
        named = fields["61"]
        return fields["42"], fields["41"], named[:6], named[6:12]
