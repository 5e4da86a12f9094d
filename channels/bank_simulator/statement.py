"""What ``GET /ledger`` shows: every business that moved money, and what batches and days came to.

For anyone: identities, amounts, states. No card number is in it, since none is in the book.
"""

from collections import defaultdict
from collections.abc import Iterable

import msgspec

from channels.bank_simulator.entries import Entry
from channels.bank_simulator.ledger import Ledger, totals


def statement(ledger: Ledger) -> dict[str, object]:
    """``debits``: one row each, ``net_fen`` less than zero for what went back, so that the rows of
    a sale and its refunds add up; ``net_fen`` of all; ``batches`` and ``days`` with their totals
    and how the settlement went; ``notices`` of issuer scripts."""
    entries = ledger.entries()
    return {
        "debits": [_row(entry) for entry in entries],
        "net_fen": sum(entry.net_fen for entry in entries),
        "held_fen": sum(entry.held_fen for entry in entries),
        "batches": _batches(ledger, entries),
        "days": [
            {"date": date, **_totals(found)} for (date,), found in _by(entries, ("date",)).items()
        ],
        "notices": msgspec.to_builtins(ledger.notices()),
    }


def _row(entry: Entry) -> dict[str, object]:
    row: dict[str, object] = {
        "merchant": entry.merchant,
        "terminal": entry.terminal,
        "batch": entry.batch,
        "stan": entry.stan,
        "date": entry.date,
        "rrn": entry.rrn,
        "operation": entry.operation,
        "amount_fen": entry.amount_fen,
        "state": str(entry.state),
        "net_fen": entry.net_fen,
        "held_fen": entry.held_fen,
    }
    if entry.original_stan:
        row["original"] = {"batch": entry.original_batch, "stan": entry.original_stan}
    return row


def _batches(ledger: Ledger, entries: Iterable[Entry]) -> list[dict[str, object]]:
    owner = ("merchant", "terminal", "batch")
    found = _by(entries, owner)
    settled = {(one.merchant, one.terminal, one.batch): one for one in ledger.settlements()}
    rows = []
    for key in sorted({*found, *settled}):
        row = {**dict(zip(owner, key, strict=True)), **_totals(found.get(key, []))}
        if key in settled:
            row["settled"] = msgspec.to_builtins(settled[key])
        rows.append(row)
    return rows


def _totals(entries: Iterable[Entry]) -> dict[str, object]:
    standing = [entry for entry in entries if entry.booked]
    result: dict[str, object] = msgspec.to_builtins(totals(standing))
    return result


def _by(entries: Iterable[Entry], names: tuple[str, ...]) -> dict[tuple[str, ...], list[Entry]]:
    found: dict[tuple[str, ...], list[Entry]] = defaultdict(list)
    for entry in entries:
        found[tuple(getattr(entry, name) for name in names)].append(entry)
    return found
