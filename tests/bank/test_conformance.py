"""What every dialect's link must survive: one suite of faults, the same for all of them.

The channel is the product's, the bank the simulator's, the bytes real, the time virtual. Whatever
goes wrong, the bank's book and what the channel says agree: Done is one debit, Refused is none, and
after Unknown the reversal leaves none (I1, I9).
"""

import pytest

from channels.bank_simulator.habits import Name
from switch.model.outcome import Outcome
from switch.observe import metrics
from tests.bank.cluster import Node
from tests.bank.dialects import CODECS, NAMES, with_key_resets
from tests.bank.rig import MERCHANT, SETTINGS, Peer, Rig, do, payment, sell, undo

BANK_TIMEOUT_S = 60
HELD_S = 3
"""How long a bank holds a sale while keys change."""
PUSHING = [name for name in NAMES if "key_reset" in CODECS[name].dialect.network]
"""Dialects in which the bank sends keys by itself."""
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


def _only(results):
    assert len(results) == 1
    return results[0]


def _run(rig, coroutine, seconds=1):
    results = rig.begin(coroutine)
    _pass(rig, seconds)
    return _only(results)


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


# ---- keys that change while a sale is in flight --------------------------------------------------


def with_one_terminal(dialect):
    """With one logical terminal, so that whatever is sold goes under the keys that change."""
    return Rig(dialect=str(dialect), terminals=SETTINGS["terminals"][:1])


@pytest.fixture(params=NAMES)
def alone(request):
    """One signed-on terminal and its bank, in one dialect."""
    return with_one_terminal(request.param)


def _held(rig, seconds=HELD_S):
    """A sale is at the bank, which answers it after so long; the list gets its result."""
    rig.habit(Name.LATE, delay_ms=seconds * 1_000)
    selling = rig.begin(sell(rig, payment(rig, amount_fen=AMOUNT_FEN)))
    rig.settle()
    assert (selling, _net_fen(rig)) == ([], AMOUNT_FEN)
    return selling


def _generation(rig):
    """Of the keys in use, and they are the stored ones."""
    terminal = rig.terminals[0]
    assert terminal.keys == rig.key_rows[terminal.session.identity]
    return terminal.keys.generation


def _mac_failures():
    return metrics.MAC_FAILURES.labels("icbc")._value.get()


def _sells_and_reverses_under_new_keys(rig, paid):
    """The next sale is of the new generation, and the bank takes it and both reversals."""
    old = paid.legs[0].facts["key_generation"]
    rig.channel.release(do(paid))
    _pass(rig, 1)
    another, reply = _run(rig, sell(rig, payment(rig, "another", AMOUNT_FEN)))
    assert (reply.outcome, _net_fen(rig)) == (Outcome.DONE, 2 * AMOUNT_FEN)
    assert another.legs[0].facts["key_generation"] == str(_generation(rig)) != old

    for one in (paid, another):
        assert _reversed(rig, one).outcome is Outcome.DONE
    assert _net_fen(rig) == 0


def test_rule_16_a_new_sign_on_waits_for_the_sale_in_flight(alone):
    """Asked for while the bank holds a sale: the keys change when the sale is answered and not
    before, its answer is proven, and what comes next goes under the new ones, both ways."""
    rig = alone
    before, failures = _generation(rig), _mac_failures()
    selling = _held(rig)
    rig.terminals[0].want_sign_on("test")
    _pass(rig, HELD_S - 0.5)
    assert (selling, _generation(rig), rig.host.counts["sign_on"]) == ([], before, 1)

    _pass(rig, 1)

    paid, reply = _only(selling)
    assert (reply.outcome, _net_fen(rig)) == (Outcome.DONE, AMOUNT_FEN)
    assert _generation(rig) > before
    assert rig.host.counts["sign_on"] == 2
    _sells_and_reverses_under_new_keys(rig, paid)
    assert _mac_failures() == failures


def test_rule_16_an_approval_under_replaced_keys_finds_its_payment(alone):
    """The bank's time is over, the terminal has signed on anew, and then the approval comes, with a
    MAC of the keys that its sale went under: proven, late, and reversed under the new ones (I5)."""
    rig = alone
    before, failures = _generation(rig), _mac_failures()
    selling = _held(rig, BANK_TIMEOUT_S + 20)
    rig.terminals[0].want_sign_on("test")
    _pass(rig, BANK_TIMEOUT_S + 10)
    paid, reply = _only(selling)
    assert (reply.outcome, rig.late_replies) == (Outcome.UNKNOWN, [])
    assert _generation(rig) > before

    _pass(rig, 15)

    key, _leg, _attempt, late = _only(rig.late_replies)
    assert (key, late.outcome) == (paid.key, Outcome.DONE)
    _sells_and_reverses_under_new_keys(rig, paid)
    assert _mac_failures() == failures


# ---- banks that send keys by themselves ----------------------------------------------------------


@pytest.fixture(params=[*PUSHING, "cup-pos that resets keys"])
def pushing(request, tmp_path):
    """A bank whose dialect has key resets: those built in, and a POS style one that has learned
    to."""
    built_in = request.param in PUSHING
    return with_one_terminal(
        request.param if built_in else with_key_resets(tmp_path / "resets.yaml")
    )


def test_rule_16_keys_reset_while_a_sale_is_held_lose_nothing(pushing):
    """The bank holds a sale, changes its keys, is answered that they are taken, and then answers
    the sale with a MAC of the old ones."""
    rig = pushing
    before, failures = _generation(rig), _mac_failures()
    resets = rig.host.counts.get("key_reset_answer", 0)
    selling = _held(rig)
    for _, data in rig.host.push("key_reset", (MERCHANT, rig.terminals[0].config.terminal)):
        rig.service.links[0].send(data)
    _pass(rig, HELD_S - 0.5)
    assert (selling, _generation(rig) > before) == ([], True)
    assert rig.host.counts["key_reset_answer"] > resets

    _pass(rig, 1)

    paid, reply = _only(selling)
    assert (reply.outcome, _net_fen(rig)) == (Outcome.DONE, AMOUNT_FEN)
    _sells_and_reverses_under_new_keys(rig, paid)
    assert _mac_failures() == failures


def test_rule_16_a_key_reset_just_before_the_answer_loses_nothing(pushing):
    """Both come in one breath, the keys first: the answer is proven under those of its sale."""
    rig = pushing
    before, failures = _generation(rig), _mac_failures()

    paid, reply = _sold(rig, Name.RESET_KEYS, seconds=5)

    assert (reply.outcome, _net_fen(rig)) == (Outcome.DONE, AMOUNT_FEN)
    assert rig.host.counts["key_reset_sent"] > 0
    assert _generation(rig) > before
    _sells_and_reverses_under_new_keys(rig, paid)
    assert _mac_failures() == failures
