"""Batch settlement of a POS: totals from the journal, against what the POS was told."""

import pytest

from switch.model.outcome import Outcome, Reply
from tests.bank.rig import PAN, PIN
from tests.inbound.rig import APPROVED, HANG, POS_DOOR, Town

REFUSED = Reply(outcome=Outcome.REFUSED, code="51")


def _a_day(town, pos):
    """Two sales, one declined, one refund of a part: what the POS counts of it."""
    town.bank.script += [APPROVED, APPROVED, REFUSED, APPROVED]
    for amount_fen, stan in ((100, "000011"), (250, "000012"), (999, "000013")):
        pos.sale(pos.card(PAN, PIN), amount_fen, stan=stan)
        town.settle()
    pos.refer("0220", "25", pos.card(PAN, PIN), 30, "000012")
    town.settle()
    return [100, 250], [30]


def _result(pos):
    return pos.last[48][30]


def test_totals_that_agree_close_the_batch():
    """Result 1; the next sale under the old batch is told to sign on, which brings the new one."""
    town = Town()
    pos = town.signed_on()
    debits, credits_ = _a_day(town, pos)

    pos.settle(debits, credits_)
    town.settle()
    assert (pos.answers[-1][0], pos.code, _result(pos)) == ("0510", "00", "1")
    pos.sale(pos.card(PAN, PIN), 100)
    town.settle()
    assert pos.code == "77"
    pos.sign_on()
    town.settle()
    pos.take_keys()

    assert pos.batch == "000002"
    pos.sale(pos.card(PAN, PIN), 100)
    town.settle()
    assert pos.code == "00"


@pytest.mark.parametrize("debits", [[100], [100, 251], []])
def test_totals_that_differ_are_said_and_called(debits, capsys):
    """Result 2 and an alarm; the upload that follows is taken."""
    town = Town()
    pos = town.signed_on()
    _, credits_ = _a_day(town, pos)

    pos.settle(debits, credits_)
    town.settle()
    assert (pos.code, _result(pos)) == ("00", "2")
    assert "batch_differs" in capsys.readouterr().out
    pos.send("0320", {2: PAN, 3: "000000", 4: f"{100:012d}", 11: pos.next_stan(), 25: "00",
                      49: "156", 60: f"00{pos.batch}206",
                      61: f"{pos.batch}0000110704"}, maced=False)  # fmt: skip
    town.settle()
    assert (pos.answers[-1][0], pos.code) == ("0330", "00")
    pos.send("0320", {11: pos.next_stan(), 48: "0001", 60: f"00{pos.batch}202"}, maced=False)
    town.settle()

    assert (pos.answers[-1][0], pos.code) == ("0330", "00")


def test_what_was_taken_back_does_not_count():
    """A sale that the POS reversed is no part of the totals."""
    town = Town()
    pos = town.signed_on()
    debits, credits_ = _a_day(town, pos)
    pos.reverse(PAN, 100, "000011")
    town.settle()

    pos.settle(debits[1:], credits_)
    town.settle()

    assert _result(pos) == "1"


def test_a_batch_waits_for_its_payments():
    """Rule 19: while one of them has no end the answer is 91, and the batch stays open."""
    town = Town()
    pos = town.signed_on()
    town.bank.script.append(HANG)
    pos.sale(pos.card(PAN, PIN), 100, stan="000011")
    town.settle()

    pos.settle([100])
    town.settle()
    assert pos.code == "91"
    town.bank.sent[0].reply.callback(APPROVED)
    town.settle()
    pos.settle([100])
    town.settle()

    assert (pos.code, _result(pos)) == ("00", "1")


def test_I7_a_repeated_settlement_is_answered_the_same_after_a_restart_too():
    """The totals are the journal's: the same result, and the batch is closed once."""
    town = Town()
    pos = town.signed_on()
    debits, credits_ = _a_day(town, pos)
    frame = pos.settle(debits, credits_)
    town.settle()
    town.journal.crash()

    again = Town(town=town)
    other = again.connect()
    for _ in range(2):
        other.raw(frame)
        again.settle()
    other.sign_on()
    again.settle()
    other.take_keys()

    assert [fields.get(48) for _, fields, _ in other.answers[:2]] == [pos.last[48]] * 2
    assert other.batch == "000002"


def test_an_old_settlement_that_comes_again_opens_no_old_batch():
    """The first batch's 0500 once more, two batches later: answered, and the third stays open."""
    town = Town()
    pos = town.signed_on()
    frame = pos.settle([])
    town.settle()
    for _ in range(2):
        pos.sign_on()
        town.settle()
        pos.take_keys()
        if pos.batch == "000002":
            pos.settle([])
            town.settle()

    pos.raw(frame)
    town.settle()
    pos.sign_on()
    town.settle()
    pos.take_keys()

    assert pos.batch == "000003"


def test_a_repeat_of_a_sale_in_a_closed_batch_is_still_answered():
    """I7 goes before the batch: what was approved is never told to sign on."""
    town = Town()
    pos = town.signed_on()
    town.bank.script.append(APPROVED)
    frame = pos.sale(pos.card(PAN, PIN), 100)
    town.settle()
    pos.settle([100])
    town.settle()

    pos.raw(frame)
    town.settle()

    assert pos.code == "00"
    assert len(town.bank.sent) == 1


def test_I11_a_batch_above_its_limit_is_not_settled(capsys):
    """More payments than stated: nothing is compared from a part of them."""
    town = Town({**POS_DOOR, "batch_payments_limit": 3})
    pos = town.signed_on()
    debits, credits_ = _a_day(town, pos)

    pos.settle(debits, credits_)
    town.settle()

    assert pos.code == "91"
    assert "batch_waits" in capsys.readouterr().out


def test_two_terminals_have_batches_of_their_own():
    """Same numbers, other terminal: another key, other totals (rule 15)."""
    second = {**POS_DOOR["terminals"][0], "terminal": "POS00002"}
    town = Town({**POS_DOOR, "terminals": [POS_DOOR["terminals"][0], second]})
    pos, other = town.signed_on(), town.signed_on(terminal="POS00002")
    for one in (pos, other):
        one.sale(one.card(PAN, PIN), 100, stan="000011")
        town.settle()
    pos.settle([100])
    town.settle()

    other.sale(other.card(PAN, PIN), 100, stan="000012")
    town.settle()

    assert [pos.code, other.code] == ["00", "00"]
    assert len({payment.key for payment in town.payments()}) == 3
