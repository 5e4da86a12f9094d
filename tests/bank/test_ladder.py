"""Rule 8: reversal, then void, then refund; each only after a definite refusal of the one before.

The whole house: engine, journal, the real channel, and the bank simulator with its true book.
"""

import msgspec
import pytest

from channels.bank_simulator.habits import Habit, Name, On
from channels.bank_simulator.habits import Order as HabitOrder
from channels.iso8583.config import UndoConfig
from switch.model.batch import BatchState
from switch.model.payment import LegState, Rest
from tests.bank.settlement_rig import House
from tests.engine.rig import DONE, REFUSED

LADDER = {"ladder": ["reversal", "void", "refund"]}
VOID_FIRST = LADDER | {"after_approval": "void"}


def habits(house: House, *which: tuple[Name, On, str]) -> None:
    """What the bank does wrong next."""
    wrong = tuple(Habit(habit=name, on=on, code=code) for name, on, code in which)
    house.host.habits.set(HabitOrder(next=wrong))


def pay_in_vain(house: House, key: str = "k1", wait_s: float = 5) -> None:
    """The bank approves, the hospital refuses: the debit must be undone."""
    house.his.script.extend([DONE, REFUSED])
    house.pay(key, 100, wait_s=wait_s)


def kinds(house: House) -> list[str]:
    """What left for the bank, by message type and processing code."""
    return [f"{one['mti']} {one['3'][:2]}" for one in house.host.sent]


def net_fen(house: House) -> int:
    """What stands in the bank's book."""
    return sum(entry.net_fen for entry in house.host.ledger.entries())


SALE, VOID, REFUND = "0200 00", "0200 20", "0220 20"
REVERSAL, VOID_REVERSAL = "0400 00", "0400 20"


def test_rule8_a_refused_reversal_is_followed_by_a_void() -> None:
    """The bank refuses the 冲正 for good: a 撤销 of the same batch takes the money back, under a
    number of its own, and the sale's facts stay the sale's."""
    house = House(undo=LADDER)
    habits(house, (Name.DECLINE, On.REVERSAL, "12"))
    pay_in_vain(house)

    assert kinds(house) == [SALE, REVERSAL, VOID]
    sale, _, void = house.host.sent
    assert void["11"] != sale["11"]
    assert void["61"][:12] == sale["60"][2:8] + sale["11"]
    assert (house.stored().rest, net_fen(house)) == (Rest.UNDONE, 0)
    facts = house.facts()
    assert (facts["F11"], facts["void_F11"]) == (sale["11"], void["11"])
    assert facts["undone_by"] == "void"


def test_rule8_a_refused_void_is_followed_by_a_refund() -> None:
    """Neither 冲正 nor 撤销: the 退货 gives the money back."""
    house = House(undo=LADDER)
    habits(house, (Name.DECLINE, On.REVERSAL, "12"), (Name.DECLINE, On.VOID, "12"))
    pay_in_vain(house)

    assert kinds(house) == [SALE, REVERSAL, VOID, REFUND]
    assert (house.stored().rest, net_fen(house)) == (Rest.UNDONE, 0)


def test_rule8_by_default_a_person_has_what_cannot_be_reversed() -> None:
    """No bank has said that void and refund may be sent by machine: a refused 冲正 is the end."""
    house = House()
    habits(house, (Name.DECLINE, On.REVERSAL, "12"))
    pay_in_vain(house)

    assert kinds(house) == [SALE, REVERSAL]
    assert house.stored().rest is Rest.EXCEPTION


def test_rule8_a_bank_that_reverses_after_a_time_out_only() -> None:
    """With an approval in hand the first rung is the void; without an answer it is the reversal."""
    house = House(undo=VOID_FIRST)
    pay_in_vain(house)
    assert kinds(house) == [SALE, VOID]

    habits(house, (Name.SILENT, On.SALE, ""))
    house.pay("k2", 100, wait_s=65)
    assert kinds(house)[2:] == [SALE, REVERSAL]
    assert [house.stored(key).rest for key in ("k1", "k2")] == [Rest.UNDONE, Rest.UNDONE]
    assert net_fen(house) == 0


def test_rule8_a_void_without_an_answer_is_itself_reversed() -> None:
    """The void may have worked or not: it is reversed by its own number, then sent anew."""
    house = House(undo=VOID_FIRST)
    habits(house, (Name.SILENT, On.VOID, ""))
    pay_in_vain(house, wait_s=200)

    assert kinds(house) == [SALE, VOID, VOID_REVERSAL, VOID]
    _, first, reversal, second = house.host.sent
    assert reversal["11"] == first["11"]
    assert reversal["61"][:12] == first["60"][2:8] + first["11"]
    assert second["11"] not in (first["11"], house.host.sent[0]["11"])
    assert (house.stored().rest, net_fen(house)) == (Rest.UNDONE, 0)


def test_rule8_a_refund_without_an_answer_waits_for_a_person() -> None:
    """A plain 0220 is sent once and never reversed, whatever came of it."""
    house = House(undo=LADDER)
    habits(
        house,
        (Name.DECLINE, On.REVERSAL, "12"),
        (Name.DECLINE, On.VOID, "12"),
        (Name.SILENT, On.REFUND, ""),
    )
    pay_in_vain(house, wait_s=400)

    assert kinds(house) == [SALE, REVERSAL, VOID, REFUND]
    assert house.stored().rest is Rest.EXCEPTION


def test_rule8_no_original_is_no_step_down() -> None:
    """25 to a void proves nothing: the void is said again, and no refund follows."""
    house = House(undo=VOID_FIRST)
    habits(house, (Name.DECLINE, On.VOID, "25"))
    pay_in_vain(house, wait_s=70)

    assert kinds(house) == [SALE, VOID, VOID]
    assert (house.stored().rest, net_fen(house)) == (Rest.UNDONE, 0)


def test_I1_no_refund_after_a_reversal_that_may_have_worked() -> None:
    """The first 冲正 worked and its answer was lost; the repeat is refused, and so is the void. A
    refund would give the money back twice: a person has it."""
    house = House(undo=LADDER)
    habits(
        house,
        (Name.SILENT, On.REVERSAL, ""),
        (Name.DECLINE, On.REVERSAL, "12"),
        (Name.DECLINE, On.VOID, "12"),
    )
    pay_in_vain(house, wait_s=200)

    assert kinds(house) == [SALE, REVERSAL, REVERSAL, VOID]
    assert (house.stored().rest, net_fen(house)) == (Rest.EXCEPTION, 0)


def test_rule17_a_void_refused_for_stale_keys_goes_again_under_a_new_number() -> None:
    """The bank has lost the terminal's keys (A0): after the new sign-on the void is sent anew."""
    house = House(undo=VOID_FIRST)
    habits(house, (Name.FORGET_KEYS, On.VOID, ""))
    pay_in_vain(house, wait_s=30)

    assert kinds(house) == [SALE, VOID, VOID]
    assert house.host.sent[1]["11"] != house.host.sent[2]["11"]
    assert house.host.counts["sign_on"] == 2
    assert (house.stored().rest, net_fen(house)) == (Rest.UNDONE, 0)


def test_I1_no_refund_after_a_void_whose_refusal_proved_nothing() -> None:
    """An A0 has no MAC: the void may have worked. Its repeat is refused, and no refund leaves."""
    house = House(undo=VOID_FIRST)
    habits(house, (Name.FORGET_KEYS, On.VOID, ""), (Name.DECLINE, On.VOID, "12"))
    pay_in_vain(house, wait_s=30)

    assert kinds(house) == [SALE, VOID, VOID]
    assert house.stored().rest is Rest.EXCEPTION


def test_I4_a_void_out_when_the_process_dies_is_reversed_by_the_next() -> None:
    """Its number was committed before it was sent: the next process reverses it by that."""
    house = House(undo=VOID_FIRST)
    habits(house, (Name.SILENT, On.VOID, ""))
    pay_in_vain(house)
    assert house.stored().legs[1].state is LegState.UNDOING
    house.restart()
    house.settle(300)

    assert kinds(house) == [SALE, VOID, VOID_REVERSAL, VOID]
    assert (house.stored().rest, net_fen(house)) == (Rest.UNDONE, 0)


def test_rule19_a_void_under_way_is_let_into_the_batch_that_waits_for_it() -> None:
    """The settlement is ordered while the bank refuses the reversal: the void goes by the batch,
    which then has a debit and a credit, as the bank has."""
    house = House(undo=LADDER)
    house.his.script.extend([DONE, REFUSED])
    habits(house, (Name.LOSE, On.REVERSAL, ""), (Name.DECLINE, On.REVERSAL, "12"))
    house.pay("k1", 100, wait_s=30)
    house.pay("k2", 250)
    assert house.stored().rest is None
    house.order()
    house.settle(60)

    assert kinds(house)[-1] == VOID
    assert house.host.settled[0]["48"][:30] == "000000000350002" + "000000000100001"
    assert [(row.state, row.result) for row in house.rows] == [(BatchState.CLOSED, "balanced")]


def test_rule19_after_the_settlement_the_refund_is_of_the_batch_of_its_day() -> None:
    """What comes back after its batch was settled cannot be reversed any more; the void is refused
    by the bank, and the refund counts in the batch that it is sent in."""
    house = House(undo=LADDER)
    house.pay("k1", 100)
    house.order()
    house.settle(5)
    habits(house, (Name.DECLINE, On.VOID, "12"))
    house.begin(house.engine.reverse("h1", "t1", "k1", settled=True))
    house.settle(5)
    house.pay("k2", 70)
    house.order()
    house.settle(5)

    assert kinds(house) == [SALE, VOID, REFUND, SALE]
    assert (house.stored().rest, net_fen(house)) == (Rest.UNDONE, 70)
    assert house.host.settled[1]["48"][:30] == "000000000070001" + "000000000100001"
    assert house.rows[1].result == "balanced"


@pytest.mark.parametrize(
    ("undo", "rule"),
    [
        ({"ladder": ["void"]}, "begins with reversal"),
        ({"ladder": ["reversal", "refund", "void"]}, "in this order"),
        ({"ladder": ["reversal"], "after_approval": "void"}, "void is not in undo.ladder"),
        ({"ladder": ["reversal", "unlock"]}, "of reversal, void, refund"),
    ],
)
def test_a_ladder_that_is_none_is_refused(undo: dict[str, object], rule: str) -> None:
    """`conf check` names the key and the rule."""
    with pytest.raises(msgspec.ValidationError, match=rule):
        msgspec.convert(undo, UndoConfig, strict=False)
