"""What of a message people may see (I12): card numbers by their ends, else nothing of card or key.

What a field may hold is decided by the whole dialect, never by the recogniser's guess alone: a
message that was taken for another one must not show what only that other one would not carry.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from channels.iso8583.check import CARD_VALUES
from channels.iso8583.dialect import Content, Dialect
from channels.iso8583.dialogue import Choice, Template
from channels.iso8583.message import Message
from channels.iso8583.recognise import kinds
from channels.iso8583.subfields import Ber, pieces
from channels.iso8583.template import literals, names_in
from channels.iso8583.tlv import TlvError
from switch.model.secret import masked_pan

SHOWN_TAGS = frozenset(
    {
        "82", "84", "8A", "91", "95", "9A", "9C", "5F2A", "9F02", "9F03", "9F09", "9F10", "9F1A",
        "9F1E", "9F26", "9F27", "9F33", "9F34", "9F35", "9F36", "9F37", "9F41", "DF31",
    }
)  # fmt: skip
"""Data objects of a chip that say nothing of the person."""

_PAN_FIELD = "2"
_TRACKS = frozenset(["35", "36"])
_KEYS_COME = frozenset(["sign_on", "key_request", "key_reset"])
_CARD_TAGS = frozenset(["5A", "57"])
_SEPARATOR = re.compile("[D=]")
_CARD_NUMBER = re.compile(r"\d{13,19}", re.ASCII)
_SUSPECT = re.compile(r"[0-9A-Fa-f]{32,}|\d{13,}")
"""In a field that this kind of message is not known to have: a key, or a card's number."""
_LIKE_A_CARD = re.compile(r"(?<!\d)[1-9]\d{12,18}(?!\d)")
_ID = 15
"""Characters of the longest identity (F42)."""
_CHECKED_DIGITS_MAX = 15
"""Longer numbers are masked whether their check digit fits or not: some banks' cards have none."""
_SIGNIFICANT_DIGITS_MIN = 8
"""A number of fewer is zeros with something before or behind them."""


class Masks:
    """What a dialect's fields may hold, compiled once."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.secret = {number for number, field in dialect.fields.items() if field.secret}
        encodings = {n: dialect.encodings[field.like] for n, field in dialect.fields.items()}
        self.free = {
            number
            for number, one in encodings.items()
            if one.len_type or (one.content is Content.TEXT and dialect.fields[number].max > _ID)
        }
        """Where a card's number has room; identities and amounts may look like one."""
        self.private = {
            number
            for number, one in encodings.items()
            if one.len_type and one.content is Content.BINARY
        }
        """What is in them cannot be told, so it is not shown."""
        self.keys = {one.field for one in dialect.keys}
        self.templates = dict(kinds(dialect))
        self.beginnings: dict[str, set[str]] = {}
        """Fields that any message makes of a card's secrets, and how they begin then."""
        for template in self.templates.values():
            for number, text in _texts(template):
                if names_in(text) & CARD_VALUES or _journaled(text) & self.secret:
                    self.beginnings.setdefault(number, set()).add(literals(text)[0])

    def expected(self, kind: str, fields: Mapping[str, str]) -> set[str]:
        """Fields that this kind of message fills with what is no secret; one that it writes out
        must say the same."""
        template = self.templates.get(kind)
        if template is None:
            return set()
        return {
            number
            for number, text in _texts(template)
            if (names_in(text) or fields.get(number) == text)
            and not names_in(text) & (CARD_VALUES | {"key_block"})
            and not _journaled(text) & self.secret
            and not (number in self.keys and kind in _KEYS_COME)
        }

    def may_hold_keys(self, number: str, value: str) -> bool:
        """Whether a field's value has the form of a key block."""
        for one in self.dialect.keys:
            sizes = {2 * layout.length for layout in one.layouts}
            marked = one.marker and value.startswith(one.marker)
            if one.field == number and (marked or one.tag or len(value) in sizes):
                return True
        return False


class Mask:
    """What is masked in one message. ``kind`` is the recogniser's word for it."""

    def __init__(self, masks: Masks, message: Message, kind: str) -> None:
        self._masks = masks
        self._expected = masks.expected(kind, message.fields)
        found = set(_card_numbers(masks.dialect, message.fields))
        self._numbers = sorted(found, key=len, reverse=True)

    def field(self, number: str, value: str) -> str:
        """A field's value as it may be seen; as long as it is."""
        if number == _PAN_FIELD:
            return masked_pan(value)
        if number in _TRACKS:
            pan, *rest = _SEPARATOR.split(value, maxsplit=1)
            shown = masked_pan(pan) if rest else ""  # without a separator it is no track
            return shown + "*" * (len(value) - len(shown))
        if not self._hides(number, value):
            return self._without_numbers(number, value)
        beginnings = self._masks.beginnings.get(number, set())
        begins = next((one for one in beginnings if one and value.startswith(one)), "")
        return begins + "*" * (len(value) - len(begins))

    def piece(self, number: str, whole: str, label: str, value: str) -> str:
        """A data object of the field ``whole`` as it may be seen."""
        if not self._hides(number, whole):
            return self._without_numbers(number, value)
        if number in self._masks.secret and label in SHOWN_TAGS:
            return self._without_own(value)
        return "*" * len(value)

    def _hides(self, number: str, value: str) -> bool:
        masks = self._masks
        if number in masks.secret:
            return True
        if number in masks.keys | masks.private and (
            number not in self._expected or masks.may_hold_keys(number, value)
        ):
            return True
        beginnings = masks.beginnings.get(number)
        if beginnings is None:
            return False
        return number not in self._expected or any(one in value for one in beginnings)

    def _without_numbers(self, number: str, value: str) -> str:
        value = self._without_own(value)
        if number not in self._masks.free:
            return value
        if number in self._expected:
            return _LIKE_A_CARD.sub(lambda found: _if_checked(found[0]), value)
        return _SUSPECT.sub(lambda found: _if_suspect(found[0]), value)

    def _without_own(self, value: str) -> str:
        """Without the message's own card numbers, as digits or as bytes of characters."""
        for number in self._numbers:
            shown = masked_pan(number)
            value = value.replace(number, shown)
            value = value.replace(_hex(number), _hex(shown))
        return value


def _texts(template: Template) -> Iterator[tuple[str, str]]:
    """Its fields that are filled with values; a choice has words of its own."""
    for number, text in template.fields.items():
        if not isinstance(text, Choice):
            yield number, text


def _journaled(text: str) -> set[str]:
    """The numbers of the fields it repeats: ``F2``, ``original_F2``."""
    return {name.removeprefix("original_").removeprefix("F") for name in names_in(text)}


def _card_numbers(dialect: Dialect, fields: Mapping[str, str]) -> Iterator[str]:
    """Every number in a secret field that could be the card's."""
    for number, value in fields.items():
        if not dialect.fields[number].secret:
            continue
        if dialect.encodings[dialect.fields[number].like].content is not Content.BINARY:
            yield from _CARD_NUMBER.findall(value)
        for text in _objects_of_card(dialect, number, value):
            yield from _CARD_NUMBER.findall(text)


def _objects_of_card(dialect: Dialect, number: str, value: str) -> Iterable[str]:
    subfields = dialect.subfields.get(number)
    if not isinstance(subfields, Ber):
        return ()
    try:
        found = pieces(subfields, value, binary=True)
    except TlvError:
        return ()
    return [one.value for one in found if one.label in _CARD_TAGS]


def _if_suspect(text: str) -> str:
    if len(text.strip("0")) < _SIGNIFICANT_DIGITS_MIN:
        return text
    if not text.isdigit():
        return "*" * len(text)
    return _if_checked(text) if len(text) <= _CHECKED_DIGITS_MAX else masked_pan(text)


def _if_checked(digits: str) -> str:
    total = 0
    for at, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (1 + at % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return masked_pan(digits) if total % 10 == 0 else digits


def _hex(text: str) -> str:
    return text.encode("ascii").hex().upper()
