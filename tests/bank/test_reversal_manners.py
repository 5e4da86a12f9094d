"""Reversals: marked repeats, per-terminal order, a lane of their own (I3)."""

import pytest
from msgspec.structs import replace

from channels.bank_simulator.habits import Habit, Name, On
from channels.bank_simulator.habits import Order as HabitOrder
from channels.iso8583.load import load_dialect
from channels.iso8583.reversal import reversal_mti
from switch.model.outcome import Outcome
from switch.observe import metrics
from tests.bank.rig import SETTINGS, Rig, payment, sell, undo

ONE = [SETTINGS["terminals"][0]]
ROOMY = [{**SETTINGS["terminals"][0], "in_flight": 64}]


def approved(rig, key):
    """A sale that stands."""
    paid, reply = rig.run(sell(rig, payment(rig, key)))
    assert reply.outcome is Outcome.DONE
    rig.channel.release(undo(paid))
    return paid


def to_undo(paid, sent_at=0, undos=1):
    """The order of its reversal, as the engine gives it."""
    leg = replace(paid.legs[0], sent_at=sent_at, undos=undos)
    return undo(replace(paid, legs=(leg,)))


def silent(rig, on, times):
    rig.host.habits.set(HabitOrder(next=(Habit(habit=Name.SILENT, on=on, times=times),)))


@pytest.mark.parametrize(
    ("dialect", "first", "repeat"),
    [("cups-host", "0420", "0421"), ("gz-ascii", "0420", "0420"), ("cup-pos", "0400", "0400")],
)
def test_a_bank_that_marks_repeats_gets_them_marked(dialect, first, repeat):
    """From the second try on the dialect's own type, where it has one; both are MACed."""
    loaded = load_dialect(dialect)
    leg = payment(Rig(terminals=ONE), "p1").legs[0]

    types = [reversal_mti(loaded, replace(leg, undos=tries)) for tries in (1, 2, 9)]
    assert types == [first, repeat, repeat]
    assert {loaded.mtis[mti].maced for mti in types} == {True}


def test_cup_pos_repeats_the_identical_message():
    """A dialect without a mark: the same type, however often."""
    rig = Rig(terminals=ONE)
    paid = approved(rig, "p1")
    assert rig.run(rig.channel.exchange(to_undo(paid, undos=7), None)).outcome is Outcome.DONE


def test_of_one_terminal_the_oldest_goes_first_and_no_other_terminal_waits():
    """A terminal that takes one payment at a time reverses one at a time: three reversals of it go
    by the age of their sales, while the other terminal's goes at once."""
    rig = Rig()
    sales = [approved(rig, f"p{n}") for n in range(4)]
    names = [paid.legs[0].facts["F41"] for paid in sales]
    mine = [paid for paid, name in zip(sales, names, strict=True) if name == names[0]]
    other = next(paid for paid, name in zip(sales, names, strict=True) if name != names[0])
    late = replace(mine[1], key="late")
    rig.host.habits.set(HabitOrder(next=(Habit(habit=Name.LATE, on=On.REVERSAL, delay_ms=1_000),)))

    first = rig.begin(rig.channel.exchange(to_undo(mine[0], sent_at=5), None))
    second = rig.begin(rig.channel.exchange(to_undo(late, sent_at=9), None))
    third = rig.begin(rig.channel.exchange(to_undo(mine[1], sent_at=7), None))
    aside = rig.begin(rig.channel.exchange(to_undo(other, sent_at=9), None))
    rig.settle(0.5)
    assert (len(first), len(second), len(third), len(aside)) == (0, 0, 0, 1)
    rig.settle(1)
    assert [one[0].outcome for one in (first, third, second)] == [Outcome.DONE] * 3


def test_I3_who_finds_no_place_in_time_is_not_sent_and_not_forgotten():
    """The terminal's one place is taken by a reversal without an answer: the next is NotSent after
    the wait, which the payment machine repeats."""
    rig = Rig(terminals=ONE)
    sales = [approved(rig, f"p{n}") for n in range(2)]
    silent(rig, On.REVERSAL, 1)
    first = rig.begin(rig.channel.exchange(to_undo(sales[0]), None))
    second = rig.run(rig.channel.exchange(to_undo(sales[1]), None), seconds=3.1)

    assert (second.outcome, first) == (Outcome.NOT_SENT, [])
    rig.settle(60)
    assert first[0].outcome is Outcome.UNKNOWN
    again = rig.run(rig.channel.exchange(to_undo(sales[1], undos=2), None))
    assert again.outcome is Outcome.DONE


def test_I3_64_sales_without_an_answer_hold_up_no_reversal():
    """All places of the sales are taken: reversals go in places of their own, and are counted."""
    rig = Rig(terminals=ROOMY)
    old = [approved(rig, f"old{n}") for n in range(3)]
    silent(rig, On.SALE, 64)
    stuck = [rig.begin(sell(rig, payment(rig, f"p{n}"))) for n in range(64)]
    rig.settle(1)
    assert not any(stuck)
    full = rig.begin(rig.channel.prepare(undo(payment(rig, "p65")), None))
    before = _sample("yyt_reversals_sent_total", attempt="first")

    replies = [rig.run(rig.channel.exchange(to_undo(paid), None)) for paid in old]
    assert [reply.outcome for reply in replies] == [Outcome.DONE] * 3
    assert _sample("yyt_reversals_sent_total", attempt="first") == before + 3
    assert full == [None]


def _sample(name, **labels):
    return metrics.REGISTRY.get_sample_value(name, {"bank": "icbc", **labels}) or 0


def test_I3_a_reversal_of_a_terminal_out_of_the_configuration_says_so(capsys):
    """Its text is its own, one alarm for the terminal; once it is back the reversal goes out."""
    rig = Rig(terminals=ONE)
    paid = approved(rig, "p1")
    kept = dict(rig.channel._bank.terminals)
    rig.channel._bank.terminals.clear()

    for undos in (1, 2):
        reply = rig.run(rig.channel.exchange(to_undo(paid, undos=undos), None))
        assert (reply.outcome, reply.text) == (Outcome.NOT_SENT, "冲正待发:终端不在配置中")
    out = capsys.readouterr().out
    assert out.count("text='an undo waits for a terminal that is not configured'") == 1
    rig.channel._bank.terminals.update(kept)
    assert rig.run(rig.channel.exchange(to_undo(paid, undos=3), None)).outcome is Outcome.DONE
