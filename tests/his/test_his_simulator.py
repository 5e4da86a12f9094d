"""Goal: the simulated HIS keeps its books through kill -9, and its bad habits are what they say."""

import json
import urllib.error
from pathlib import Path
from typing import Any

import pytest

from his_bridge.policy import Level
from his_bridge.simulator import ledger_of
from his_bridge.simulator_habits import Habit, Mode
from switch.model.operation import Operation
from switch.model.outcome import Outcome, Verb
from switch.model.payment import LegKind
from tests.his.processes import Process
from tests.his.rig import World, order_for


def paid_once(world: World, level: Level, mode: Mode = Mode.NONE, delay_ms: int = 0) -> Any:
    """One confirm under a habit: (reply, wire, hospital, order)."""
    wire = world.simulator(level)
    wire.habits.put(Habit(mode=mode, count=1, delay_ms=delay_ms))
    bill = wire.host.ledger.unpaid("P1")[0]
    hospital = world.hospital(level=level)
    order = order_for(hospital, LegKind.BOOK, bill=bill.bill, amount_fen=bill.amount_fen)
    return world.exchange(hospital, order), wire, hospital, order


@pytest.mark.parametrize(
    ("mode", "outcome", "booked"),
    [
        (Mode.NONE, Outcome.DONE, 1),
        (Mode.REFUSE, Outcome.REFUSED, 0),
        (Mode.SILENT, Outcome.UNKNOWN, 0),
        (Mode.BOOK_THEN_SILENT, Outcome.UNKNOWN, 1),
        (Mode.ERROR_500, Outcome.UNKNOWN, 0),
        (Mode.BOOK_THEN_500, Outcome.UNKNOWN, 1),
        (Mode.FAULT, Outcome.UNKNOWN, 0),
        (Mode.EMPTY_BODY, Outcome.UNKNOWN, 1),
        (Mode.HTML, Outcome.UNKNOWN, 1),
        (Mode.INVALID_XML, Outcome.UNKNOWN, 1),
        (Mode.GBK_LIE, Outcome.UNKNOWN, 1),
        (Mode.HUGE_REPLY, Outcome.UNKNOWN, 1),
        (Mode.HALF_REPLY, Outcome.UNKNOWN, 1),
        (Mode.DROP_CONNECTION, Outcome.UNKNOWN, 1),
    ],
)
def test_habit_does_what_it_says(world: World, mode: Mode, outcome: Outcome, booked: int) -> None:
    """Goal: each habit's outcome at our side and its truth in the ledger; the next call is good."""
    reply, wire, hospital, order = paid_once(world, Level.L3, mode)

    assert reply.outcome is outcome
    assert len(wire.host.ledger.bookings()) == booked
    assert world.exchange(hospital, order).outcome is Outcome.DONE
    assert len(ledger_of(wire)["bookings"]) == 1


def deposit(hospital: Any, patient: str = "P1", key: str = "K1", verb: Verb = Verb.DO) -> Any:
    """An inpatient's deposit: a booking for no bill."""
    return order_for(
        hospital,
        LegKind.BOOK,
        verb,
        key=key,
        bill="",
        patient=patient,
        held=False,
        operation=Operation.DEPOSIT,
    )


def test_I2_a_deposit_is_booked_once_without_a_bill_and_taken_back_by_key(world: World) -> None:
    """Goal: the same key twice books once; a query finds it; a cancel tombstones it."""
    wire = world.simulator(Level.L3)
    hospital = world.hospital(level=Level.L3)

    replies = [world.exchange(hospital, deposit(hospital)) for _ in range(2)]

    assert [reply.outcome for reply in replies] == [Outcome.DONE] * 2
    assert replies[0].facts["his_receipt"] == replies[1].facts["his_receipt"]
    assert [row.bill for row in wire.host.ledger.bookings()] == [""]
    assert world.exchange(hospital, deposit(hospital, verb=Verb.ASK)).outcome is Outcome.DONE
    assert world.exchange(hospital, deposit(hospital, verb=Verb.UNDO)).outcome is Outcome.DONE
    assert world.exchange(hospital, deposit(hospital)).outcome is Outcome.REFUSED
    assert [row.state for row in wire.host.ledger.bookings()] == ["cancelled"]


def test_a_deposit_of_somebody_who_is_not_in_the_wards_is_refused(world: World) -> None:
    """Goal: a definite no, with the profile's sentence."""
    world.simulator(Level.L3)
    hospital = world.hospital(level=Level.L3)

    reply = world.exchange(hospital, deposit(hospital, patient="9001"))

    assert (reply.outcome, reply.code) == (Outcome.REFUSED, "2011")


def test_slow_answer_and_late_booking(world: World) -> None:
    """Goal: *slow* books at once and answers late; *slow_booking* books when nobody waits."""
    reply, wire, *_ = paid_once(world, Level.L3, Mode.SLOW, 3_000)
    assert reply.outcome is Outcome.DONE
    assert world.net.seconds() >= 3

    reply, wire, *_ = paid_once(world, Level.L3, Mode.SLOW_BOOKING, 20_000)
    assert reply.outcome is Outcome.UNKNOWN
    assert wire.host.ledger.bookings() == []
    world.net.run(15)
    assert len(wire.host.ledger.bookings()) == 1


@pytest.mark.parametrize(("level", "rows"), [(Level.L1, 2), (Level.L2, 2), (Level.L3, 1)])
def test_I2_weak_hospital_books_a_repeated_key_twice(world: World, level: Level, rows: int) -> None:
    """Goal: the trap that the levels are there to avoid is real in the simulator."""
    _reply, wire, hospital, order = paid_once(world, level)
    world.exchange(hospital, order)

    assert len(wire.host.ledger.bookings()) == rows


@pytest.mark.parametrize(
    ("level", "ask", "undo"),
    [
        (Level.L1, Outcome.UNKNOWN, Outcome.UNKNOWN),
        (Level.L2, Outcome.DONE, Outcome.UNKNOWN),
        (Level.L3, Outcome.DONE, Outcome.DONE),
    ],
)
def test_level_decides_what_is_offered(
    world: World, level: Level, ask: Outcome, undo: Outcome
) -> None:
    """Goal: query from L2, cancel at L3."""
    _reply, wire, hospital, _order = paid_once(world, level)

    def again(verb: Verb) -> Outcome:
        bill = wire.host.ledger.bookings()[0]
        made = order_for(hospital, LegKind.BOOK, verb, bill=bill.bill, amount_fen=bill.amount_fen)
        return world.exchange(hospital, made).outcome

    assert again(Verb.ASK) is ask
    assert again(Verb.UNDO) is undo


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"key": "K2"}, "not_ours"),
        ({"key": "K2", "bill": "BP1-9"}, "2001"),
        ({"amount_fen": 1}, "2008"),
    ],
)
def test_simulator_refuses_what_a_hospital_refuses(
    world: World, changes: dict[str, Any], code: str
) -> None:
    """Goal: a bill paid under another key, an unknown bill, another amount under the same key."""
    _reply, _wire, hospital, order = paid_once(world, Level.L3)
    values = {"bill": order.payment.bill, "amount_fen": order.leg.amount_fen} | changes

    reply = world.exchange(hospital, order_for(hospital, LegKind.BOOK, **values))

    assert reply.code == code


def test_bill_held_for_one_key_is_refused_to_another_until_it_lapses(world: World) -> None:
    """Goal: a hold is exclusive for ten minutes."""
    wire = world.simulator()
    bill = wire.host.ledger.unpaid("P1")[0]
    hospital = world.hospital()

    def hold(key: str) -> str:
        order = order_for(
            hospital, LegKind.HOLD, key=key, bill=bill.bill, amount_fen=bill.amount_fen
        )
        return str(world.exchange(hospital, order).code)

    assert hold("K1") == hold("K1") == "0"
    assert hold("K2") == "2004"
    world.net.run(601)
    assert hold("K2") == "0"


def test_I2_answered_bookings_survive_kill_9(tmp_path: Path) -> None:
    """Goal: whatever was answered is in the ledger after a kill, three times over."""
    answered = 0
    for round_number in range(3):
        process = Process(tmp_path / "his.db")
        try:
            body = json.dumps({"patient": "P5", "count": 5}).encode()
            for bill in json.loads(process.post(f"{process.http}/bills", body))["bills"]:
                answer = process.confirm(f"K{round_number}-{bill['bill']}", bill)
                assert b"ERRNO&gt;0&lt;" in answer
                answered += bill["amount_fen"]
        finally:
            process.kill()
    process = Process(tmp_path / "his.db")
    try:
        ledger = process.get("/ledger")
        habits = process.post(f"{process.http}/habits", b'{"mode": "silent", "count": 1}')
        with pytest.raises(urllib.error.HTTPError, match="400"):
            process.post(f"{process.http}/habits", b'{"mode": "polite"}')
    finally:
        process.kill()

    assert ledger["booked_fen"] == answered
    assert len(ledger["bookings"]) == 15
    assert set(ledger["bookings"][0]) == {"key", "bill", "patient", "amount_fen", "state"}
    assert json.loads(habits)["habits"][0]["mode"] == "silent"
