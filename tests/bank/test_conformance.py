"""What every dialect's link must survive: one suite of faults, the same for all of them.

The channel is the product's, the bank the simulator's, the bytes real, the time virtual. Whatever
goes wrong, the bank's book and what the channel says agree: Done is one debit, Refused is none, and
after Unknown the reversal leaves none (I1, I9).
"""

import pytest

from channels.bank_simulator.habits import Name
from switch.model.outcome import Outcome
from tests.bank.cluster import Node
from tests.bank.dialects import NAMES
from tests.bank.rig import Peer, Rig, do, payment, sell, undo

BANK_TIMEOUT_S = 60
STEP_S = 0.05
AMOUNT_FEN = 12_345
SUSPECT = "A0"
"""Field 39 of the reversal of what was answered, but not proven."""


@pytest.fixture(params=NAMES)
def rig(request):
    """A signed-on channel and its bank, in one dialect."""
    return Rig(dialect=request.param)


def _pass(rig, seconds):
    """Time goes by in steps finer than any timer of ours."""
    rig.settle(seconds, steps=max(10, int(seconds / STEP_S)))


def _run(rig, coroutine, seconds=1):
    results = rig.begin(coroutine)
    _pass(rig, seconds)
    (result,) = results
    return result


def _net_fen(rig):
    return rig.host.debits()["net_fen"]


def _sold(rig, fault, seconds=BANK_TIMEOUT_S + 1, **more):
    """A sale that meets ``fault``; the payment with its facts, and the reply."""
    rig.habit(fault, **more)
    return _run(rig, sell(rig, payment(rig, amount_fen=AMOUNT_FEN)), seconds)


def _numbers(paid):
    facts = paid.legs[0].facts
    return facts["F42"], facts["F41"], facts["F11"]


def _reversed(rig, paid, by=None):
    """The reply to its reversal, given the time that links and keys need."""
    _pass(rig, 40)
    return _run(rig, (by or rig).channel.exchange(undo(paid), None), BANK_TIMEOUT_S + 1)


def test_a_sale_is_done_once_and_undone_once(rig):
    """The measure of the others: one debit; its reversal leaves none, however often it is said."""
    paid, reply = _run(rig, sell(rig, payment(rig, amount_fen=AMOUNT_FEN)))
    assert (reply.outcome, _net_fen(rig)) == (Outcome.DONE, AMOUNT_FEN)

    for _ in range(2):
        assert _reversed(rig, paid).outcome is Outcome.DONE
    assert _net_fen(rig) == 0


def test_I9_an_answer_that_was_lost_is_unknown_and_reversed(rig):
    """Booked, and nobody hears of it."""
    paid, reply = _sold(rig, Name.SILENT)
    assert (reply.outcome, _net_fen(rig)) == (Outcome.UNKNOWN, AMOUNT_FEN)

    assert _reversed(rig, paid).outcome is Outcome.DONE
    assert _net_fen(rig) == 0


def test_I9_a_request_that_was_lost_is_unknown_and_its_reversal_proves_nothing(rig):
    """25 is no end: the request may still be on its way (rule 9)."""
    paid, reply = _sold(rig, Name.LOSE)
    assert (reply.outcome, _net_fen(rig)) == (Outcome.UNKNOWN, 0)

    said = _reversed(rig, paid)
    assert (said.outcome, said.not_found) == (Outcome.UNKNOWN, True)


def test_I5_a_late_approval_finds_its_payment(rig):
    """It comes after the exchange had ended: handed in, never dropped."""
    paid, reply = _sold(rig, Name.LATE, delay_ms=(BANK_TIMEOUT_S + 5) * 1_000)
    assert (reply.outcome, rig.late_replies) == (Outcome.UNKNOWN, [])
    _pass(rig, 10)

    ((key, _leg, _attempt, late),) = rig.late_replies
    assert (key, late.outcome) == (paid.key, Outcome.DONE)
    assert _reversed(rig, paid).outcome is Outcome.DONE
    assert _net_fen(rig) == 0


def test_I8_a_duplicate_answer_changes_nothing(rig):
    """Said twice, heard once."""
    _, reply = _sold(rig, Name.DUPLICATE, delay_ms=2_000)
    _pass(rig, 5)

    assert (reply.outcome, _net_fen(rig), rig.late_replies) == (Outcome.DONE, AMOUNT_FEN, [])


@pytest.mark.parametrize("fault", [Name.WRONG_MAC, Name.WRONG_AMOUNT_ECHO, Name.WRONG_STAN])
def test_I10_an_answer_that_does_not_prove_itself_is_none(rig, fault):
    """A wrong MAC, a right MAC over another amount, an answer to nobody's question."""
    paid, reply = _sold(rig, fault)
    assert (reply.outcome, _net_fen(rig)) == (Outcome.UNKNOWN, AMOUNT_FEN)

    assert _reversed(rig, paid).outcome is Outcome.DONE
    assert _net_fen(rig) == 0


@pytest.mark.parametrize("fault", [Name.HALF_FRAME, Name.DROP_LINK])
def test_I9_a_link_that_breaks_within_an_answer_is_dialled_again(rig, fault):
    """Half a frame is no answer; the reversal leaves by the next link."""
    paid, reply = _sold(rig, fault)
    assert (reply.outcome, _net_fen(rig)) == (Outcome.UNKNOWN, AMOUNT_FEN)

    assert _reversed(rig, paid).outcome is Outcome.DONE
    assert _net_fen(rig) == 0


def test_an_answer_byte_by_byte_is_an_answer(rig):
    """A frame has its time, however slowly it comes."""
    _, reply = _sold(rig, Name.SLOW_DRIP, delay_ms=10)

    assert (reply.outcome, _net_fen(rig)) == (Outcome.DONE, AMOUNT_FEN)


def test_I3_after_a_restart_the_journal_is_enough_for_the_reversal(rig):
    """The process that sold is gone with its links and its memory; the next one reverses."""
    paid, _ = _sold(rig, Name.SILENT, seconds=BANK_TIMEOUT_S + 1)
    _run(rig, rig.channel.stop())
    successor = Peer(rig, Node(rig.database, rig.node.node))

    assert _reversed(rig, paid, successor).outcome is Outcome.DONE
    assert _net_fen(rig) == 0


def test_rule_16_a_reversal_goes_under_the_keys_of_today(rig):
    """The terminal has signed on anew between the sale and its reversal."""
    paid, _ = _sold(rig, Name.SILENT)
    before = rig.terminals[0].keys.generation
    for terminal in rig.terminals:
        terminal.want_sign_on("test")
    _pass(rig, 40)
    assert rig.terminals[0].keys.generation > before

    assert _reversed(rig, paid).outcome is Outcome.DONE
    assert _net_fen(rig) == 0


def test_rule_17_a_bank_that_lost_its_keys_gets_one_more_attempt(rig):
    """A0 while the sale is in flight: nothing is booked, new keys come, and a second attempt under
    a new number is taken."""
    paid, reply = _sold(rig, Name.FORGET_KEYS, seconds=5)
    assert (reply.outcome, reply.again, _net_fen(rig)) == (Outcome.REFUSED, True, 0)
    first = _numbers(paid)
    rig.channel.release(do(paid))
    _pass(rig, 40)

    again, reply = _run(rig, sell(rig, payment(rig, amount_fen=AMOUNT_FEN)))
    assert _numbers(again) != first
    assert (reply.outcome, _net_fen(rig)) == (Outcome.DONE, AMOUNT_FEN)


def test_rule_16_a_key_reset_in_flight_loses_nothing(rig):
    """The bank changes its keys while a sale is out: its answer is proven under the old keys or the
    new, and the reversal goes under the new."""
    paid, reply = _sold(rig, Name.RESET_KEYS, seconds=BANK_TIMEOUT_S + 1)
    assert (reply.outcome, _net_fen(rig)) == (Outcome.DONE, AMOUNT_FEN)

    assert _reversed(rig, paid).outcome is Outcome.DONE
    assert _net_fen(rig) == 0
