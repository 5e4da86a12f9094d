"""A bank's own kiosks and counters: bills, payments that the bank has taken already, their 0400."""

from importlib.resources import files

import pytest

from switch.model.outcome import Outcome, Reply
from switch.model.payment import LegPolicy, OnUnknown
from switch.ports import InquiryReply
from tests.bank.rig import PAN
from tests.inbound.rig import HANG, MERCHANT, ORIGIN_DOOR, TERMINAL, Town, origin_town

DONE = Reply(outcome=Outcome.DONE, facts={"his_receipt": "FP20260704001"})
REFUSED = Reply(outcome=Outcome.REFUSED, code="2004", text="单据正在其他窗口缴费")
UNKNOWN = Reply(outcome=Outcome.UNKNOWN, code="timeout")
PATIENT = {"patient_id": "P0001", "name": "张三"}
BILLS = [
    {"bill_id": f"MZ{n:03d}", "title": "西药费" * 9, "amount_fen": 100 * n} for n in range(1, 9)
]


def _query(bank, card="VC123456"):
    bank.send("0200", {3: "300000", 11: bank.next_stan(), 22: "011", 25: "87", 49: "156",
                       59: card, 60: f"01{bank.batch}00050"})  # fmt: skip


def _pay(bank, amount_fen=500, bill="MZ005", stan=None, **more):
    fields = {2: PAN, 3: "190000", 4: f"{amount_fen:012d}", 11: stan or bank.next_stan(),
              15: "0704", 22: "011", 25: "81", 37: "998877665544", 49: "156",
              59: f"{'P0001':20}{bill:32}", 60: f"01{bank.batch}00050"}  # fmt: skip
    return bank.send("0200", fields | {int(n[1:]): v for n, v in more.items()})


def _reverse(bank, stan, amount_fen=500):
    bank.reverse(PAN, amount_fen, stan, kind="01", code="190000")


def test_bills_are_told_in_columns():
    """Patient by visit card, then the bills, as many as the field holds; Chinese cut whole."""
    town = origin_town()
    bank = town.signed_on()
    replies = {"patient_query": PATIENT, "bill_query": BILLS}

    async def inquire(function, request):
        asked.append((function, request))
        return InquiryReply(ok=True, body=replies[function])

    asked = []
    town.his.inquire = inquire
    _query(bank)
    town.settle()

    assert bank.code == "00"
    assert [request.card_no for name, request in asked if name == "patient_query"] == ["VC123456"]
    told = bank.last[59].encode("gbk")
    assert told[:62].decode("gbk").split() == ["P0001", "张三", "06"]
    rows = [told[at : at + 84] for at in range(62, len(told), 84)]
    assert len(rows) == 6
    assert rows[1][:32].decode().strip() == "MZ002"
    assert int(rows[1][32:44]) == 200
    assert rows[1][44:].decode("gbk").startswith("西药费")


@pytest.mark.parametrize(("code", "answer"), [("his_down", "91"), ("1001", "25")])
def test_a_query_that_finds_nothing_says_so(code, answer):
    """The hospital is away: later again; it knows nobody: no such one."""
    town = origin_town()
    bank = town.signed_on()

    async def inquire(function, request):
        return InquiryReply(ok=False, code=code)

    town.his.inquire = inquire
    _query(bank)
    town.settle()

    assert bank.code == answer


def test_I2_a_payment_is_booked_once_whatever_repeats():
    """Three times the same request: booked once, under a key of the bank's own numbers, with the
    bank's business date, and answered the same with the hospital's receipt."""
    town = origin_town()
    bank = town.signed_on()
    town.his.script.append(DONE)
    frame = _pay(bank)
    town.settle()
    for _ in range(2):
        bank.raw(frame)
        town.settle()

    assert [(f[39], f[59]) for _, f, _ in bank.answers] == [("00", "FP20260704001")] * 3
    assert town.his.verbs() == ["do"]
    (payment,) = town.payments()
    assert payment.key == f"cqbank/{MERCHANT}/{TERMINAL}/000001/000002/20260704"
    assert (payment.business, payment.business_date) == ("bank_bill", "20260704")
    assert (payment.patient, payment.bill) == ("P0001", "MZ005")
    assert payment.details["F37"] == "998877665544"
    assert PAN not in str(payment)


def test_I7_a_repeat_after_a_restart_is_answered_from_the_journal():
    """Another process: the same answer, and the hospital is not asked again."""
    town = origin_town()
    bank = town.signed_on()
    town.his.script.append(DONE)
    frame = _pay(bank)
    town.settle()
    town.journal.crash()

    again = Town(ORIGIN_DOOR, town.plugin, "cqbank", town=town)
    other = again.connect()
    other.mak = bank.mak
    other.raw(frame)
    again.settle()

    assert other.last == bank.last
    assert again.his.sent == []


def test_a_refused_booking_is_declined():
    """The hospital says no: so does the answer, and the bank gives the money back itself."""
    town = origin_town()
    bank = town.signed_on()
    town.his.script.append(REFUSED)
    _pay(bank)
    town.settle()

    assert bank.code == "05"
    assert town.payments()[0].rest == "declined"


def test_I8_a_bill_that_another_pays_is_declined():
    """Rule 12: one live payment for a bill, whoever began it. A plain decline: "the same numbers
    again" would send the bank's kiosk into a 0400 of a payment that is another's."""
    town = origin_town()
    bank = town.signed_on()
    town.his.script.append(HANG)
    _pay(bank)
    town.settle()
    _pay(bank)
    town.settle()

    assert bank.code == "05"


@pytest.mark.parametrize("missing", [4, 15, 59])
def test_what_cannot_be_booked_is_a_format_error(missing):
    """Amount, date or bill missing: 30, and nothing is journaled."""
    town = origin_town()
    bank = town.signed_on()
    empty = {4: "000000000000", 15: "0000", 59: "P0001"}[missing]
    _pay(bank, **{f"F{missing}": empty})
    town.settle()

    assert bank.code == "30"
    assert town.payments() == []


def test_I6_an_unknown_booking_is_not_answered(capsys):
    """Rule 11: the hospital has not said when the wait is over: silence and an alarm. The bank then
    reverses: 00 only when the un-booking is done."""
    town = origin_town()
    bank = town.signed_on()
    town.his.script += [HANG]
    _pay(bank, stan="000007")
    town.settle()
    town.pass_s(61)
    assert bank.answers == []
    assert "booking_unknown" in capsys.readouterr().out

    _reverse(bank, "000007")
    town.settle()
    assert bank.answers == [], "nothing is certain yet"
    town.his.sent[0].reply.callback(UNKNOWN)
    town.settle()
    town.pass_s(10)

    assert [(mti, fields[39]) for mti, fields, _ in bank.answers] == [("0410", "00")]
    assert "cancel" in town.his.verbs()


def test_I6_a_booking_that_only_a_person_can_settle_is_not_answered_either():
    """A hospital that can neither be asked nor told again (L1): an exception, and silence. A
    decline would make the bank give back what may be booked."""
    town = origin_town(book=LegPolicy(timeout_ms=5_000, on_unknown=OnUnknown.STOP))
    bank = town.signed_on()
    town.his.script += [UNKNOWN]
    _pay(bank)
    town.settle()

    assert bank.answers == []
    assert town.payments()[0].rest == "exception"
    _reverse(bank, "000002")
    town.settle()
    assert bank.answers == [], "neither 00 nor a decline: nobody knows whether it is booked"
    town.engine_says(stands=False)
    _reverse(bank, "000002")
    town.settle()

    assert [fields[39] for _, fields, _ in bank.answers] == ["00"]


def test_I14_the_business_date_is_the_bank_s():
    """At 23:30 the bank's day is tomorrow already."""
    town = origin_town()
    bank = town.signed_on()
    town.his.script.append(DONE)
    _pay(bank, F15="0705")
    town.settle()

    assert town.payments()[0].business_date == "20260705"


def test_where_silence_stands_a_booking_that_fails_later_is_called(tmp_path, capsys):
    """The bank keeps the money of what it got no answer for: not booked in the end is an alarm."""
    town = origin_town(dialect=_dialect_with(tmp_path, "silence_stands: true"))
    bank = town.signed_on()
    town.his.script += [HANG]
    _pay(bank)
    town.settle()
    town.pass_s(61)
    assert bank.answers == []

    town.his.sent[0].reply.callback(REFUSED)
    town.settle()

    assert bank.answers == []
    assert "taken_and_not_booked" in capsys.readouterr().out


def _dialect_with(folder, line):
    text = (files("channels.iso8583") / "dialects" / "cup-pos.yaml").read_text(encoding="utf-8")
    file = folder / "cup.yaml"
    file.write_text(text.replace("silence_stands: false", line), encoding="utf-8")
    return str(file)


# ---- the bank's 0400 -----------------------------------------------------------------------------


def test_I6_a_0400_is_answered_when_the_unbooking_is_done():
    """The hospital takes its time over the cancel: nothing until it has said so, then 00."""
    town = origin_town()
    bank = town.signed_on()
    town.his.script += [DONE, HANG]
    _pay(bank, stan="000007")
    town.settle()
    bank.answers.clear()

    _reverse(bank, "000007")
    town.settle()
    town.pass_s(2)
    assert bank.answers == []
    town.his.sent[1].reply.callback(Reply(outcome=Outcome.DONE))
    town.settle()

    assert [(mti, fields[39]) for mti, fields, _ in bank.answers] == [("0410", "00")]
    assert town.payments()[0].rest == "undone"


def test_I6_a_0400_whose_unbooking_has_no_end_is_not_answered():
    """The hospital says nothing for longer than we wait: no 00, and none later on its own; the bank
    asks again, and is told when it is certain."""
    town = origin_town()
    bank = town.signed_on()
    town.his.script += [DONE, HANG]
    _pay(bank, stan="000007")
    town.settle()
    bank.answers.clear()
    _reverse(bank, "000007")
    town.settle()
    town.pass_s(61)
    assert bank.answers == []
    town.his.sent[1].reply.callback(Reply(outcome=Outcome.DONE))
    town.settle()
    assert bank.answers == []

    _reverse(bank, "000007")
    town.settle()

    assert [fields[39] for _, fields, _ in bank.answers] == ["00"]
    assert town.his.verbs() == ["do", "cancel"]


def test_I15_a_hospital_that_cannot_unbook_makes_an_exception(capsys):
    """The service was used already: a decline for the bank, an exception for a person."""
    town = origin_town()
    bank = town.signed_on()
    town.his.script += [DONE, REFUSED]
    _pay(bank, stan="000007")
    town.settle()

    _reverse(bank, "000007")
    town.settle()

    assert bank.code == "12"
    assert town.payments()[0].rest == "exception"
    assert "reversal_not_possible" in capsys.readouterr().out


def test_a_0400_without_its_original_bars_the_late_one():
    """Rule 11: a tombstone, 00; the payment behind it is refused, unknown to the hospital."""
    town = origin_town()
    bank = town.signed_on()
    _reverse(bank, "000007")
    town.settle()
    _pay(bank, stan="000007")
    town.settle()

    assert [fields[39] for _, fields, _ in bank.answers] == ["00", "12"]
    assert town.his.sent == []


def test_I3_a_0400_is_not_promised_while_the_journal_is_away():
    """Its wish is committed first: until then nothing is said."""
    town = origin_town()
    bank = town.signed_on()
    town.his.script.append(DONE)
    _pay(bank, stan="000007")
    town.settle()
    town.faults.is_down = True
    _reverse(bank, "000007")
    town.settle()
    town.faults.is_down = False
    assert len(bank.answers) == 1

    _reverse(bank, "000007")
    town.settle()

    assert bank.code == "00"
    assert town.his.verbs() == ["do", "cancel"]


def test_I8_a_0400_for_another_amount_unbooks_nothing():
    """64, and the booking stands."""
    town = origin_town()
    bank = town.signed_on()
    town.his.script.append(DONE)
    _pay(bank, stan="000007")
    town.settle()

    _reverse(bank, "000007", amount_fen=501)
    town.settle()

    assert bank.code == "64"
    assert town.payments()[0].rest == "done"


def test_day_end_totals_are_those_of_the_journal():
    """What was booked counts, what was taken back does not; then the next batch is open."""
    town = origin_town()
    bank = town.signed_on()
    town.his.script += [DONE] * 3
    first = b""
    for n, amount_fen in enumerate((100, 200, 300)):
        frame = _pay(bank, amount_fen, bill=f"MZ00{n}", stan=f"00001{n}")
        first = first or frame
        town.settle()
    _reverse(bank, "000012", amount_fen=300)
    town.settle()

    bank.settle([100, 200])
    town.settle()

    assert (bank.code, bank.last[48][30]) == ("00", "1")
    _pay(bank)
    town.settle()
    assert bank.code == "77"
    bank.raw(first)
    town.settle()
    assert bank.code == "00", "a repeat is answered as before (I7)"


def test_a_sale_is_none_of_its_business():
    """A bank's kiosk pays no card sale here: 40."""
    town = origin_town()
    bank = town.signed_on()
    bank.sale(bank.card(PAN), 100)
    town.settle()

    assert bank.code == "40"
