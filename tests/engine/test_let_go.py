"""What a node lets go of is not lost: late answers, approvals in the queue, payments (I5, I13)."""

from typing import Any

import pytest
from msgspec.structs import replace

from switch.model.answer import AnswerState
from switch.model.payment import LegState, Rest, Rung, RungKind
from switch.ports import JournalDown
from tests.engine.rig import DONE, HOLD, NOT_FOUND, REFUSED, UNKNOWN, House, Scripted


def stalled(house: House) -> None:
    """k1's sale is out, and the node's lease has run out."""
    house.beating = False
    house.bank.script.append(Scripted.HANG)
    house.pay()
    house.pass_s(31)


def taken_over(old: House) -> House:
    """node-b drives k1 now; every reversal of it is answered 25."""
    new = House("node-b", old.town)
    new.bank.script.extend([NOT_FOUND, NOT_FOUND, NOT_FOUND])
    new.run(new.engine.recover())
    return new


def test_I13_what_another_node_finished_is_not_kept_in_memory() -> None:
    """The old driver asks for its payment again; finding it at rest, it drops it, so that later
    answers come from the journal and not from a stale copy (I7)."""
    old = House("node-a")
    stalled(old)
    new = House("node-b", old.town)
    new.run(new.engine.recover())
    new.pass_s(31)
    old.bank.sent[0].reply.callback(DONE)
    old.beating = True
    old.pass_s(15)
    assert new.stored().rest is Rest.UNDONE
    assert old.engine.live() == ()


def test_I5_a_late_approval_whose_driver_could_not_be_had_is_taken_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The database goes away between reading the record and claiming its payment."""
    house = House()
    house.bank.script.extend([UNKNOWN, NOT_FOUND, NOT_FOUND, NOT_FOUND])
    house.pay()
    house.pass_s(720)
    assert house.stored().legs[1].state is LegState.UNPROVEN

    async def away(_key: str) -> Any:
        raise JournalDown("away")

    with monkeypatch.context() as patch:
        patch.setattr(house.journal, "claim", away)
        house.late()
    house.run(house.engine.take_late())
    house.pass_s(5)
    assert house.stored().legs[1].state is LegState.UNDONE


def test_I5_a_late_approval_older_than_one_seen_already_is_taken() -> None:
    """k1's was recorded while another node drove it, and that node died; k2's came after it."""
    old = House("node-a")
    stalled(old)
    old.journal.renew()
    old.run(old.journal.record_late("k1", b'{"leg":1,"attempt":1,"reply":{"outcome":"done"}}'))
    new = House("node-b", old.town)
    new.pay("k2")
    new.engine.late("k2", 1, 1, DONE)
    new.settle()
    new.pass_s(31)
    new.bank.script.extend([NOT_FOUND, NOT_FOUND, NOT_FOUND])
    assert new.run(new.engine.recover()).value == 1
    new.pass_s(700)
    new.run(new.engine.take_late())
    new.pass_s(5)
    assert new.stored().legs[1].state is LegState.UNDONE


def test_I5_an_approval_that_waits_for_its_decision_is_handed_on() -> None:
    """It came while the deadline was being committed, and that commit lost to another node."""
    old = House("node-a")
    stalled(old)
    new = taken_over(old)
    old.pass_s(88)
    old.faults.slow_ms = 2_000
    old.pass_s(1.5)
    old.bank.sent[0].reply.callback(DONE)
    old.pass_s(5)
    assert [key for _, key, _ in old.town.database.late] == ["k1"]
    new.pass_s(700)
    new.run(new.engine.take_late())
    new.pass_s(5)
    assert new.stored().legs[1].state is LegState.UNDONE


def test_I7_never_seen_is_said_only_when_the_tombstone_stands() -> None:
    """A process whose name was taken writes nothing, so it must not say "not charged"."""
    old = House("node-a")
    House("node-a", old.town)
    outcome = old.run(old.engine.query("h1", "t1", "k9"))
    assert isinstance(outcome.value.value, JournalDown)
    assert "k9" not in old.town.database.rows
    assert House("node-b", old.town).ask("k9").state is AnswerState.UNKNOWN_KEY


def test_I3_a_reversal_beside_an_exception_is_repeated_after_a_restart() -> None:
    """The unlock was refused, so a person has it; then the sale's late approval came, and its
    reversal was out when the process died."""
    hold = replace(HOLD, lapses=False, ladder=(Rung(RungKind.UNLOCK),))
    house = House(hold=hold)
    house.his.script.extend([DONE, REFUSED])
    house.bank.script.extend([UNKNOWN, NOT_FOUND, NOT_FOUND, NOT_FOUND])
    house.pay()
    house.pass_s(720)
    assert house.stored().rest is Rest.EXCEPTION
    house.bank.script.append(Scripted.HANG)
    house.late()
    house.pass_s(1)
    assert house.stored().legs[1].state is LegState.UNDOING
    house.journal.crash()
    again = House("node-a", house.town, hold=hold)
    again.run(again.engine.recover())
    again.pass_s(15)
    assert again.bank.verbs() == ["reversal"]
    assert again.stored().legs[1].state is LegState.UNDONE
