"""Bills in the fixed columns of one field, and values for the hospital. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from channels.iso8583.hosting import Column, Listing

_ENCODING = "gbk"
_DIGITS = frozenset({"count", "amount"})


def listed(listing: Listing, patient: Mapping[str, Any], bills: Sequence[Mapping[str, Any]]) -> str:
    """The text of the answer's field: the first ``rows_max`` bills, and how many they are."""
    rows = bills[: listing.rows_max]
    head = {
        "patient_id": str(patient["patient_id"]),
        "patient_name": str(patient["name"]),
        "count": str(len(rows)),
    }
    lines = [_line(listing.head, head)]
    for bill in rows:
        values = {
            "bill_id": str(bill["bill_id"]),
            "amount": str(bill["amount_fen"]),
            "title": str(bill.get("title", "")),
            "department": str(bill.get("department", "")),
        }
        lines.append(_line(listing.row, values))
    return "".join(lines)


def _line(columns: Sequence[Column], values: Mapping[str, str]) -> str:
    return "".join(_padded(column, values[column.name]) for column in columns)


def _padded(column: Column, value: str) -> str:
    """Widths are bytes; a character that would be cut in two is left out. Numbers are never cut:
    one that does not fit would be another number."""
    if column.name in _DIGITS:
        if len(value) > column.size:
            raise ValueError(f"{column.name} does not fit its column")
        return value.zfill(column.size)
    cut = value.encode(_ENCODING, "replace")[: column.size].decode(_ENCODING, "ignore")
    return cut + " " * (column.size - len(cut.encode(_ENCODING)))
