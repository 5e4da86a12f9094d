"""Where the audit finds its ledgers: the addresses in ``demo.json``, read over loopback HTTP."""

import json
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any, TypeVar

from switch.audit.compare import Audit, BankLine, BookedPayment, HisLine, Told, compare
from switch.store.books import read_books

TIMEOUT_S = 20
PATIENCE_S = 20
RETRY_S = 0.2

T = TypeVar("T")


class SourceError(Exception):
    """A ledger cannot be read; the sentence names which."""


def audit_demo(demo_json: Path) -> Audit:
    """Compare the four stories of the demo that ``demo_json`` describes. Raises SourceError."""
    try:
        processes = json.loads(demo_json.read_text(encoding="utf-8"))["processes"]
    except (OSError, ValueError, KeyError) as error:
        raise SourceError(f"{demo_json}: no demo runs here ({error})") from None
    return audit({process["name"]: process["addresses"] for process in processes})


def audit(addresses: Mapping[str, Mapping[str, str]]) -> Audit:
    """``addresses``: process name → its addresses (postgres: dsn; the others: http)."""
    dsn = addresses["postgres"]["dsn"]
    before = _books(dsn)
    kiosks = [name for name in addresses if name.startswith("kiosk-")]
    told = [line for kiosk in kiosks for line in told_lines(_ledger(kiosk, addresses[kiosk]))]
    bank = bank_lines(_ledger("bank", addresses["bank"]))
    his = his_lines(_ledger("his", addresses["his"]))
    after = _books(dsn)
    return compare(
        before,
        known_keys=(payment.key for payment in after),
        known_at_bank=(identity for payment in after for identity in payment.at_bank),
        bank=bank,
        his=his,
        told=told,
        moving=_moving(before, after),
    )


def _moving(before: Iterable[BookedPayment], after: Iterable[BookedPayment]) -> Iterable[str]:
    """Payments whose end was not the same before and after the ledgers were read, and those that
    such a one refers to: their lines may be of either moment."""
    rests = {payment.key: payment.rest for payment in before}
    for payment in after:
        if not payment.rest or rests.get(payment.key) != payment.rest:
            yield payment.key
            yield payment.original


def bank_lines(ledger: Mapping[str, Any]) -> Iterable[BankLine]:
    """The bank's list of debits."""
    for debit in ledger["debits"]:
        yield BankLine(
            at_bank=(debit["merchant"], debit["terminal"], debit["batch"], debit["stan"]),
            net_fen=debit["net_fen"],
        )


def his_lines(ledger: Mapping[str, Any]) -> Iterable[HisLine]:
    """The hospital's list of bookings."""
    for booking in ledger["bookings"]:
        yield HisLine(
            key=booking["key"],
            amount_fen=booking["amount_fen"],
            booked=booking["state"] == "booked",
        )


def told_lines(ledger: Mapping[str, Any]) -> Iterable[Told]:
    """The last answer a kiosk has journaled for each key."""
    for line in ledger["told"]:
        yield Told(key=line["key"], state=line["state"], amount_fen=line["amount_fen"])


def _books(dsn: str) -> list[BookedPayment]:
    return _patiently("journal", lambda: read_books(dsn))


def _ledger(name: str, addresses: Mapping[str, str]) -> Any:
    return _patiently(name, lambda: _get(f"{addresses['http']}/ledger"))


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310 - our own loopback
        return json.load(answer)


def _patiently(name: str, read: Callable[[], T]) -> T:
    """A process that was killed a moment ago comes back: try until PATIENCE_S is over."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return read()
        except (OSError, ValueError, HTTPException) as error:
            if time.monotonic() > end:
                raise SourceError(f"{name}: its ledger cannot be read ({error})") from None
        time.sleep(RETRY_S)
