"""Message templates of a dialect, compiled once: field → a function of the payment's values."""

from collections.abc import Callable, Mapping
from string import Formatter

from channels.iso8583.dialect import Choice, Template

Values = Mapping[str, str]
Fill = Callable[[Values], str]


def names_in(text: str) -> set[str]:
    """The ``{names}`` a template text uses.

    >>> sorted(names_in("22{batch}{kind}"))
    ['batch', 'kind']
    """
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def compiled(template: Template) -> dict[str, Fill]:
    """Field number → function that makes its value; an empty value means *leave the field out*."""
    return {number: _fill(text) for number, text in template.fields.items()}


def filled(fills: Mapping[str, Fill], values: Values) -> dict[str, str]:
    """The fields that have a value. A name missing from ``values`` counts as empty."""
    fields = {}
    for number, fill in fills.items():
        value = fill(values)
        if value:
            fields[number] = value
    return fields


def _fill(text: str | Choice) -> Fill:
    if isinstance(text, Choice):
        when, then, otherwise = text.when, text.then, text.otherwise
        return lambda values: then if values.get(when) else otherwise
    names = names_in(text)
    if not names:
        return lambda _values: text
    if text == "{" + next(iter(names)) + "}":
        name = names.pop()
        return lambda values: values.get(name, "")
    return _composed(text, frozenset(names))


def _composed(text: str, names: frozenset[str]) -> Fill:
    def fill(values: Values) -> str:
        return text.format_map(values) if all(values.get(name) for name in names) else ""

    return fill
