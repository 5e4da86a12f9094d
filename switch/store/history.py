"""The journal as a person reads it: lists, one payment, and the path it took.

Reads only. Nothing here shows a card number: F2 is kept encrypted and is left out all the same.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import psycopg2
from msgspec import Struct
from psycopg2.extensions import connection

from switch.model.payment import Payment, Rest
from switch.store.rows import decode_payment

STATES = ("open", *[str(rest) for rest in Rest])
"""What a list can be narrowed to: on its way, or at one of the rests."""

_UNSHOWN_FACTS = frozenset({"F2", "pan"})


class Line(Struct, frozen=True, kw_only=True):
    """One payment in a list. Amount in 分, times in ms since 1970 (``born_at``) and ISO."""

    key: str
    hospital: str
    business: str
    terminal: str
    bill: str
    amount_fen: int
    state: str
    version: int
    born_at: int
    updated: str
    owner: str
    code: str


class Exchange(Struct, frozen=True, kw_only=True):
    """One exchange with a counterparty; times in ms on the house's time line.

    ``began_at`` is None when it went out again after a restart (a repeat is not journaled);
    ``ended_at`` is None while no answer is known.
    """

    leg: int
    kind: str
    counterparty: str
    verb: str
    attempt: int
    began_at: int | None
    ended_at: int | None = None
    took_ms: int | None = None
    end: str = ""
    code: str = ""
    text: str = ""


class Step(Struct, frozen=True, kw_only=True):
    """One version of a payment: what happened, and where the payment stood then."""

    version: int
    committed: str
    at: int
    event: str
    leg: int
    code: str
    trail: str


class Path(Struct, frozen=True, kw_only=True):
    """Everything the journal knows of one payment."""

    payment: dict[str, Any]
    steps: list[Step]
    exchanges: list[Exchange]
    identities: list[dict[str, str]]


def connect(dsn: str, *, writes: bool = False) -> connection:
    """A session, read-only unless it ``writes``. psycopg2.OperationalError: the journal is away."""
    conn: connection = psycopg2.connect(dsn, application_name="yyt", connect_timeout=10)
    conn.set_session(readonly=not writes, autocommit=True)
    return conn


def lines(conn: connection, state: str, hospital: str, limit: int) -> list[Line]:
    """The newest ``limit`` payments, newest first; ``""`` = any state, any hospital."""
    with conn.cursor() as cursor:
        cursor.execute(
            "SELECT key, hospital, business, terminal, bill, amount_fen,"
            " coalesce(rest, stage), version, born_at,"
            " to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'),"
            " owner, coalesce(state->>'code', '')"
            " FROM payment WHERE (%(hospital)s = '' OR hospital = %(hospital)s)"
            " AND (%(state)s = '' OR (%(state)s = 'open' AND rest IS NULL) OR rest = %(state)s)"
            " ORDER BY born_at DESC, key LIMIT %(limit)s",
            {"hospital": hospital, "state": state, "limit": limit},
        )
        rows = cursor.fetchall()
    return [Line(**dict(zip(Line.__struct_fields__, row, strict=True))) for row in rows]


def load(conn: connection, key: str) -> Payment | None:
    """One payment, checked against its checksum (Corrupt: I1)."""
    with conn.cursor() as cursor:
        cursor.execute("SELECT state::text, checksum FROM payment WHERE key = %s", (key,))
        row = cursor.fetchone()
    return None if row is None else decode_payment(key, row[0], row[1])


def path(conn: connection, key: str) -> Path | None:
    """The whole story of ``key``; None when there is none."""
    payment = load(conn, key)
    if payment is None:
        return None
    with conn.cursor() as cursor:
        cursor.execute(
            "SELECT version, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'),"
            " trail, event::text FROM payment_event WHERE key = %s ORDER BY version",
            (key,),
        )
        events = [(*row[:3], msgspec.json.decode(row[3])) for row in cursor]
        names = ("bank", "merchant", "terminal", "batch", "stan", "business_date")
        cursor.execute(
            "SELECT bank, merchant, terminal, batch, stan, business_date"
            " FROM exchange_identity WHERE payment_key = %s ORDER BY batch, stan",
            (key,),
        )
        identities = [dict(zip(names, row, strict=True)) for row in cursor]
    return Path(
        payment=shown(payment),
        steps=[_step(*event) for event in events],
        exchanges=_exchanges(payment, [event[3] for event in events]),
        identities=identities,
    )


def shown(payment: Payment) -> dict[str, Any]:
    """``payment`` as built-ins for people: policies and the card's number left out."""
    plain: dict[str, Any] = msgspec.to_builtins(payment)
    for leg in plain.get("legs", []):
        leg.pop("policy", None)
        facts = leg.get("facts", {})
        leg["facts"] = {name: facts[name] for name in facts if name not in _UNSHOWN_FACTS}
    return plain


def _step(version: int, committed: str, trail: str, entry: Mapping[str, Any]) -> Step:
    event = _event(entry)
    return Step(
        version=version,
        committed=committed,
        at=event.get("at", 0),
        event=event.get("kind", ""),
        leg=event.get("leg", 0),
        code=event.get("code", ""),
        trail=trail,
    )


def _event(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    event = entry.get("event", entry)
    return event if isinstance(event, Mapping) else {}


def _exchanges(payment: Payment, entries: Sequence[Mapping[str, Any]]) -> list[Exchange]:
    """Pair each effect SEND with the event that ended it: an exchange begins with the commit that
    ordered it and ends with the event of its leg named after its verb (``do_…``, ``undo_…``)."""
    found: list[Exchange] = []
    pending: dict[tuple[int, str], int] = {}
    for entry in entries:
        event = _event(entry)
        leg = event.get("leg", 0)
        verb = str(event.get("kind", "")).partition("_")[0]
        if verb in ("do", "ask", "undo") and leg < len(payment.legs):
            number = pending.pop((leg, verb), None)
            if number is None:
                found.append(_begun(payment, leg, verb, event.get("attempt", 0), None))
                number = len(found) - 1
            found[number] = _ended(found[number], event)
        for effect in entry.get("effects", []):
            if effect.get("kind") == "send" and effect.get("leg", 0) < len(payment.legs):
                leg, verb = effect.get("leg", 0), effect.get("verb", "do")
                pending[leg, verb] = len(found)
                found.append(_begun(payment, leg, verb, effect.get("attempt", 0), event.get("at")))
    return found


def _begun(payment: Payment, leg: int, verb: str, attempt: int, at: int | None) -> Exchange:
    return Exchange(
        leg=leg,
        kind=str(payment.legs[leg].kind),
        counterparty=payment.legs[leg].counterparty,
        verb=verb,
        attempt=attempt,
        began_at=at,
    )


def _ended(exchange: Exchange, event: Mapping[str, Any]) -> Exchange:
    at = event.get("at")
    took = None if at is None or exchange.began_at is None else at - exchange.began_at
    return msgspec.structs.replace(
        exchange,
        ended_at=at,
        took_ms=took,
        end=str(event.get("kind", "")),
        code=event.get("code", ""),
        text=event.get("text", ""),
    )
