"""Batches that fill up are settled in time (rule 19)."""

from msgspec.structs import replace

from switch.model.batch import BatchState
from switch.model.payment import Rest
from tests.bank.settlement_rig import House
from tests.engine.rig import DONE, REFUSED

DUE = "20260704 000001"
"""Why a batch of that day was settled: it filled up."""


def small(house: House, count_max: int) -> None:
    """Totals with room for so many transactions (method: 1,000 sales take their time)."""
    assert house.channel.settling.terms.count_max == 999, "three digits"
    house.channel.settling.terms = replace(house.channel.settling.terms, count_max=count_max)


def test_rule19_a_batch_settles_before_its_totals_run_out_of_digits() -> None:
    """Without a timetable: at three quarters its settlement is ordered, and sales go on."""
    house = House()
    small(house, 20)
    for number in range(14):
        house.pay(f"k{number}", 100)
    assert house.rows == []
    house.pay("k14", 100)
    house.settle(12)

    assert [(row.state, row.due) for row in house.rows] == [(BatchState.CLOSED, DUE)]
    assert house.host.settled[0]["48"][:15] == "000000001500015"
    house.pay("k15", 100)
    assert house.facts("k15")["batch"] == "000002"


def test_rule19_nothing_begins_in_a_full_batch(capsys) -> None:
    """The bank does not settle it: sales go on to nine tenths of what fits, it is ordered once
    more, and then the terminal stands, with an alarm, until the bank settles."""
    house = House()
    small(house, 20)
    house.host.says = ["3"] * 6
    for number in range(15):
        house.pay(f"k{number}", 100)
    house.settle(200)
    for number in range(15, 18):
        house.pay(f"k{number}", 100)
    house.settle(200)
    assert [(row.state, row.due) for row in house.rows] == [
        (BatchState.FAILED, DUE),
        (BatchState.FAILED, f"{DUE} full"),
    ]
    assert "a batch is full" in capsys.readouterr().out
    assert house.pay("k18", 100, wait_s=10)[0].state == "declined"
    assert house.order()
    house.settle(3)

    assert house.host.settled[-1]["48"][:15] == "000000001800018"
    house.pay("k19", 100)
    assert (house.facts("k19")["batch"], house.stored("k19").rest) == ("000002", Rest.DONE)


def test_rule19_what_was_refused_or_reversed_fills_no_batch() -> None:
    """20 sales, none of which stands: the terminal goes on, and the batch is found empty."""
    house = House()
    small(house, 20)
    house.his.script.extend([DONE, REFUSED] * 20)
    for number in range(20):
        house.pay(f"k{number}", 100)
        assert house.stored(f"k{number}").rest is Rest.UNDONE
    house.settle(12)
    assert [row.state for row in house.rows] == [BatchState.EMPTY]
    house.pay("k20", 100)

    assert house.stored("k20").rest is Rest.DONE


def test_rule19_totals_without_digits_are_not_sent(capsys) -> None:
    """More transactions than the message can say: alarmed before anything is sent, never cut."""
    house = House()
    for number in range(3):
        house.pay(f"k{number}", 100)
    small(house, 2)
    house.settle(12)

    assert (house.host.settled, house.rows[0].state) == ([], BatchState.FAILED)
    assert house.rows[0].totals.debit_count == 3
    assert house.rows[0].text.startswith("3 笔")
    assert "a batch has more than its totals can say" in capsys.readouterr().out


def test_the_sizes_of_batches_are_not_asked_for_at_every_look() -> None:
    """Once in ten seconds, and at once when a settlement has come to its end."""
    house = House()
    house.pay("k1", 100)
    asked: list[str] = []
    made = house.journal.batches.sizes

    async def sizes(bank: str) -> object:
        asked.append(bank)
        return await made(bank)

    house.journal.batches.sizes = sizes
    house.settle(60)
    assert 5 <= len(asked) <= 7
    house.order()
    house.settle(3)
    assert house.rows[0].state is BatchState.CLOSED
    assert 6 <= len(asked) <= 9
