"""What of a message people may see (I12): card numbers by their ends, else nothing of a card.

Whatever a template makes of the card's secrets is masked in its message, and the card's number
wherever it turns up.
"""

import re
from collections.abc import Mapping

from channels.iso8583.check import CARD_VALUES
from channels.iso8583.dialect import Content, Dialect
from channels.iso8583.dialogue import Choice
from channels.iso8583.message import Message
from channels.iso8583.template import literals, names_in
from switch.model.secret import masked_pan

SHOWN_TAGS = frozenset(
    {
        "82", "84", "8A", "91", "95", "9A", "9C", "5F2A", "9F02", "9F03", "9F09", "9F10", "9F1A",
        "9F1E", "9F26", "9F27", "9F33", "9F34", "9F35", "9F36", "9F37", "9F41", "DF31",
    }
)  # fmt: skip
"""Data objects of a chip that say nothing of the person."""

_KEYS_IN = frozenset(["", "sign_on", "key_request", "key_reset"])
_PAN_FIELD = "2"
_TRACKS = frozenset(["35", "36"])
_SEPARATOR = re.compile("[D=]")
_NUMBERS = re.compile(r"(?<!\d)\d{13,19}(?!\d)")


class Mask:
    """What is masked in one message. ``kind`` is the recogniser's word for it."""

    def __init__(self, dialect: Dialect, message: Message, kind: str) -> None:
        self._dialect = dialect
        self._numbers = _card_numbers(message.fields)
        self._secret = {number for number, field in dialect.fields.items() if field.secret}
        self._beginnings = _made_of_secrets(dialect, kind)
        self._keys = {one.field for one in dialect.keys} if kind in _KEYS_IN else set()

    def field(self, number: str, value: str) -> str:
        """A field's value as it may be seen."""
        if number == _PAN_FIELD:
            return masked_pan(value)
        if number in _TRACKS:
            pan, *rest = _SEPARATOR.split(value, maxsplit=1)
            shown = masked_pan(pan) if rest else ""  # without a separator it is no track
            return shown + "*" * (len(value) - len(shown))
        beginning = self._beginnings.get(number)
        if beginning is not None and value.startswith(beginning):
            return beginning + "*" * (len(value) - len(beginning))
        if number in self._secret or number in self._keys or beginning is not None:
            return "*" * len(value)
        return self._without_numbers(number, value)

    def piece(self, number: str, label: str, value: str) -> str:
        """A part of a field as it may be seen."""
        hidden = number in self._keys or number in self._beginnings
        if number in self._secret or hidden:
            return value if number in self._secret and label in SHOWN_TAGS else "*" * len(value)
        return self._without_numbers(number, value)

    def _without_numbers(self, field: str, value: str) -> str:
        encoding = self._dialect.encodings[self._dialect.fields[field].like]
        if not encoding.len_type or encoding.content is Content.DIGITS:
            return value  # numbers of other things, which may look like a card's
        for number in self._numbers:
            value = value.replace(number, masked_pan(number))
        return _NUMBERS.sub(lambda found: _masked_if_card(found[0]), value)


def _card_numbers(fields: Mapping[str, str]) -> set[str]:
    found = {fields.get(_PAN_FIELD, "")}
    found |= {_SEPARATOR.split(fields.get(track, ""))[0] for track in ("35",)}
    return {number for number in found if len(number) >= 13}


def _masked_if_card(digits: str) -> str:
    total = 0
    for at, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (1 + at % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return masked_pan(digits) if total % 10 == 0 and digits.strip("0") else digits


def _made_of_secrets(dialect: Dialect, kind: str) -> dict[str, str]:
    """Fields of this message that its template makes of a card's secrets, and how they begin."""
    template = dialect.operations.get(kind)
    if template is None:
        return {}
    return {
        number: literals(text)[0]
        for number, text in template.fields.items()
        if not isinstance(text, Choice) and names_in(text) & CARD_VALUES
    }
