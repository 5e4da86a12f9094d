"""Rule 8: reversal, then void, then refund; each only after a definite refusal of the one before.

The whole house: engine, journal, the real channel, and the bank simulator with its true book.
"""

from pathlib import Path

import msgspec
import pytest
import yaml
from twisted.internet.defer import Deferred

from channels.bank_simulator.habits import Habit, Name, On
from channels.bank_simulator.habits import Order as HabitOrder
from channels.iso8583.config import Config, UndoConfig
from channels.iso8583.load import read_source
from switch.model.batch import BatchState
from switch.model.payment import LegState, Rest
from tests.bank.rig import SETTINGS, card
from tests.bank.settlement_rig import House
from tests.engine.rig import DONE, REFUSED, request

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


def test_I3_a_void_barred_without_numbers_is_not_reversed_for_ever() -> None:
    """Its batch is settled, so it is refused unsent and takes no numbers; the process dies before
    that refusal is durable. The next has nothing to reverse, and a person has the payment."""
    house = House(undo=LADDER)
    house.pay("k1", 100)
    house.order()
    house.settle(5)
    house.channel._undo_by_message = lambda *_: Deferred()
    house.begin(house.engine.reverse("h1", "t1", "k1", settled=True))
    house.settle(5)
    assert "void_F11" not in house.stored().legs[1].facts
    house.restart()
    house.settle(200)

    assert kinds(house) == [SALE]
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


@pytest.mark.parametrize("code", ["22", "99"])
def test_rule8_a_void_refused_for_want_of_a_sign_on_is_said_again(code: str) -> None:
    """The bank has not refused the void for good."""
    house = House(undo=VOID_FIRST)
    habits(house, (Name.DECLINE, On.VOID, code))
    pay_in_vain(house, wait_s=30)

    assert kinds(house) == [SALE, VOID, VOID]
    assert (house.stored().rest, net_fen(house)) == (Rest.UNDONE, 0)


def test_I1_a_busy_bank_may_have_made_the_void() -> None:
    """91 proves nothing of the void: it is reversed, then sent anew, and no refund follows."""
    house = House(undo=VOID_FIRST)
    habits(house, (Name.DECLINE, On.VOID, "91"), (Name.DECLINE, On.VOID, "12"))
    pay_in_vain(house, wait_s=200)

    assert kinds(house) == [SALE, VOID, VOID_REVERSAL, VOID]
    assert house.stored().rest is Rest.EXCEPTION


def test_rule8_a_refund_that_a_busy_bank_refuses_is_not_repeated() -> None:
    """It may have been paid: a person asks."""
    house = House(undo=LADDER)
    no = [(Name.DECLINE, on, "12") for on in (On.REVERSAL, On.VOID)]
    habits(house, *no, (Name.DECLINE, On.REFUND, "91"))
    pay_in_vain(house, wait_s=400)

    assert kinds(house) == [SALE, REVERSAL, VOID, REFUND]
    assert house.stored().rest is Rest.EXCEPTION


def test_rule9_a_void_that_was_lost_is_sent_anew() -> None:
    """The bank never had it, so its reversal finds no original (25) as often as it is said."""
    house = House(undo=VOID_FIRST)
    habits(house, (Name.LOSE, On.VOID, ""))
    pay_in_vain(house, wait_s=2_000)

    assert kinds(house) == [SALE, VOID, *[VOID_REVERSAL] * 3, VOID]
    assert (house.stored().rest, net_fen(house)) == (Rest.UNDONE, 0)


def test_I11_a_void_that_waits_for_its_next_try_keeps_no_terminal() -> None:
    """25 to a void: until it is said again, sales go by the terminal."""
    house = House(undo=VOID_FIRST)
    habits(house, (Name.DECLINE, On.VOID, "25"))
    pay_in_vain(house, wait_s=2)
    house.pay("k2", 70)

    assert kinds(house) == [SALE, VOID, SALE]
    assert house.stored("k2").rest is Rest.DONE


def test_I11_voids_in_line_keep_no_sale_out() -> None:
    """Two may wait of either, each in its turn."""
    house = House(undo=VOID_FIRST)
    house.pay("k1", 10)
    house.pay("k2", 20)
    terminal = next(iter(house.channel._bank.terminals.values()))
    terminal.leases += 1
    answers = [
        house.begin(house.engine.start(request(key, amount_fen=30), card())) for key in ("s1", "s2")
    ]
    for key in ("k1", "k2"):
        house.begin(house.engine.reverse("h1", "t1", key, settled=True))
    house.settle(0.5)
    answers.append(house.begin(house.engine.start(request("s3", amount_fen=30), card())))
    house.settle(0.5)
    terminal.leases -= 1
    house.channel._pool.serve()
    house.settle(5)

    assert kinds(house) == [SALE, SALE, SALE, SALE, VOID, VOID]
    assert [answer.state for [answer] in answers] == ["approved", "approved", "declined"]


def test_I3_a_void_without_its_terminal_calls_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    """The terminal was taken out of the configuration: the void waits, and says so once."""
    house = House(undo=VOID_FIRST)
    house.pay("k1", 100)
    house.settings = {**house.settings, "terminals": SETTINGS["terminals"][1:2]}
    house.restart()
    house.begin(house.engine.reverse("h1", "t1", "k1", settled=True))
    house.settle(60)

    assert house.stored().rest is None
    assert capsys.readouterr().out.count("] alarm ") == 1


def test_rule19_a_void_waits_while_its_batch_is_compared() -> None:
    """The totals are committed and the bank is silent: nothing comes into the batch any more, and
    what the hospital said meanwhile is not lost (I4). After the settlement a refund is due."""
    house = House(undo=VOID_FIRST)
    house.pay("k1", 100)
    house.pay("k2", 250)
    house.host.says = ["", ""]
    house.order()
    house.settle(5)
    calls = len(house.his.sent)
    house.begin(house.engine.reverse("h1", "t1", "k1", settled=True))
    house.settle(60)
    assert kinds(house) == [SALE, SALE]
    assert len(house.his.sent) == calls + 1
    house.settle(400)

    assert kinds(house) == [SALE, SALE, REFUND]
    assert (house.stored().rest, net_fen(house)) == (Rest.UNDONE, 250)
    assert [(row.state, row.result) for row in house.rows] == [(BatchState.CLOSED, "balanced")]


def test_I8_no_news_is_lost_for_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database takes no number for the void: that the hospital cancelled is kept, and the void
    goes later."""
    house = House(undo=VOID_FIRST)
    house.pay("k1", 100)
    calls = len(house.his.sent)
    with monkeypatch.context() as shut:
        shut.setattr(house.database.batches, "shut", lambda *_: True)
        house.begin(house.engine.reverse("h1", "t1", "k1", settled=True))
        house.settle(0.5)
        assert (kinds(house), len(house.his.sent)) == ([SALE], calls + 1)
    house.settle(30)

    assert (kinds(house), len(house.his.sent)) == ([SALE, VOID], calls + 1)
    assert house.stored().rest is Rest.UNDONE


def test_rule19_after_the_settlement_the_refund_is_of_the_batch_of_its_day() -> None:
    """What comes back after its batch was settled can be neither reversed nor voided any more: the
    refund counts in the batch that it is sent in."""
    house = House(undo=LADDER)
    house.pay("k1", 100)
    house.order()
    house.settle(5)
    house.begin(house.engine.reverse("h1", "t1", "k1", settled=True))
    house.settle(5)
    house.pay("k2", 70)
    house.order()
    house.settle(5)

    assert kinds(house) == [SALE, REFUND, SALE]
    assert (house.stored().rest, net_fen(house)) == (Rest.UNDONE, 70)
    assert house.host.settled[1]["48"][:30] == "000000000070001" + "000000000100001"
    assert house.rows[1].result == "balanced"


@pytest.mark.parametrize(
    ("undo", "rule"),
    [
        ({"ladder": ["void"]}, "begins with reversal"),
        ({"ladder": ["reversal", "refund", "void"]}, "in this order"),
        ({"ladder": ["reversal"], "after_approval": "void"}, "void is not in undo.ladder"),
        ({"ladder": ["reversal", "unlock"]}, "unlock"),
        ({"ladder": ["reversal", "void", "refund"], "after_approval": "refund"}, "refund"),
    ],
)
def test_a_ladder_that_is_none_is_refused(undo: dict[str, object], rule: str) -> None:
    """`conf check` names the key and the rule."""
    with pytest.raises(msgspec.ValidationError, match=rule):
        msgspec.convert(undo, UndoConfig, strict=False)


def test_a_ladder_that_begins_with_a_void_needs_one(tmp_path: Path) -> None:
    """A dialect without void: `conf check` says so, before the first approval is to be undone."""
    without = yaml.safe_load(read_source("cup-pos"))
    del without["operations"]["void"]
    file = tmp_path / "no-void.yaml"
    file.write_text(yaml.safe_dump(without, allow_unicode=True))
    settings = {**SETTINGS, "dialect": str(file), "undo": VOID_FIRST}

    with pytest.raises(msgspec.ValidationError, match=r"after_approval: dialect .* has no void"):
        msgspec.convert(settings, Config, strict=False)
