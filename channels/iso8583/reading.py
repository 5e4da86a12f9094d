"""Reading what a template wrote: the values of a message that whoever plays the host receives.

The other direction of :mod:`channels.iso8583.template`. Pure; compiled once per template.
"""

from collections.abc import Collection, Mapping
from string import Formatter

from channels.iso8583.dialect import Dialect
from channels.iso8583.dialogue import Choice, Template

_PARSE = Formatter().parse
_OF_ORIGINAL = "original_"
_LENGTH_SHAPES = {"len2": 2, "len3": 3}
_BATCH_DIGITS = 6
_SIZES = {
    "amount": 12,
    "currency": 3,
    "date": 4,
    "time": 6,
    "sent_date": 4,
    "sent_time": 6,
    "mti": 4,
    "reason": 2,
    "debit_count": 3,
    "debit_amount": 12,
    "credit_count": 3,
    "credit_amount": 12,
    "upload_count": 4,
}
"""Characters of the values whose width is no field's."""

Steps = list[tuple[str, int]]
"""(name, characters): a width of ``_ALL`` takes the rest, ``_SAID`` what was said before; an empty
name is skipped."""
_ALL, _SAID = -1, -2


class Reading:
    """A template made ready to be read. ``wanted`` limits it to the values somebody asks for."""

    def __init__(self, dialect: Dialect, template: Template, wanted: Collection[str]) -> None:
        self._plain: list[tuple[str, str]] = []
        self._composed: list[tuple[str, Steps]] = []
        sizes = _Sizes(dialect)
        for number, text in template.fields.items():
            if isinstance(text, Choice):
                continue
            steps = _steps(text, sizes)
            names = {name for name, _ in steps} & set(wanted)
            if not names:
                continue
            if len(steps) == 1 and text.endswith("{" + steps[0][0] + "}"):
                self._plain.append((number, steps[0][0]))
            else:
                self._composed.append((number, steps))

    def values(self, fields: Mapping[str, str]) -> dict[str, str]:
        """Name → value, of the fields that are there.

        Read from the left by widths: what stands at the end may be another than the template's
        (terminals differ in 60.4 to 60.7), and a field that is too short gives what it has.
        """
        found = {name: fields[number] for number, name in self._plain if number in fields}
        for number, steps in self._composed:
            if number in fields:
                _walk(steps, fields[number], found)
        return found


class _Sizes:
    """The width of each value: its field's, or one of ours."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        batch = dialect.sign_on.batch
        self._named = {
            **_SIZES,
            "batch": batch.size if batch else _BATCH_DIGITS,
            "stan": self._field("11"),
            "terminal": self._field("41"),
            "merchant": self._field("42"),
        }

    def of(self, name: str) -> int:
        name = name.removeprefix(_OF_ORIGINAL)
        if name.startswith("F"):
            return self._field(name[1:])
        return self._named.get(name, _ALL)

    def _field(self, number: str) -> int:
        field = self._dialect.fields.get(number)
        if field is None or self._dialect.encodings[field.like].len_type:
            return _ALL
        return field.max


def _steps(text: str, sizes: _Sizes) -> Steps:
    steps: Steps = []
    said = set()
    for before, name, shape, _ in _PARSE(text):
        if before:
            steps.append(("", len(before)))
        if name is None:
            continue
        if shape in _LENGTH_SHAPES:
            steps.append((name, _LENGTH_SHAPES[shape]))
            said.add(name)
        else:
            steps.append((name, _SAID if name in said else sizes.of(name)))
    return steps


def _walk(steps: Steps, text: str, found: dict[str, str]) -> None:
    at = 0
    for name, width in steps:
        if width == _SAID:
            said = found.pop(name, "")
            end = at + (int(said) if said.isdecimal() else 0)
        else:
            end = len(text) if width == _ALL else at + width
        part = text[at:end]
        if name and part:
            found[name] = part
        at = end
