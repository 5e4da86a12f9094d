"""Keys of a terminal's payments, from the numbers in its requests. Pure.

By its key a repeat is the same payment (I7), and what refers to it later finds it. A POS's numbers
are unique under its batch; a bank's F11 begins again each day, so its key ends with its business
date.
"""

from collections.abc import Iterable
from datetime import date as calendar_date
from datetime import timedelta

from channels.inbound.capture import exact_part
from channels.inbound.reception import Arrived
from channels.iso8583.hosting import Inbound


def payment_key(inbound: Inbound, arrived: Arrived, date: str | None = None) -> str:
    """The key of a payment that a request begins; "" when one of its numbers is missing.

    ``date``: YYYYMMDD, or "" when it is missing; None: the date is no part of the key."""
    batch = exact_part(arrived.fields, inbound.batch)
    return _key(arrived, batch, arrived.fields["11"], date)


def original_key(inbound: Inbound, arrived: Arrived) -> str:
    """The key of the terminal's earlier payment that a void, a refund or a completion names; ""
    when it names none."""
    batch = exact_part(arrived.fields, inbound.original_batch)
    return _key(arrived, batch, exact_part(arrived.fields, inbound.original_stan), None)


def reversed_key(inbound: Inbound, arrived: Arrived, date: str | None = None) -> str:
    """The key of what a 0400 takes back: its own F11 is that of the payment. Field 61 may say that
    this was in an earlier batch; where it has another F11 it says what *that* payment was for (the
    sale of a void), which is not what is taken back."""
    batch = exact_part(arrived.fields, inbound.original_batch)
    if not batch or names_another(inbound, arrived):
        batch = exact_part(arrived.fields, inbound.batch)
    return _key(arrived, batch, arrived.fields["11"], date)


def names_another(inbound: Inbound, arrived: Arrived) -> bool:
    """Whether field 61 of a 0400 has another F11 than the 0400."""
    stan = exact_part(arrived.fields, inbound.original_stan)
    return stan not in {"", arrived.fields["11"]}


def batch_of(label: str, key: str) -> str:
    """The batch in a key of the terminal ``label``."""
    return key.removeprefix(f"{label}/").partition("/")[0]


def highest_stan(prefix: str, keys: Iterable[str]) -> str:
    """The highest F11 of keys that begin with ``prefix``; "" when there are none."""
    return max((key.removeprefix(prefix).partition("/")[0] for key in keys), default="")


def days_beside(date: str) -> tuple[str, str]:
    """The days before and after (YYYYMMDD).

    >>> days_beside("20261231")
    ('20261230', '20270101')
    """
    day = calendar_date.fromisoformat(date)
    before, after = (day + timedelta(days=n) for n in (-1, 1))
    return f"{before:%Y%m%d}", f"{after:%Y%m%d}"


def _key(arrived: Arrived, batch: str, stan: str, date: str | None) -> str:
    parts = (batch, stan) if date is None else (batch, stan, date)
    return "/".join((arrived.station.label, *parts)) if all(parts) else ""
