"""Goal: every call to a hospital ends as NotSent, Done, Refused or Unknown, as the rules say."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from his_bridge.policy import Level
from his_bridge.simulator_habits import Habit, Mode
from switch.model.hospital import BillQuery, PatientQuery
from switch.model.outcome import Outcome, Verb
from switch.model.payment import GiveUp, LegKind, OnUnknown, RungKind
from tests.his.rig import World, http_answer, order_for, soap_answer

GOOD = (
    '<?xml version="1.0" encoding="gb2312"?><MENZHENJS_OUT><OUTMSG><ERRNO>0</ERRNO><ERRMSG/>'
    "</OUTMSG><JIAOYILSH>K1</JIAOYILSH><DANJUHAO>BP1-1</DANJUHAO><JINE>12.30</JINE>"
    "<FAPIAOHAO>F1</FAPIAOHAO></MENZHENJS_OUT>"
)


def refusal(code: str, echo: str = "") -> bytes:
    return soap_answer(
        f"<MENZHENJS_OUT><OUTMSG><ERRNO>{code}</ERRNO><ERRMSG>停诊</ERRMSG></OUTMSG>{echo}"
        "</MENZHENJS_OUT>",
        "-1",
    )


def fault(code: str) -> bytes:
    return http_answer(
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>'
        f"<faultcode>s:{code}</faultcode><faultstring>no</faultstring></s:Fault></s:Body>"
        "</s:Envelope>".encode(),
        500,
    )


OURS = (
    "<JIAOYILSH>K1</JIAOYILSH><DANJUHAO>BP1-1</DANJUHAO><JINE>12.3</JINE><FAPIAOHAO>F1</FAPIAOHAO>"
)

CASES: list[tuple[str, bytes | None, Outcome, str]] = [
    ("success", soap_answer(GOOD), Outcome.DONE, "0"),
    ("listed refusal", refusal("2005"), Outcome.REFUSED, "2005"),
    ("refusal with the hospital's own text", refusal("2009"), Outcome.REFUSED, "2009"),
    ("unmapped code", refusal("7777"), Outcome.UNKNOWN, "7777"),
    ("already paid, ours", refusal("2002", OURS), Outcome.DONE, "2002"),
    ("already paid, by whom?", refusal("2002"), Outcome.UNKNOWN, "not_ours"),
    ("already paid, another key", refusal("2002", OURS.replace("K1", "K2")), Outcome.UNKNOWN, ""),
    ("another amount", soap_answer(GOOD.replace("12.30", "123.00")), Outcome.UNKNOWN, "not_ours"),
    ("another bill", soap_answer(GOOD.replace("BP1-1", "BP1-2")), Outcome.UNKNOWN, "not_ours"),
    ("another key", soap_answer(GOOD.replace("K1", "K2")), Outcome.UNKNOWN, "not_ours"),
    ("amount gone", soap_answer(GOOD.replace("JINE", "JINEX")), Outcome.UNKNOWN, "not_ours"),
    ("3 decimals", soap_answer(GOOD.replace("12.30", "12.300")), Outcome.UNKNOWN, "bad_amount"),
    ("9,000 digits", soap_answer(GOOD.replace("12.30", "1" * 9000)), Outcome.UNKNOWN, "too_long"),
    ("no receipt number", soap_answer(GOOD.replace("FAPIAOHAO", "X")), Outcome.UNKNOWN, "no_fact"),
    ("flag missing", soap_answer(GOOD.replace("ERRNO", "X")), Outcome.UNKNOWN, "no_flag"),
    ("flag empty", soap_answer(GOOD.replace("<ERRNO>0", "<ERRNO>")), Outcome.UNKNOWN, "no_flag"),
    ("return value no number", soap_answer(GOOD, "ok"), Outcome.UNKNOWN, "no_flag"),
    ("flags contradict", soap_answer(GOOD, "-1"), Outcome.UNKNOWN, "contradiction"),
    ("another root", soap_answer("<X_OUT/>"), Outcome.UNKNOWN, "other_root"),
    ("inner XML broken", soap_answer("<MENZHENJS_OUT>"), Outcome.UNKNOWN, "invalid_xml"),
    ("inner DTD", soap_answer("<!DOCTYPE x><MENZHENJS_OUT/>"), Outcome.UNKNOWN, "dtd"),
    ("nothing inside", soap_answer(""), Outcome.UNKNOWN, "empty"),
    ("empty body", http_answer(b""), Outcome.UNKNOWN, "empty"),
    ("HTML page", http_answer(b"<html><body>x</body></html>"), Outcome.UNKNOWN, "no_envelope"),
    ("HTML with a doctype", http_answer(b"<!DOCTYPE html><html/>"), Outcome.UNKNOWN, "dtd"),
    ("HTTP 500", soap_answer(GOOD).replace(b"200", b"500", 1), Outcome.UNKNOWN, "http_500"),
    ("HTTP 502", http_answer(b"bad gateway", 502), Outcome.UNKNOWN, "http_502"),
    ("definite fault", fault("Client"), Outcome.REFUSED, "Client"),
    ("any other fault", fault("Server"), Outcome.UNKNOWN, "fault"),
    ("GBK under UTF-8", soap_answer(GOOD + "张").decode().encode("gbk"), Outcome.UNKNOWN, ""),
    ("10 MB", http_answer(b"x" * 10_000_000), Outcome.UNKNOWN, "oversize"),
    ("not HTTP", b"220 ftp ready\r\n\r\n", Outcome.UNKNOWN, "bad_start_line"),
    ("connection dropped", None, Outcome.UNKNOWN, "connection_lost"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "outcome", "code"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
@pytest.mark.parametrize("piece_bytes", [0, 1_000])
def test_I9_confirm_answer_has_three_values(
    world: World, answer: bytes | None, outcome: Outcome, code: str, piece_bytes: int
) -> None:
    """Goal: the table of his-profile.md, whole and in pieces."""
    world.net.piece_bytes = piece_bytes
    world.answers(answer)
    hospital = world.hospital()

    reply = world.exchange(hospital, order_for(hospital, LegKind.BOOK))

    assert reply.outcome is outcome
    if code:
        assert reply.code == code


def test_success_brings_the_receipt_and_sends_what_the_profile_says(world: World) -> None:
    """Goal: facts of the answer, bank fields and hold facts in the request, never the card."""
    world.answers(soap_answer(GOOD))
    hospital = world.hospital()
    order = order_for(hospital, LegKind.BOOK, facts={"his_settle_no": "YJ77"})

    reply = world.exchange(hospital, order)

    sent = b"".join(world.seen)
    assert reply.facts == {"his_receipt": "F1"}
    for part in (b"K1", b"YJ77", b"000123", b"123456789012", b"12.30", b"ZZ01"):
        assert part in sent
    assert b"vaulted" not in sent


def test_unreadable_answer_is_kept_as_evidence_with_long_numbers_masked(world: World) -> None:
    """Goal: a person can see what came, and no card number comes with it (I12)."""
    world.answers(http_answer(b"<html>card 6225880123456789</html>"))
    hospital = world.hospital()

    reply = world.exchange(hospital, order_for(hospital, LegKind.BOOK))

    assert reply.facts["his_raw"] == "<html>card 622588******6789</html>"


def test_I12_a_card_number_in_the_code_is_masked(world: World) -> None:
    """Goal: a HIS that puts a card number where its code belongs gets it journaled nowhere."""
    odd = GOOD.replace("<ERRNO>0<", "<ERRNO>6225880123456789<")
    world.answers(soap_answer(odd, returned="-1"))
    hospital = world.hospital()

    reply = world.exchange(hospital, order_for(hospital, LegKind.BOOK))

    assert reply.outcome is Outcome.UNKNOWN
    assert "6225880123456789" not in str(reply)


def test_I9_refused_connection_is_not_sent(world: World) -> None:
    """Goal: nobody listens, so nothing can have happened."""
    hospital = world.hospital()

    reply = world.exchange(hospital, order_for(hospital, LegKind.BOOK))

    assert (reply.outcome, reply.code) == (Outcome.NOT_SENT, "not_connected")


def test_I9_black_hole_on_connect_is_not_sent(world: World) -> None:
    """Goal: no connection within its time: no byte left."""
    world.net.black_hole = True
    hospital = world.hospital()

    reply = world.exchange(hospital, order_for(hospital, LegKind.BOOK), seconds=2)

    assert (reply.outcome, reply.code) == (Outcome.NOT_SENT, "connect_timeout")


@pytest.mark.parametrize(
    "answer",
    [b"", soap_answer(GOOD)[:-20], b"HTTP/1.1 200 OK\r\n"],
    ids=["silent", "half", "half head"],
)
def test_I9_silence_after_sending_is_unknown_at_the_timeout(world: World, answer: bytes) -> None:
    """Goal: the profile's 10 s bound the exchange, however much of an answer has come."""
    world.answers(answer)
    hospital = world.hospital()
    order = order_for(hospital, LegKind.BOOK)

    began = world.net.seconds()
    reply = world.exchange(hospital, order)

    assert (reply.outcome, reply.code) == (Outcome.UNKNOWN, "timeout")
    assert world.net.seconds() - began <= order.leg.policy.timeout_ms / 1000 + 0.25


def test_I11_answer_that_drips_in_ends_at_the_deadline(world: World) -> None:
    """Goal: a byte a second does not buy more time."""
    world.answers(b"")
    hospital = world.hospital()
    ends: list[Any] = []
    Deferred.fromCoroutine(hospital.exchange(order_for(hospital, LegKind.BOOK), None)).addCallback(
        ends.append
    )
    world.net.run(0.1)
    for byte in soap_answer(GOOD)[:12]:
        world.net.clients[0].peer.write(bytes([byte]))
        world.net.run(1)

    assert [end.outcome for end in ends] == [Outcome.UNKNOWN]


def test_unsendable_value_is_not_sent(world: World) -> None:
    """Goal: a quote for a HIS that builds SQL, a control character, an endless value."""
    world.answers(soap_answer(GOOD))
    hospital = world.hospital()
    for patient in ("P'1", "P\x001", "P" * 500):
        reply = world.exchange(hospital, order_for(hospital, LegKind.BOOK, patient=patient))
        assert reply.outcome is Outcome.NOT_SENT

    assert world.seen == []


# ---- asking and undoing, against the real simulator ----------------------------------------------


def test_hold_confirm_ask_cancel_ask(world: World) -> None:
    """Goal: the life of one booking at level L3, and its tombstone."""
    wire = world.simulator()
    bill = wire.host.ledger.unpaid("P1")[0]
    hospital = world.hospital()

    def make(kind: LegKind, verb: Verb) -> Any:
        order = order_for(hospital, kind, verb, bill=bill.bill, amount_fen=bill.amount_fen)
        return world.exchange(hospital, order)

    absent = make(LegKind.BOOK, Verb.ASK)
    assert (absent.outcome, absent.not_found) == (Outcome.UNKNOWN, True)
    hold = make(LegKind.HOLD, Verb.DO)
    assert hold.outcome is Outcome.DONE
    assert hold.facts["his_settle_no"].startswith("YJ")
    pending = make(LegKind.BOOK, Verb.ASK)
    assert (pending.outcome, pending.not_found) == (Outcome.UNKNOWN, True)
    first = make(LegKind.BOOK, Verb.DO)
    again = make(LegKind.BOOK, Verb.DO)
    assert first.outcome is Outcome.DONE
    assert first.facts == again.facts
    assert make(LegKind.BOOK, Verb.ASK).outcome is Outcome.DONE
    assert make(LegKind.BOOK, Verb.UNDO).outcome is Outcome.DONE
    assert make(LegKind.BOOK, Verb.UNDO).outcome is Outcome.DONE
    assert make(LegKind.BOOK, Verb.ASK).outcome is Outcome.REFUSED
    late = make(LegKind.BOOK, Verb.DO)
    assert (late.outcome, late.code) == (Outcome.REFUSED, "2005")
    assert [row.state for row in wire.host.ledger.bookings()] == ["cancelled"]


def test_unbook_cancels_the_original(world: World) -> None:
    """Goal: the un-booking of a refund goes by the original's key and can be asked for."""
    wire = world.simulator()
    bill = wire.host.ledger.unpaid("P1")[0]
    hospital = world.hospital()
    paid = order_for(hospital, LegKind.BOOK, key="K0", bill=bill.bill, amount_fen=bill.amount_fen)
    world.exchange(hospital, paid)
    unbook = order_for(hospital, LegKind.UNBOOK, key="K9", amount_fen=bill.amount_fen)
    ask = order_for(hospital, LegKind.UNBOOK, Verb.ASK, key="K9", bill=bill.bill,
                    amount_fen=bill.amount_fen)  # fmt: skip

    before = world.exchange(hospital, ask)
    reply = world.exchange(hospital, unbook)
    after = world.exchange(hospital, ask)

    assert (before.outcome, before.not_found) == (Outcome.UNKNOWN, True)
    assert reply.outcome is Outcome.DONE
    assert after.outcome is Outcome.DONE


@pytest.mark.parametrize("verb", [Verb.ASK, Verb.UNDO])
def test_ask_and_undo_find_what_a_500_hid(world: World, verb: Verb) -> None:
    """Goal: a HIS that books and answers 500: Unknown, then found or taken back."""
    wire = world.simulator()
    wire.habits.put(Habit(mode=Mode.BOOK_THEN_500, count=1))
    bill = wire.host.ledger.unpaid("P1")[0]
    hospital = world.hospital()

    def order(what: Verb) -> Any:
        return order_for(hospital, LegKind.BOOK, what, bill=bill.bill, amount_fen=bill.amount_fen)

    assert world.exchange(hospital, order(Verb.DO)).outcome is Outcome.UNKNOWN
    assert world.exchange(hospital, order(verb)).outcome is Outcome.DONE


# ---- inquiries -----------------------------------------------------------------------------------


def test_patient_and_bills_come_as_builtins(world: World) -> None:
    """Goal: typed, exact 分, Chinese intact, codes translated."""
    wire = world.simulator()
    hospital = world.hospital()

    patient = world.net.result(hospital.inquire("patient_query", PatientQuery(card_no="P7")))
    bills = world.net.result(hospital.inquire("bill_query", BillQuery(patient_id="P7")))

    assert patient.ok
    assert patient.body["patient_id"] == "P7"
    assert patient.body["gender"] in ("男", "女")
    expected = [(row.bill, row.amount_fen) for row in wire.host.ledger.unpaid("P7")]
    assert [(bill["bill_id"], bill["amount_fen"]) for bill in bills.body] == expected


def test_refused_and_unsupported_inquiries_say_why(world: World) -> None:
    """Goal: a sentence instead of an exception."""
    world.simulator()
    hospital = world.hospital()

    unknown = world.net.result(hospital.inquire("patient_query", PatientQuery(card_no="0")))
    other = world.net.result(hospital.inquire("reports", PatientQuery(card_no="1")))

    assert (unknown.ok, unknown.code) == (False, "1001")
    assert (other.ok, other.code) == (False, "unsupported")


@pytest.mark.parametrize("amount", ["-1.00", "0.00", "1.005", "1e3", "9999999999999", "", "1,00"])
def test_I16_bill_with_a_bent_amount_is_refused(world: World, amount: str) -> None:
    """Goal: negative, zero, overflowing and inexact amounts never reach a kiosk."""
    world.answers(
        soap_answer(
            "<FEIYONGMX_OUT><OUTMSG><ERRNO>0</ERRNO></OUTMSG><FEIYONGLB><FEIYONG><DANJUHAO>1"
            f"</DANJUHAO><FEIYONGMC>x</FEIYONGMC><JINE>{amount}</JINE></FEIYONG></FEIYONGLB>"
            "</FEIYONGMX_OUT>"
        )
    )
    hospital = world.hospital()

    reply = world.net.result(hospital.inquire("bill_query", BillQuery(patient_id="P7")))

    assert not reply.ok
    assert reply.code in ("bad_amount", "no_field")


# ---- breaker -------------------------------------------------------------------------------------


def test_I6_breaker_stops_new_debits_and_lets_running_bookings_pass(world: World) -> None:
    """Goal: three failures open it, a probe closes it when the HIS is back."""
    hospital = world.hospital()
    book = order_for(hospital, LegKind.BOOK)
    for _ in range(3):
        assert hospital.ready("outpatient")
        world.exchange(hospital, book)

    assert not hospital.ready("outpatient")
    assert hospital.health() == {"his:h1": "breaker open"}
    assert world.net.result(hospital.prepare(order_for(hospital, LegKind.HOLD), None)) is None
    assert world.net.result(hospital.prepare(book, None)) is not None
    assert not world.net.result(hospital.inquire("bill_query", BillQuery(patient_id="P"))).ok
    connects = world.net.connects
    world.exchange(hospital, book)
    assert world.net.connects == connects + 1

    world.net.run(6)
    assert not hospital.ready("outpatient")
    world.simulator()
    world.net.run(6)
    assert hospital.ready("outpatient")
    assert hospital.health() == {"his:h1": "up"}


def test_refusals_and_unmapped_codes_do_not_open_the_breaker(world: World) -> None:
    """Goal: a HIS that answers is there, whatever it says."""
    world.answers(refusal("7777"))
    hospital = world.hospital()
    for _ in range(10):
        world.exchange(hospital, order_for(hospital, LegKind.BOOK))

    assert hospital.ready("outpatient")


# ---- policies ------------------------------------------------------------------------------------


def test_policy_L3_resends_then_cancels(world: World) -> None:
    """Goal: rule 5 of docs/payment-law.md, idempotent and cancel."""
    hospital = world.hospital(level=Level.L3)
    book, hold = (hospital.policy(kind, "") for kind in (LegKind.BOOK, LegKind.HOLD))

    assert (book.on_unknown, book.give_up) == (OnUnknown.RESEND, GiveUp.UNDO)
    assert [rung.kind for rung in book.ladder] == [RungKind.CANCEL]
    assert book.ask_times == 3
    assert (hold.on_unknown, hold.lapses) == (OnUnknown.UNDO, False)
    assert [rung.kind for rung in hold.ladder] == [RungKind.UNLOCK]


def test_policy_L2_asks_and_believes_absence_twice(world: World) -> None:
    """Goal: rule 5, query only."""
    hospital = world.hospital(level=Level.L2)
    book, hold = (hospital.policy(kind, "") for kind in (LegKind.BOOK, LegKind.HOLD))

    assert (book.on_unknown, book.give_up, book.ladder) == (OnUnknown.ASK, GiveUp.STOP, ())
    assert (book.absent_times, book.absent_wait_ms, book.resend_absent) == (2, 30_000, True)
    assert (hold.lapses, hold.ladder) == (True, ())


def test_policy_L1_tries_once(world: World) -> None:
    """Goal: rule 5, neither."""
    book = world.hospital(level=Level.L1).policy(LegKind.BOOK, "")

    assert (book.on_unknown, book.give_up, book.ladder) == (OnUnknown.STOP, GiveUp.STOP, ())
    assert book.ask_times == 0
    assert not book.resend_absent


def test_stop_ends_running_calls_as_unknown(world: World) -> None:
    """Goal: a stop leaves nobody waiting."""
    world.answers(b"")
    hospital = world.hospital()
    ends: list[Any] = []
    Deferred.fromCoroutine(hospital.exchange(order_for(hospital, LegKind.BOOK), None)).addCallback(
        ends.append
    )
    world.net.run(0.1)
    world.net.result(hospital.stop())
    after = world.exchange(hospital, order_for(hospital, LegKind.BOOK))

    assert [end.outcome for end in ends] == [Outcome.UNKNOWN]
    assert (after.outcome, after.code) == (Outcome.NOT_SENT, "stopped")
