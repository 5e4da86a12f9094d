"""Settlements whose end is doubtful, cut off, refused, or ordered of nobody (rule 19, I9)."""

from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from switch.jobs.settlement import Settlement
from switch.model.batch import NOT_OURS, Batch, BatchState
from switch.model.logical_terminal import LogicalTerminal
from switch.model.payment import Rest
from switch.ports import JournalDown
from tests.bank.settlement_rig import TERMINAL, House

REMOVED = LogicalTerminal(bank="icbc", merchant=TERMINAL.merchant, terminal="19999999")
DOUBT = "the bank refuses a batch that it may have closed"


def settling_in_doubt(*says: str) -> House:
    """One sale, whose batch's totals went out and were never answered."""
    house = House()
    house.pay("k1", 100)
    house.host.says = ["", *says]
    house.order()
    house.settle(3)
    assert len(house.host.settled) == 1
    return house


def test_I9_a_refusal_after_an_unanswered_settlement_leaves_no_batch_open(capsys) -> None:
    """The bank may have closed it at the first 0500: 3, 3, 3, 3 after that let no sale into it; it
    settles when the bank says so."""
    house = settling_in_doubt("3", "3", "3", "3")
    house.settle(230)
    assert len(house.host.settled) >= 4
    assert [row.state for row in house.rows] == [BatchState.SETTLING]
    assert house.pay("k2", 100, wait_s=5)[0].state == "declined"
    assert DOUBT in capsys.readouterr().out

    house.settle(130)
    assert (house.rows[0].state, house.rows[0].result) == (BatchState.CLOSED, "balanced")


def test_K16_I9_a_settlement_that_died_unanswered_stays_in_doubt() -> None:
    """The process dies before its 0500 is answered: to the next one a refusal proves nothing."""
    house = settling_in_doubt(*["3"] * 10)
    house.restart()
    house.settle(200)

    assert len(house.host.settled) >= 4
    assert [row.state for row in house.rows] == [BatchState.SETTLING]


def test_what_was_not_sent_leaves_no_doubt() -> None:
    """No key service, so nothing left; then 3, 3, 3: the batch goes on."""
    house = House()
    house.pay("k1", 100)
    made = house.channel._bank.send

    async def down(*_: Any, **__: Any) -> Any:
        raise JournalDown("away")

    house.channel._bank.send = down
    house.order()
    house.settle(3)
    house.channel._bank.send = made
    house.host.says = ["3", "3", "3"]
    house.settle(300)

    assert [row.state for row in house.rows] == [BatchState.FAILED]


def test_I8_a_closing_commit_of_which_nothing_was_heard_is_the_end_of_its_numbers() -> None:
    """The commit closed the batch, its acknowledgement was lost: the next sale has the next
    batch."""
    house = House()
    house.pay("k1", 100)
    made = house.settlement._batches.move

    async def move(batch: Batch) -> bool:
        done = await made(batch)
        if batch.state is BatchState.CLOSED:
            raise JournalDown("away")
        return done

    house.settlement._batches.move = move
    house.order()
    house.settle(5)
    assert (house.rows[0].state, house.batch) == (BatchState.CLOSED, "000002")
    house.pay("k2", 100)

    assert (house.facts("k2")["batch"], house.stored("k2").rest) == ("000002", Rest.DONE)


def test_I8_no_sale_between_the_closing_commit_and_the_next_number() -> None:
    """The job looks while the acknowledgement of the closing commit is on its way: the terminal
    stays shut until it is there."""
    house = House()
    house.pay("k1", 100)
    made, acknowledged = house.settlement._batches.move, Deferred()

    async def move(batch: Batch) -> bool:
        done = await made(batch)
        if batch.state is BatchState.CLOSED:
            await acknowledged
        return done

    house.settlement._batches.move = move
    house.order()
    house.settle(5)
    assert house.rows[0].state is BatchState.CLOSED
    assert house.channel._bank.terminals[TERMINAL.merchant, TERMINAL.terminal].settling
    acknowledged.callback(None)
    house.settle(1)
    house.pay("k2", 100)

    assert (house.facts("k2")["batch"], house.stored("k2").rest) == ("000002", Rest.DONE)


def test_an_order_of_a_terminal_that_is_not_configured_stops_no_other(capsys) -> None:
    """It was taken out of the configuration: alarmed once; the others settle, and a process starts
    with it."""
    house = House()
    house.pay("k1", 100)
    house.database.counters.batches[REMOVED] = "000001"
    house.begin(house.journal.batches.order(REMOVED, "", house.timeline.now_ms()))
    house.order()
    house.settle(5)

    states = {row.terminal: row.state for row in house.rows}
    assert states == {REMOVED: BatchState.ORDERED, TERMINAL: BatchState.CLOSED}
    assert capsys.readouterr().out.count("a terminal that is not configured") == 1
    house.restart()
    house.pay("k2", 100)
    assert house.stored("k2").rest is Rest.DONE
    assert "settlement_defect" not in capsys.readouterr().out


def test_a_defect_at_one_bank_keeps_no_other_from_settling(capsys) -> None:
    """The first bank's part fails at every look: the start raises nothing, the second settles."""
    house = House()
    house.pay("k1", 100)
    house.settlement.stop()
    banks: Any = {"broken": SimpleNamespace(), "icbc": house.channel.settling}
    job = Settlement(house.journal.batches, banks, house.engine, house.timeline, {})
    started = house.begin(job.start())
    house.order()
    house.settle(5)

    assert not isinstance(started[0], Failure)
    assert house.rows[0].state is BatchState.CLOSED
    assert "bank=broken" in capsys.readouterr().out


def test_a_refused_end_of_an_upload_closes_the_batch_unbalanced(capsys) -> None:
    """2, the upload taken, its end refused three times: the terminal goes on."""
    house = House()
    house.pay("k1", 100)
    house.host.says = ["2", "00", "12", "12", "12"]
    house.order()
    house.settle(200)

    row = house.rows[0]
    assert (row.state, row.result, row.code) == (BatchState.CLOSED, "unbalanced", "12")
    assert len(house.host.uploaded) == 4
    assert "the bank does not take the end of an upload" in capsys.readouterr().out
    house.pay("k2", 100)
    assert house.stored("k2").rest is Rest.DONE


def test_an_upload_sends_nothing_twice_when_the_batch_grows() -> None:
    """Evidence lets an older sale stand after the totals were committed: the upload goes on behind
    what it had sent last."""
    house = House()
    for number in (1, 2, 3):
        house.pay(f"k{number}", number * 100)
    made = house.settlement._batches.payments

    async def payments(batch: Batch) -> Any:
        found = await made(batch)
        return [one for one in found if one.key != "k1" or house.host.uploaded]

    house.settlement._batches.payments = payments
    house.host.says = ["2", "00", "00", "00"]
    house.order()
    house.settle(5)

    amounts = [one.get("4") for one in house.host.uploaded]
    assert amounts == ["000000000200", "000000000300", None]
    assert (house.rows[0].state, house.rows[0].uploaded) == (BatchState.CLOSED, 2)


@pytest.mark.parametrize("ends", ["stopped", "not_ours"])
def test_I13_who_waits_for_a_lease_commits_nothing_after_its_time(ends: str) -> None:
    """A payment has the terminal; the process stops, or another node gets the terminal: whoever
    waited for the payment's end commits no totals."""
    house = House()
    house.pay("k1", 100)
    settling = house.channel.settling
    settling.quiet = lambda _: False
    house.order()
    house.settle(1.5)
    if ends == "stopped":
        house.settlement.stop()
    settling.mine = lambda _: ends == "stopped"
    settling.quiet = lambda _: True
    house.settle(5)

    assert (house.rows[0].state, house.host.settled) == (BatchState.ORDERED, [])


def without_section(house: House) -> None:
    """The bank's section ``settlement`` is taken out, and another process starts with that."""
    del house.settings["settlement"]
    house.restart()


def test_an_order_for_a_bank_that_closes_batches_itself_fails(capsys) -> None:
    """By the node that has the terminal, with a log line; sales go on. Once the section is there a
    new order settles the same batch."""
    house = House()
    terms = house.settings["settlement"]
    without_section(house)
    house.pay("k1", 100)
    assert house.order()
    house.settle(3)

    assert [(row.state, row.code) for row in house.rows] == [(BatchState.FAILED, NOT_OURS)]
    assert capsys.readouterr().out.count("settlement_not_ours") == 1
    assert house.pay("k2", 200)[0].state == "approved"
    assert not house.host.settled

    house.settings["settlement"] = terms
    house.restart()
    house.order()
    house.settle(3)
    assert [row.state for row in house.rows] == [BatchState.FAILED, BatchState.CLOSED]
    assert house.rows[-1].totals.debit_count == 2


def test_I13_an_order_for_a_terminal_of_another_node_is_that_node_s(capsys) -> None:
    """Whose configuration may have the section already: only the holder turns an order away."""
    house = House()
    without_section(house)
    house.pay("k1", 100)
    house.settlement.stop()
    elsewhere = {"icbc": lambda terminal: terminal != TERMINAL}
    job = Settlement(house.journal.batches, {}, house.engine, house.timeline, elsewhere)
    house.begin(job.start())
    house.order()
    house.settle(3)

    assert [row.state for row in house.rows] == [BatchState.ORDERED]


def test_I9_totals_that_are_committed_wait_for_the_section_to_come_back(capsys) -> None:
    """The bank may have closed the batch: it is not called failed, a person is told once, and with
    the section the settlement goes on."""
    house = House()
    terms = house.settings["settlement"]
    house.pay("k1", 100)
    house.host.says = [""]
    house.order()
    house.settle(3)
    without_section(house)
    house.settle(5)

    assert [row.state for row in house.rows] == [BatchState.SETTLING]
    assert capsys.readouterr().out.count("of a bank without section settlement") == 1
    house.settings["settlement"] = terms
    house.restart()
    house.settle(5)
    assert [row.state for row in house.rows] == [BatchState.CLOSED]
