"""The process ``yyt his simulate``: SOAP port, control port, ledger file."""

import json
import os
import time
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from his_bridge.policy import Level
from his_bridge.simulator_habits import Habit, Habits
from his_bridge.simulator_host import HisHost
from his_bridge.simulator_ledger import BILLS_AT_ONCE_MAX, Ledger
from his_bridge.simulator_server import HisServerFactory
from his_bridge.simulator_wire import HisWire
from switch.model.money import amount_fen
from switch.observe.http import serve_json


class NewBills(Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /bills``; without an amount each bill gets its own."""

    patient: str
    count: int = 1
    amount_fen: int | None = None


def listen(
    reactor: Any, *, host: str, port: int, http_port: int, ledger: Path, level: Level
) -> None:
    """Serve both ports and print the ready line (0 = any free port).

    Raises Twisted's CannotListenError, sqlite3.Error and OSError.
    """
    ledger.parent.mkdir(parents=True, exist_ok=True)
    books = Ledger(ledger)
    wire = HisWire(HisHost(books, _now_ms, level), Habits())
    soap = reactor.listenTCP(port, HisServerFactory(wire, reactor), interface=host, backlog=512)
    control: Any = serve_json(reactor, http_port, routes_of(wire))
    reactor.addSystemEventTrigger("after", "shutdown", books.close)
    ready = {
        "event": "ready",
        "process": "his",
        "pid": os.getpid(),
        "addresses": {
            "soap": f"{host}:{soap.getHost().port}",
            "http": f"127.0.0.1:{control.getHost().port}",
        },
    }
    print(json.dumps(ready), flush=True)  # noqa: T201 - the line a supervisor waits for


def routes_of(wire: HisWire) -> dict[tuple[str, str], Any]:
    """``GET /ledger``, ``POST /bills``, ``GET`` and ``POST /habits``."""

    def put_habit(body: Any) -> Any:
        wire.habits.put(msgspec.convert(body, Habit))
        return _habits(wire)

    return {
        ("GET", "/ledger"): lambda _body: ledger_of(wire),
        ("GET", "/habits"): lambda _body: _habits(wire),
        ("POST", "/habits"): put_habit,
        ("POST", "/bills"): lambda body: _add_bills(wire, msgspec.convert(body, NewBills)),
    }


def ledger_of(wire: HisWire) -> dict[str, Any]:
    """The hospital's list: every booking with its state, and the sum of those that stand."""
    rows = wire.host.ledger.bookings()
    return {
        "bookings": [
            {
                "key": row.key,
                "bill": row.bill,
                "patient": row.patient,
                "amount_fen": row.amount_fen,
                "state": row.state,
            }
            for row in rows
        ],
        "booked_fen": sum(row.amount_fen for row in rows if row.state == "booked"),
    }


def _habits(wire: HisWire) -> dict[str, Any]:
    return {"level": wire.host.level, "habits": msgspec.to_builtins(wire.habits.active())}


def _add_bills(wire: HisWire, new: NewBills) -> dict[str, Any]:
    if not 1 <= new.count <= BILLS_AT_ONCE_MAX or not new.patient:
        raise ValueError(f"count must be from 1 to {BILLS_AT_ONCE_MAX}, patient must be given")
    if new.amount_fen is not None:
        amount_fen(new.amount_fen)
    rows = wire.host.ledger.add_bills(new.patient, new.count, new.amount_fen)
    wire.host.ledger.commit()
    return {
        "bills": [
            {"bill": row.bill, "patient": row.patient, "amount_fen": row.amount_fen} for row in rows
        ]
    }


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
