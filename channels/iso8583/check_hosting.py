"""What the sections ``inbound`` and ``origin`` of a dialect must still satisfy after the schema."""

from collections.abc import Iterator

from msgspec import structs

from channels.iso8583.dialect import Action, Dialect
from channels.iso8583.dialogue import Part
from channels.iso8583.hosting import Column, Inbound, Origin

_HEAD = frozenset({"patient_id", "patient_name", "count"})
_ROW = frozenset({"bill_id", "amount", "title", "department"})


def hosting_problems(dialect: Dialect) -> Iterator[tuple[str, str]]:
    """(path, sentence) of each mistake."""
    if dialect.inbound is not None:
        yield from _inbound(dialect, dialect.inbound)
    if dialect.origin is not None:
        yield from _origin(dialect, dialect.origin)


def _inbound(dialect: Dialect, inbound: Inbound) -> Iterator[tuple[str, str]]:
    for name in ("batch", "original_batch", "original_stan"):
        yield from _part(f"inbound.{name}", getattr(inbound, name), dialect)
    for name, code in structs.asdict(inbound.codes).items():
        row = dialect.codes.get(code)
        approves = row is not None and row.action is Action.APPROVE
        if row is None:
            yield f"inbound.codes.{name}", f"{code} is not in codes"
        elif approves is not (name == "approved"):
            # I7: a refusal that a terminal would read as an approval, or the other way round.
            yield f"inbound.codes.{name}", f"{code} says {row.text}"
    if dialect.settlement is not None:
        if inbound.balanced not in dialect.settlement.balanced:
            yield "inbound.balanced", "is not one of settlement.balanced"
        if inbound.unbalanced in dialect.settlement.balanced:
            yield "inbound.unbalanced", "is one of settlement.balanced"


def _origin(dialect: Dialect, origin: Origin) -> Iterator[tuple[str, str]]:
    for name in ("card", "patient", "bill", "date", "reversal_date"):
        yield from _part(f"origin.{name}", getattr(origin, name), dialect)
    listing = origin.listing
    if origin.receipt and origin.receipt not in dialect.fields:
        yield "origin.receipt", "not in fields"
    for path, columns, known in (("head", listing.head, _HEAD), ("row", listing.row, _ROW)):
        for column in columns:
            if column.name not in known:
                yield f"origin.listing.{path}", f"no value is called {column.name}"
    field = dialect.fields.get(listing.field)
    if field is None:
        yield "origin.listing.field", "not in fields"
    elif _width(listing.head) + listing.rows_max * _width(listing.row) > field.max:
        yield "origin.listing", f"head and rows are longer than field {listing.field} may be"


def _part(path: str, part: Part, dialect: Dialect) -> Iterator[tuple[str, str]]:
    if part.field not in dialect.fields:
        yield path, f"field {part.field} is not in fields"
    if part.at < 0 or part.size < 1:
        yield path, "names no characters"


def _width(columns: tuple[Column, ...]) -> int:
    return sum(column.size for column in columns)
