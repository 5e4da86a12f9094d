"""A POS takes its payment back: after its answer, instead of it, before its sale, and again."""

import pytest

from switch.model.outcome import Outcome, Reply
from tests.bank.rig import PAN, PIN
from tests.inbound.rig import APPROVED, HANG, Town

REFUSED = Reply(outcome=Outcome.REFUSED, code="12")
UNKNOWN = Reply(outcome=Outcome.UNKNOWN, code="98")


def _sold(town, pos, stan="000007", amount_fen=100):
    town.bank.script.append(APPROVED)
    pos.sale(pos.card(PAN, PIN), amount_fen, stan=stan)
    town.settle()
    assert pos.code == "00"


def test_I3_an_approved_sale_goes_back_at_the_bank():
    """The POS never saw its 00: its 0400 is answered when the wish is committed, and the bank gets
    a reversal until it acknowledges it."""
    town = Town()
    pos = town.signed_on()
    _sold(town, pos)
    town.bank.script += [UNKNOWN, APPROVED]

    pos.reverse(PAN, 100, "000007")
    town.settle()
    mti, fields, right = pos.answers[-1]
    assert (mti, fields[39], right) == ("0410", "00", True)
    town.pass_s(3)

    assert town.bank.verbs() == ["do", "reversal", "reversal"]
    assert town.payments()[0].rest == "undone"


def test_I7_a_repeated_0400_is_answered_the_same_and_moves_nothing_more():
    """Three times: three times 00, one reversal at the bank."""
    town = Town()
    pos = town.signed_on()
    _sold(town, pos)

    for _ in range(3):
        pos.reverse(PAN, 100, "000007")
        town.settle()

    assert [fields[39] for _, fields, _ in pos.answers[1:]] == ["00"] * 3
    assert town.bank.verbs() == ["do", "reversal"]


def test_I5_a_0400_that_meets_its_sale_on_its_way_wins():
    """The bank has not answered yet: 00 for the 0400; the approval that comes then is reversed, and
    the sale is never answered as approved."""
    town = Town()
    pos = town.signed_on()
    town.bank.script.append(HANG)
    pos.sale(pos.card(PAN, PIN), 100, stan="000007")
    town.settle()

    pos.reverse(PAN, 100, "000007")
    town.settle()
    assert [(mti, fields[39]) for mti, fields, _ in pos.answers] == [("0410", "00")]
    town.bank.sent[0].reply.callback(APPROVED)
    town.settle()
    town.pass_s(31)

    assert town.bank.verbs() == ["do", "reversal"]
    assert town.payments()[0].rest == "undone"
    assert "00" not in {f[39] for mti, f, _ in pos.answers if mti == "0210"}


def test_a_0400_before_its_sale_bars_it():
    """Rule 12: a tombstone; the sale that comes behind it is refused, and nothing leaves to the
    bank."""
    town = Town()
    pos = town.signed_on()

    pos.reverse(PAN, 100, "000007")
    town.settle()
    pos.sale(pos.card(PAN, PIN), 100, stan="000007")
    town.settle()

    assert [fields[39] for _, fields, _ in pos.answers] == ["00", "12"]
    assert town.bank.sent == []
    pos.reverse(PAN, 100, "000007")
    town.settle()
    assert pos.code == "00"


@pytest.mark.parametrize(
    ("pan", "amount_fen", "code"), [(PAN, 200, "64"), ("6225881234560000", 100, "25")]
)
def test_I8_a_0400_for_other_content_takes_nothing_back(pan, amount_fen, code, capsys):
    """A POS that counted from the beginning again, was told 94, and reverses what it believes it
    sold: the other patient's payment stands."""
    town = Town()
    pos = town.signed_on()
    _sold(town, pos)

    pos.reverse(pan, amount_fen, "000007")
    town.settle()

    assert pos.code == code
    assert town.bank.verbs() == ["do"]
    assert town.payments()[0].rest == "done"
    assert "reversal_of_other_content" in capsys.readouterr().out


def test_I3_nothing_is_promised_while_the_journal_is_away():
    """The wish cannot be committed: silence, and the POS says it again."""
    town = Town()
    pos = town.signed_on()
    _sold(town, pos)
    town.faults.is_down = True
    pos.reverse(PAN, 100, "000007")
    town.settle()
    assert len(pos.answers) == 1

    town.faults.is_down = False
    pos.reverse(PAN, 100, "000007")
    town.settle()

    assert pos.code == "00"
    assert town.bank.verbs() == ["do", "reversal"]


def test_a_declined_sale_may_be_reversed_without_effect():
    """Nothing moved: 00, and the bank is not asked."""
    town = Town()
    pos = town.signed_on()
    town.bank.script.append(REFUSED)
    pos.sale(pos.card(PAN, PIN), 100, stan="000007")
    town.settle()

    pos.reverse(PAN, 100, "000007")
    town.settle()

    assert pos.code == "00"
    assert town.bank.verbs() == ["do"]


def test_a_0400_is_made_whole_by_another_node():
    """The sale ran on a node that died; its 0400 reaches the next one, that finds it in the
    journal."""
    town = Town()
    pos = town.signed_on()
    _sold(town, pos)
    town.journal.crash()
    again = Town(town=town)
    other = again.connect()
    other.mak, other.batch = pos.mak, pos.batch

    other.reverse(PAN, 100, "000007")
    again.settle()

    assert other.code == "00"
    assert again.bank.verbs() == ["reversal"]


# ---- what refers to an original ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mti", "kind", "operation"), [("0200", "23", "void"), ("0220", "25", "refund")]
)
def test_void_and_refund_find_the_sale_by_field_61(mti, kind, operation):
    """The bank gets the operation with what the journal knows of the original."""
    town = Town()
    pos = town.signed_on()
    _sold(town, pos)
    town.bank.script.append(APPROVED)

    pos.refer(mti, kind, pos.card(PAN, PIN), 100, "000007")
    town.settle()

    assert pos.code == "00"
    leg = town.bank.sent[-1].order.leg
    assert leg.operation == operation
    assert leg.facts["original_F37"] == "012345678901"


def test_an_original_is_found_by_the_bank_s_reference_alone():
    """Without field 61, by field 37, in the open batch."""
    town = Town()
    pos = town.signed_on()
    _sold(town, pos)
    fields = {3: "200000", 4: f"{100:012d}", 11: pos.next_stan(), 25: "00", 37: "012345678901",
              49: "156", 60: f"23{pos.batch}00050", **pos.card(PAN, PIN)}  # fmt: skip
    pos.send("0200", fields)
    town.settle()

    assert pos.code == "00"


@pytest.mark.parametrize("wrong", ["stan", "reference"])
def test_I8_an_original_must_be_the_one_that_is_meant(wrong):
    """Another STAN, or a reference that is not that sale's: 25, and nothing is given back."""
    town = Town()
    pos = town.signed_on()
    _sold(town, pos)

    more = {"F37": "999999999999"} if wrong == "reference" else {}
    original = "000008" if wrong == "stan" else "000007"
    pos.refer("0200", "23", pos.card(PAN, PIN), 100, original, **more)
    town.settle()

    assert pos.code == "25"
    assert len(town.bank.sent) == 1


def test_I1_no_more_is_given_back_than_was_taken():
    """Two refunds of 60 on a sale of 100: the second is refused with the amount's code; a 0400 of
    the sale then comes too late."""
    town = Town()
    pos = town.signed_on()
    _sold(town, pos)
    for _ in range(2):
        pos.refer("0220", "25", pos.card(PAN, PIN), 60, "000007")
        town.settle()
    assert [fields[39] for _, fields, _ in pos.answers[1:]] == ["00", "64"]

    pos.reverse(PAN, 100, "000007")
    town.settle()

    assert pos.code == "12"
    assert town.bank.verbs() == ["do", "do"]


def test_a_void_whose_answer_was_lost_is_itself_reversed():
    """Rule 8: the POS's 0400 names the void; the sale stands again."""
    town = Town()
    pos = town.signed_on()
    _sold(town, pos)
    pos.refer("0200", "23", pos.card(PAN, PIN), 100, "000007")
    town.settle()
    void = pos.last[11]

    pos.reverse(PAN, 100, void, kind="23", code="200000")
    town.settle()

    assert pos.code == "00"
    rests = {payment.business: payment.rest for payment in town.payments()}
    assert rests == {"pos_sale": "done", "pos_void": "undone"}


@pytest.mark.parametrize("paid", [False, True], ids=["on its way", "paid"])
def test_rule_8_nobody_is_told_that_a_refund_is_reversed(paid):
    """A plain refund cannot be undone: its 0400 is refused, on its way as well, and it goes on."""
    town = Town()
    pos = town.signed_on()
    _sold(town, pos)
    town.bank.script.append(APPROVED if paid else HANG)
    pos.refer("0220", "25", pos.card(PAN, PIN), 100, "000007")
    town.settle()
    refund = pos.last[11]

    pos.reverse(PAN, 100, refund, kind="25", code="200000")
    town.settle()
    assert pos.code == "12"
    if not paid:
        town.bank.sent[-1].reply.callback(APPROVED)
        town.settle()

    rests = {payment.business: payment.rest for payment in town.payments()}
    assert rests == {"pos_sale": "done", "pos_refund": "done"}


def test_preauthorisation_and_its_completion():
    """Set aside, then taken: each by its own message, the second by the first's numbers."""
    town = Town()
    pos = town.signed_on()
    stan = pos.next_stan()
    pos.send("0100", {3: "030000", 4: f"{100:012d}", 11: stan, 25: "06", 49: "156",
                      60: f"10{pos.batch}00050", **pos.card(PAN, PIN)})  # fmt: skip
    town.settle()
    pos.refer("0200", "20", pos.card(PAN, PIN), 110, stan, code="000000", condition="06")
    town.settle()
    completion = pos.last[11]
    pos.refer("0200", "21", pos.card(PAN, PIN), 110, completion, condition="06")
    town.settle()

    assert [fields[39] for _, fields, _ in pos.answers] == ["00"] * 3
    operations = [sent.order.leg.operation for sent in town.bank.sent]
    assert operations == ["preauth", "completion", "completion_void"]
