"""The bank's own kiosk and counter at our door: bills, payments taken already, their return."""

import time

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from channels.bank_simulator.branch import Branch, Task
from channels.bank_simulator.branch_service import BranchService
from channels.bank_simulator.world import TerminalKey
from channels.iso8583.load import load_dialect
from switch.model.outcome import Outcome, Reply
from switch.ports import InquiryReply
from tests.inbound.rig import HANG, MERCHANT, POS_TMK, TERMINAL, origin_town

DIALECT = load_dialect("cup-pos")
KEY = TerminalKey(merchant=MERCHANT, terminal=TERMINAL, tmk=POS_TMK)
DONE = Reply(outcome=Outcome.DONE, facts={"his_receipt": "FP20260704001"})
UNKNOWN = Reply(outcome=Outcome.UNKNOWN, code="timeout")
REFUSED = Reply(outcome=Outcome.REFUSED, code="2004")
PATIENT = {"patient_id": "P0001", "name": "张三"}
BILLS = [{"bill_id": f"MZ{n:03d}", "title": "西药费", "amount_fen": 100 * n} for n in (1, 2)]
PAY = Task(do="pay", patient="P0001", bill="MZ005", amount_fen=500)


class Street:
    """A branch across the street from a switch with a `bank_origin` door."""

    def __init__(self):
        self.town = origin_town()

        def date_time():
            now = time.localtime(self.town.clock.seconds())
            return time.strftime("%Y%m%d", now), time.strftime("%H%M%S", now)

        self.branch = Branch(DIALECT, KEY, date_time)
        self.service = BranchService(self.branch, DIALECT, self.town.net)
        self.service.clock = self.town.net
        self.town.net.connectTCP("switch", 7001, self.service)
        self.town.settle()

    def begin(self, task):
        """Start a task; the list gets what is said."""
        results = []
        Deferred.fromCoroutine(self.service.do(task)).addBoth(results.append)
        self.town.settle()
        return results

    def do(self, task):
        """What is said to a task that ends at once."""
        (said,) = self.begin(task)
        if isinstance(said, Failure):
            said.raiseException()
        return said


def test_it_signs_on_when_its_link_comes_up():
    """Keys of the switch under its own master key; the batch that the switch names."""
    street = Street()

    assert street.branch.signed_on
    assert street.service.done() == {"signed_on": True, "batch": "000001", "payments": []}


def test_it_asks_for_bills():
    """The columns of the answer, taken apart."""
    street = Street()
    replies = {"patient_query": PATIENT, "bill_query": BILLS}

    async def inquire(function, request):
        return InquiryReply(ok=True, body=replies[function])

    street.town.his.inquire = inquire
    said = street.do(Task(do="query", card="VC123456"))

    assert said["code"] == "00"
    assert (said["patient_id"], said["patient_name"], said["count"]) == ("P0001", "张三", 2)
    assert said["bills"][1] == {"bill_id": "MZ002", "amount": 200, "title": "西药费"}


def test_I2_it_pays_and_repeats_and_the_hospital_books_once():
    """The receipt comes back each time."""
    street = Street()
    street.town.his.script.append(DONE)

    said = street.do(PAY)
    again = street.do(Task(do="pay", stan=said["stan"]))

    assert said == again == {"stan": said["stan"], "code": "00", "receipt": "FP20260704001"}
    assert street.town.his.verbs() == ["do"]
    (payment,) = street.town.payments()
    assert (payment.patient, payment.bill, payment.amount_fen) == ("P0001", "MZ005", 500)


def test_it_takes_its_payment_back_and_settles_the_day():
    """0400 is answered 00 when un-booked; totals of what stands agree."""
    street = Street()
    street.town.his.script += [DONE, DONE, DONE]
    street.do(PAY)
    last = street.do(Task(do="pay", patient="P0001", bill="MZ006", amount_fen=70))

    assert street.do(Task(do="reverse", stan=last["stan"]))["code"] == "00"
    assert street.town.his.verbs() == ["do", "do", "cancel"]
    assert [row["state"] for row in street.service.done()["payments"]] == ["booked", "reversed"]
    said = street.do(Task(do="settle"))
    assert (said["code"], said["balanced"]) == ("00", True)


def test_silence_is_told_as_silence_and_reversed():
    """Rule 11: the hospital does not say; the door keeps silent; the bank takes its money back."""
    street = Street()
    street.town.his.script += [UNKNOWN] * 30
    said = street.begin(Task(do="pay", patient="P0001", bill="M", amount_fen=5, within_ms=500))
    assert said == []
    street.town.pass_s(1)
    assert said[0]["code"] == ""
    assert [row["state"] for row in street.service.done()["payments"]] == ["unknown"]

    street.town.his.script.clear()
    street.town.his.script.append(DONE)
    taken_back = street.begin(Task(do="reverse"))
    street.town.pass_s(61)

    assert taken_back[0]["code"] == "00"
    assert [row["state"] for row in street.service.done()["payments"]] == ["reversed"]
    assert street.town.payments()[0].rest == "undone"


def test_a_refused_booking_is_refused():
    """The code of the door; the payment does not count at day-end."""
    street = Street()
    street.town.his.script.append(REFUSED)

    assert street.do(PAY)["code"] == "05"
    assert street.do(Task(do="settle"))["balanced"]


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (Task(do="reverse", stan="000099"), "no payment 000099"),
        (Task(do="pay", patient="P" * 21, bill="x", amount_fen=1), "more than 20 characters"),
    ],
)
def test_what_cannot_be_sent_says_why(task, said):
    """And nothing leaves."""
    street = Street()

    with pytest.raises(ValueError, match=said):
        street.do(task)
    assert street.town.his.sent == []


def test_a_lost_link_answers_with_silence_and_comes_back():
    """What was asked is not answered any more; a new link signs on anew."""
    street = Street()
    street.town.his.script += [HANG]
    said = street.begin(PAY)
    client, _ = street.town.net.ends[-1]
    client.loseConnection()
    street.town.settle()

    assert said[0]["code"] == ""
    with pytest.raises(ValueError, match="no link"):
        street.do(PAY)
    street.town.pass_s(5)
    assert street.service._link is not None


def test_a_dialect_in_which_banks_begin_nothing_is_named():
    """gz-ascii has no section origin."""
    with pytest.raises(ValueError, match="gz-ascii has no section origin"):
        Branch(load_dialect("gz-ascii"), KEY, lambda: ("20260704", "120000"))
