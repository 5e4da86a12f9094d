"""批结算 at a door: the terminal's totals of a batch beside ours.

A batch is closed when every payment of it has its end (rule 19). Totals that differ do not keep it
open; they call a person.
"""

from channels.inbound.answering import Said, inbound_codes
from channels.inbound.capture import exact_part
from channels.inbound.numbering import highest_stan
from channels.inbound.reception import Arrived
from channels.inbound.totals import claimed, summed, with_result
from channels.iso8583.dialect import Dialect
from switch.observe.logs import get_logger
from switch.ports import Front

_log = get_logger("inbound")


async def batch_for(front: Front, arrived: Arrived, *, limit: int) -> str:
    """The batch that a sign-on of a POS is told: the open one, or the next when the POS counts from
    the beginning again. Under the numbers of the open one its sales would be taken for those of
    before (I7, I8). Raises JournalDown."""
    station = arrived.station
    batch = await station.batch()
    prefix = f"{station.label}/{batch}/"
    payments = await front.payments(station.config.hospital, station.label, prefix, limit)
    highest = highest_stan(prefix, (one.answer.key for one in payments))
    if arrived.fields["11"] > highest:
        return batch
    _log.error("counter_lost", terminal=station.label, batch=batch, stan=highest, invariant="I8")
    await station.close_batch(batch)
    return await station.batch()


async def settle(
    front: Front,
    dialect: Dialect,
    arrived: Arrived,
    debits: frozenset[str],
    credits_: frozenset[str],
    *,
    limit: int,
) -> Said:
    """The answer to a settlement request. The same at every repeat: it comes from the journal.
    Raises JournalDown."""
    inbound, settlement, codes = dialect.inbound, dialect.settlement, inbound_codes(dialect)
    assert inbound is not None
    station = arrived.station
    batch = exact_part(arrived.fields, inbound.batch)
    theirs = claimed(settlement, arrived.fields) if settlement is not None else None
    if settlement is None or theirs is None or not batch.isdecimal():
        return Said(codes.format_error)
    payments = await front.payments(
        station.config.hospital, station.label, f"{station.label}/{batch}/", limit
    )
    ours = summed(payments, debits, credits_)
    if ours.open or len(payments) >= limit:
        _log.warning("batch_waits", terminal=station.label, batch=batch, open=ours.open)
        return Said(codes.busy)
    agree = ours.totals == theirs
    if not agree:
        _log.error("batch_differs", terminal=station.label, batch=batch, invariant="I1")
    await station.close_batch(batch)
    result = inbound.balanced if agree else inbound.unbalanced
    return Said(codes.approved, with_result(arrived.fields, settlement.result, result))
