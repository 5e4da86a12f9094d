"""Message templates of a dialect, compiled once: field → a function of the payment's values."""

from collections.abc import Callable, Mapping
from string import Formatter

from channels.iso8583.dialect import Dialect
from channels.iso8583.dialogue import Choice, Template

Values = Mapping[str, str]
Fill = Callable[[Values], str]
_parse = Formatter().parse


def names_in(text: str) -> set[str]:
    """The ``{names}`` a template text uses.

    >>> sorted(names_in("22{batch}{kind}"))
    ['batch', 'kind']
    """
    return {name for _, name, _, _ in _parse(text) if name}


def literals(text: str) -> list[str]:
    """What stands before, between and after its names; a text without names is one literal.

    >>> literals("22{batch}{kind}50")
    ['22', '', '50']
    """
    parts = [""]
    for before, name, _, _ in _parse(text):
        parts[-1] += before
        if name is not None:
            parts.append("")
    return parts


def shapes_in(text: str) -> set[str]:
    """The shapes of its names, see :data:`SHAPES`."""
    return {shape for _, _, shape, _ in _parse(text) if shape}


def terminal_block(dialect: Dialect, serial: str) -> str:
    """The value ``{terminal_block}`` of a terminal with this serial number."""
    return _fill(dialect.terminal_block)({"serial": serial})


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
    return _composed(text)


def _composed(text: str) -> Fill:
    parts = [(before, name, SHAPES[shape or ""]) for before, name, shape, _ in _parse(text)]
    names = frozenset(name for _, name, _ in parts if name)

    def fill(values: Values) -> str:
        if not all(values.get(name) for name in names):
            return ""
        return "".join(
            before + shape(values[name]) if name else before for before, name, shape in parts
        )

    return fill


def _length(digits: int) -> Callable[[str], str]:
    return lambda value: f"{len(value):0{digits}d}"


def _plain(value: str) -> str:
    return value


def _hex(value: str) -> str:
    return value.encode("gbk").hex().upper()


SHAPES: Mapping[str, Callable[[str], str]] = {
    "": _plain,
    "hex": _hex,
    "equals": lambda value: value.replace("D", "="),
    "len2": _length(2),
    "len3": _length(3),
}
"""How ``{name:shape}`` writes a value: as it is, as hexadecimal (for a text in a binary field),
its length in 2 or 3 digits, or a track with ``=`` for its separator."""
