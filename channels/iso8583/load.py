"""Read a dialect file: YAML as plain strings, then the schema, then what the schema cannot say.

Every scalar is text in YAML (``23:00``, ``0200`` and ``no`` stay what they say), duplicate keys
are refused, and every name a template or a layout uses must exist.
"""

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import yaml

from channels.iso8583.dialect import Choice, Dialect, Template
from channels.iso8583.errors import DialectError
from channels.iso8583.template import names_in
from switch.model.chip import JOURNALED


class _Loader(yaml.BaseLoader):
    """All scalars are strings; a key that comes twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise DialectError(f"line {key.start_mark.line + 1}: {key.value} stands twice")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


@cache
def load_dialect(name: str) -> Dialect:
    """A built-in dialect by name (``cup-pos``), or a file by path (anything with a ``/``).

    Raises DialectError with file and path inside it.
    """
    try:
        if "/" in name:
            text = Path(name).read_text(encoding="utf-8")
        else:
            text = (files(__package__) / "dialects" / f"{name}.yaml").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DialectError(f"dialect {name}: {type(error).__name__}") from error
    return parse_dialect(text, name)


def parse_dialect(text: str, origin: str) -> Dialect:
    """A dialect from YAML text; ``origin`` names it in errors. Raises DialectError."""
    try:
        raw = yaml.load(text, Loader=_Loader)  # noqa: S506 - BaseLoader makes strings only
        dialect = msgspec.convert(raw, Dialect, strict=False)
    except DialectError as error:
        raise DialectError(f"{origin}: {error}") from None
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise DialectError(f"{origin}: {error}") from error
    for path, problem in _problems(dialect):
        raise DialectError(f"{origin}: {path}: {problem}")
    return dialect


CARD_VALUES = frozenset(["pan", "track2", "pin_block", "chip"])
"""Values that come from the card and the pad and are never journaled (I12)."""
VALUES = CARD_VALUES | {
    *("amount", "currency", "stan", "batch", "terminal", "merchant", "reason", "sent_date"),
    *("expiry", "entry_mode", "card_sequence"),
}
"""Names a template may use; a reversal also ``F…``, the fields of the sale as journaled."""


def _problems(dialect: Dialect) -> list[tuple[str, str]]:
    """Everything the schema cannot say, first mistake first."""
    found: list[tuple[str, str]] = []
    known = dialect.fields.keys()
    for number, field in dialect.fields.items():
        if not (number.isdecimal() and 2 <= int(number) <= 128):
            found.append((f"fields.{number}", "not a field number from 2 to 128"))
        if field.like not in dialect.encodings:
            found.append((f"fields.{number}.like", f"no encoding {field.like}"))
    for mti, rule in dialect.mtis.items():
        used = {*rule.match, *rule.mandatory, *rule.approved, *rule.echoes}
        found += [(f"mtis.{mti}", f"field {n} is not in fields") for n in sorted(used - known)]
        if rule.answer and rule.answer not in dialect.mtis:
            found.append((f"mtis.{mti}.answer", f"no message type {rule.answer}"))
    for name, template in _templates(dialect).items():
        found += [(f"{name}.{path}", text) for path, text in _template_problems(template, dialect)]
    found += [
        ("reversal_chip", f"{tag} is not in rule 18: the journal does not hold it")
        for tag in dialect.reversal_chip
        if tag not in JOURNALED
    ]
    if dialect.mac.field not in known:
        found.append(("mac.field", "not in fields"))
    for layout in dialect.sign_on.layouts:
        spans = (layout.pik, layout.pik_kcv, layout.mak, layout.mak_kcv)
        if any(span.at < 0 or span.at + span.size > layout.length for span in spans):
            found.append((f"sign_on.layouts.{layout.length}", "a part lies outside the block"))
    return found


def _templates(dialect: Dialect) -> dict[str, Template]:
    return {
        "sale": dialect.sale,
        "balance": dialect.balance,
        "reversal": dialect.reversal,
        "echo": dialect.echo,
        "sign_on.request": dialect.sign_on.request,
    }


def _template_problems(template: Template, dialect: Dialect) -> list[tuple[str, str]]:
    found = []
    mti = dialect.mtis.get(template.mti)
    if mti is None or not mti.answer:
        found.append(("mti", f"{template.mti} is not a request of mtis"))
    for number, text in template.fields.items():
        if number not in dialect.fields:
            found.append((f"fields.{number}", "not in fields"))
        names = {text.when} if isinstance(text, Choice) else names_in(text)
        unknown = [n for n in sorted(names - VALUES) if n.removeprefix("F") not in dialect.fields]
        found += [(f"fields.{number}", f"no value is called {name}") for name in unknown]
    return found
