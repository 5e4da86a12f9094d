"""A counter POS: sign-on, sale, what it is told, and what a repeat of it is."""

import pytest

from hsm import primitives
from hsm.commands import Service
from hsm.lmk import published_test_lmk
from hsm.policy import Policy
from hsm.processor import Processor
from hsm.slots import Slots
from switch.model.outcome import Outcome, Reply
from switch.model.secret import Secret
from tests.bank import rig as bank_rig
from tests.bank.rig import CHIP_PAN, PAN, PIN, Rig
from tests.inbound.rig import APPROVED, HANG, MERCHANT, POS_DOOR, POS_TERMINAL, TERMINAL, Town

REFUSED = Reply(outcome=Outcome.REFUSED, code="51")
NOT_SENT = Reply(outcome=Outcome.NOT_SENT)
UNKNOWN = Reply(outcome=Outcome.UNKNOWN, code="98")


def test_sign_on_gives_keys_that_prove_themselves():
    """Fresh keys under the POS's master key with check values, the open batch, the clock."""
    town = Town()
    pos = town.connect()
    pos.sign_on()
    town.settle()

    assert pos.answers[0][0] == "0810"
    assert pos.last[60] == "00000001003"
    assert len(pos.last[12] + pos.last[13]) == 10
    pos.take_keys()
    first = pos.mak
    pos.sign_on()
    town.settle()
    pos.take_keys()
    assert pos.mak != first


def test_sale_is_answered_with_the_bank_s_numbers():
    """00, F37, F38 and F15 of the bank, everything echoed, MACed; the PIN block goes to the bank's
    channel under the key we gave the POS."""
    town = Town()
    pos = town.signed_on()
    town.bank.script.append(APPROVED)

    pos.sale(pos.card(PAN, PIN), 12_345)
    town.settle()

    mti, fields, right = pos.answers[0]
    assert (mti, fields[39], right) == ("0210", "00", True)
    assert (fields[37], fields[38], fields[15]) == ("012345678901", "A1B2C3", "0704")
    assert (fields[4], fields[11], fields[41]) == ("000000012345", "000002", TERMINAL)
    (payment,) = town.payments()
    assert (payment.business, payment.amount_fen) == ("pos_sale", 12_345)
    assert payment.key == f"pos/{MERCHANT}/{TERMINAL}/000001/000002"
    sent = town.bank.sent[0].secrets
    held = town.journal.keys
    assert sent.pin_key == next(iter(town.database.working_keys.values())).pik
    assert held is not None


def test_sale_reaches_a_real_bank_with_the_pin_translated():
    """Bytes from the POS to the simulated bank, that checks MAC and PIN: 00, then a wrong PIN."""
    bank = Rig()
    town = Town(bank=bank)
    pos = town.signed_on()

    pos.sale(pos.card(PAN, PIN), 100)
    town.settle()
    pos.sale(pos.card(PAN, "000000"), 100)
    town.settle()

    assert [fields[39] for _, fields, _ in pos.answers] == ["00", "55"]
    assert bank.host.ledger.spent_fen("rich") == 100


@pytest.mark.parametrize(("pin_key_type", "code"), [("70D", "00"), ("002", "91")])
def test_pin_keys_on_an_hsm_that_keeps_key_types_apart(pin_key_type, code, monkeypatch):
    """As every configured daemon does: 70D is translated, 002 is no PIN key there, and nothing is
    sent."""

    def strict(entropy):
        slots = Slots({"00": published_test_lmk()})
        return Processor(Service(slots, Policy(test=True, separate_002=True), entropy))

    monkeypatch.setattr(bank_rig, "local_processor", strict)
    town = Town({**POS_DOOR, "pin_key_type": pin_key_type}, bank=Rig())
    pos = town.signed_on()

    pos.sale(pos.card(PAN, PIN), 100)
    town.settle()

    assert pos.code == code


def test_chip_data_flow_both_ways():
    """Field 55 of the card goes to the bank, field 55 of the issuer comes back, and is kept
    nowhere."""
    town = Town()
    pos = town.signed_on()
    issuer = bytes.fromhex("910A11223344556677883030")
    town.bank.script.append(Reply(outcome=Outcome.DONE, code="00", facts={}, issuer=Secret(issuer)))
    chip = "9F3602001C9505000004E000"

    pos.sale(pos.card(CHIP_PAN, PIN, chip), 100)
    town.settle()

    assert pos.last[55] == issuer.hex().upper()
    assert town.bank.sent[0].order.leg.kind == "debit"
    assert issuer.hex() not in str(town.database.payments()).lower()


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (REFUSED, "51"),
        (NOT_SENT, "91"),
        (Reply(outcome=Outcome.REFUSED, code="77"), "91"),
        (Reply(outcome=Outcome.REFUSED, code="A0"), "91"),
        (Reply(outcome=Outcome.REFUSED, code="ZZ"), "05"),
        (Reply(outcome=Outcome.REFUSED, code="00"), "05"),
    ],
)
def test_I7_what_is_not_approved_is_never_called_so(reply, code):
    """The bank's own code where this dialect has it as a refusal; what asks *us* to sign on is not
    passed on, and no code that a POS reads as an approval ever is."""
    town = Town()
    pos = town.signed_on()
    town.bank.script.append(reply)

    pos.sale(pos.card(PAN, PIN), 100)
    town.settle()

    assert pos.code == code


def test_out_of_service_is_said_and_nothing_is_journaled():
    """The bank's link is down: 91, and no payment was begun."""
    town = Town()
    pos = town.signed_on()
    town.bank.is_ready = False

    pos.sale(pos.card(PAN, PIN), 100)
    town.settle()

    assert pos.code == "91"
    assert town.payments() == []


def test_a_bank_that_says_nothing_is_reversed_and_the_pos_told_so():
    """Unknown at the bank: its reversal goes out, and when that is done the POS hears 98."""
    town = Town()
    pos = town.signed_on()
    town.bank.script += [UNKNOWN]

    pos.sale(pos.card(PAN, PIN), 100)
    town.settle()
    town.pass_s(31)

    assert pos.code == "98"
    assert town.bank.verbs() == ["do", "reversal"]


def test_pending_is_answered_by_silence():
    """The bank hangs: when our wait is over nothing is said, and nothing later either: the POS has
    begun to reverse."""
    town = Town()
    pos = town.signed_on()
    town.bank.script.append(HANG)
    pos.sale(pos.card(PAN, PIN), 100)
    town.settle()

    town.pass_s(61)
    town.bank.sent[0].reply.callback(APPROVED)
    town.settle()

    assert pos.answers == []


def test_exception_is_96_and_alarmed(capsys):
    """Nobody can say whether the money moved: the POS prints its exception slip, a person looks."""
    town = Town()
    pos = town.signed_on()
    town.bank.script += [UNKNOWN, REFUSED]

    pos.sale(pos.card(PAN, PIN), 100)
    town.settle()
    town.pass_s(31)

    assert pos.code == "96"
    assert "pos_exception" in capsys.readouterr().out


# ---- repeats -------------------------------------------------------------------------------------


def test_I7_a_repeat_gets_the_same_answer_and_moves_nothing():
    """The answer was lost: the same frame again, on another connection too."""
    town = Town()
    pos = town.signed_on()
    town.bank.script.append(APPROVED)
    frame = pos.sale(pos.card(PAN, PIN), 100)
    town.settle()

    pos.raw(frame)
    town.settle()
    other = town.connect()
    other.mak = pos.mak
    other.raw(frame)
    town.settle()

    first, second = (fields for _, fields, _ in pos.answers)
    assert [first, other.last] == [second, second]
    assert len(town.bank.sent) == 1


def test_I7_a_repeat_while_it_runs_waits_for_the_same_end():
    """Two requests, one payment, two equal answers."""
    town = Town()
    pos = town.signed_on()
    town.bank.script.append(HANG)
    frame = pos.sale(pos.card(PAN, PIN), 100)
    town.settle()
    pos.raw(frame)
    town.settle()

    town.bank.sent[0].reply.callback(APPROVED)
    town.settle()

    assert [fields[39] for _, fields, _ in pos.answers] == ["00", "00"]
    assert len(town.bank.sent) == 1


@pytest.mark.parametrize("what", ["amount", "card", "business"])
def test_I8_other_content_under_the_same_numbers_is_94(what):
    """A POS that counts from the beginning again is never told "approved" for what another paid."""
    town = Town()
    pos = town.signed_on()
    town.bank.script.append(APPROVED)
    pos.sale(pos.card(PAN, PIN), 100, stan="000009")
    town.settle()

    if what == "business":
        pos.send("0100", {3: "030000", 4: f"{100:012d}", 11: "000009", 25: "06", 49: "156",
                          60: "1000000100050", **pos.card(PAN, PIN)})  # fmt: skip
    else:
        pan = "6225881234560000" if what == "card" else PAN
        pos.sale(pos.card(pan, PIN), 100 if what == "card" else 200, stan="000009")
    town.settle()

    assert pos.code == "94"
    assert len(town.bank.sent) == 1


def test_I7_answers_survive_a_restart():
    """Another process, the same journal: keys, batch and answer are as they were."""
    town = Town()
    pos = town.signed_on()
    town.bank.script.append(APPROVED)
    frame = pos.sale(pos.card(PAN, PIN), 100)
    town.settle()
    town.journal.crash()

    again = Town(town=town)
    late = again.connect()
    late.mak = pos.mak
    late.raw(frame)
    again.settle()

    assert late.last == pos.last
    assert again.bank.sent == []


# ---- what else it may ask ------------------------------------------------------------------------


def test_echo_and_sign_off_are_answered():
    """0820 with 301 and 002."""
    town = Town()
    pos = town.signed_on()
    for code in ("301", "002"):
        pos.send("0820", {11: pos.next_stan(), 60: f"00{pos.batch}{code}"}, maced=False)
    town.settle()

    assert [(mti, fields[39]) for mti, fields, _ in pos.answers] == [("0830", "00")] * 2


def test_balance_goes_to_the_bank_and_back():
    """310000: field 54 in the field's own form."""
    town = Town(bank=Rig())
    pos = town.signed_on()
    card = pos.card(PAN, PIN)
    pos.send("0200", {3: "310000", 11: pos.next_stan(), 25: "00", 49: "156",
                      60: f"01{pos.batch}00050", **card})  # fmt: skip
    town.settle()

    assert pos.code == "00"
    assert pos.last[54] == "1002156C000001000000"


def test_a_scanned_code_is_paid_without_a_card():
    """F59 A3: the code goes to the bank's channel, and neither a card nor a PIN does."""
    town = Town()
    pos = town.signed_on()
    town.bank.script.append(APPROVED)
    code = "134567890123456789"
    pos.send("0200", {3: "000000", 4: f"{100:012d}", 11: pos.next_stan(), 22: "032", 25: "00",
                      49: "156", 53: "0600000000000000", 59: f"A3{len(code):03d}{code}",
                      60: f"22{pos.batch}00050"})  # fmt: skip
    town.settle()

    assert pos.code == "00"
    assert town.bank.sent[0].order.leg.operation == "qr_sale"
    assert code not in str(town.database.payments())


def test_visit_card_businesses_are_refused():
    """Purchases by visit card do not exist here yet: 40, in so many words."""
    town = Town()
    pos = town.signed_on()
    pos.send("0200", {3: "560000", 4: f"{100:012d}", 11: pos.next_stan(), 22: "011", 25: "91",
                      49: "156", 60: f"55{pos.batch}00050"})  # fmt: skip
    town.settle()

    assert pos.code == "40"
    assert town.payments() == []


def test_a_terminal_may_do_only_what_is_configured():
    """58 for a business that is not in its list."""
    only_sale = {**POS_TERMINAL, "operations": ["sale"]}
    town = Town({**POS_DOOR, "terminals": [only_sale]})
    pos = town.signed_on()
    pos.refer("0220", "25", pos.card(PAN), 100, "000001")
    town.settle()

    assert pos.code == "58"


def test_old_keys_begin_nothing_but_reverse():
    """Rule 16: after key_max_age_ms a sale is told to sign on; a 0400 is taken all the same."""
    town = Town({**POS_DOOR, "key_max_age_ms": 60_000})
    pos = town.signed_on()
    town.bank.script.append(APPROVED)
    pos.sale(pos.card(PAN, PIN), 100, stan="000007")
    town.settle()
    town.pass_s(61)

    pos.sale(pos.card(PAN, PIN), 100)
    town.settle()
    assert pos.code == "77"
    pos.reverse(PAN, 100, "000007")
    town.settle()

    assert pos.code == "00"
    assert town.bank.verbs() == ["do", "reversal"]


def test_a_request_made_before_a_new_sign_on_still_counts():
    """The sign-on overtook the sale: it is proven by the older keys, its PIN block belongs to them,
    and its answer is MACed with them."""
    town = Town()
    pos = town.signed_on()
    town.bank.script.append(APPROVED)
    old_mak, old_pik = pos.mak, next(iter(town.database.working_keys.values())).pik
    other = town.connect()
    other.sign_on()
    town.settle()
    other.take_keys()
    assert primitives.check_value(other.mak) != primitives.check_value(old_mak)

    pos.sale(pos.card(PAN, PIN), 100)
    town.settle()

    assert (pos.code, pos.answers[-1][2]) == ("00", True)
    assert town.bank.sent[0].secrets.pin_key in {old_pik, ""}
