"""The channel against the bank simulator, in memory: what each kind of trouble ends as."""

import msgspec
import pytest
from structlog.testing import capture_logs

from channels.bank_simulator.entries import State
from channels.bank_simulator.service import BankDialer
from switch.model.outcome import Outcome
from switch.model.payment import LegKind, OnUnknown
from switch.ports import BalanceQuery
from tests.bank.rig import (
    MERCHANT,
    PAN,
    PIN,
    SETTINGS,
    Rig,
    card,
    do,
    payment,
    sell,
    sent_at,
    undo,
    with_facts,
)


def _first_terminal():
    return SETTINGS["terminals"][0]


def test_sale_is_approved_and_booked_once():
    """The plain way: prepared facts, an approval with its RRN, one debit in the bank's ledger."""
    rig = Rig()

    paid, reply = rig.run(sell(rig, payment(rig)))

    assert (reply.outcome, reply.code, reply.text) == (Outcome.DONE, "00", "交易成功")
    facts = paid.legs[0].facts
    assert facts["F37"] == "000000000003"
    assert facts["batch"] == "000001"
    assert facts["masked_pan"] == "622588******7890"
    (entry,) = rig.host.ledger.entries()
    assert (entry.amount_fen, entry.stan, entry.state) == (12_345, facts["F11"], State.BOOKED)


def test_I12_facts_hold_no_secret():
    """What is journaled names no card number, track or PIN block, and the vault can give F2."""
    rig = Rig()

    paid, _ = rig.run(sell(rig, payment(rig)))

    facts = paid.legs[0].facts
    text = repr(facts)
    assert PAN not in text
    assert not {"F35", "F36", "F52", "F55"} & facts.keys()
    assert "F44" not in facts, "the bank's free text is nothing that the journal needs"
    assert rig.run(rig.key_service.reveal(facts["F2"])).reveal() == PAN


@pytest.mark.parametrize(
    ("secrets", "code"),
    [(card(pan="6225881234560000"), "51"), (card(pin="000000"), "55"), (card(pan="6" * 16), "14")],
)
def test_definite_refusals(secrets, code):
    """Codes of the table that decline are Refused, and release the terminal."""
    rig = Rig()

    _, reply = rig.run(sell(rig, payment(rig), secrets))

    assert (reply.outcome, reply.code) == (Outcome.REFUSED, code)
    assert reply.text
    assert all(terminal.leases == 0 for terminal in rig.terminals)


@pytest.mark.parametrize("code", ["ZZ", "68", "98", "09", "96", "94"])
def test_I9_unmapped_and_unsure_codes_are_unknown(code):
    """A code that proves nothing, or that the table does not have, is Unknown."""
    rig = Rig()
    rig.habit("decline", code=code)

    _, reply = rig.run(sell(rig, payment(rig)))

    assert (reply.outcome, reply.code) == (Outcome.UNKNOWN, code)


def test_unmapped_code_names_itself():
    """The patient is shown the number that the bank gave."""
    rig = Rig()
    rig.habit("decline", code="ZZ")

    _, reply = rig.run(sell(rig, payment(rig)))

    assert reply.text == "交易失败(ZZ)"


def test_silence_is_unknown_then_the_reversal_undoes_it():
    """Booked but unanswered: Unknown after the bank's time, reason 98, and 0400 gives it back."""
    rig = Rig()
    rig.habit("silent")

    paid, reply = rig.run(sell(rig, payment(rig)), 61)
    assert (reply.outcome, reply.code) == (Outcome.UNKNOWN, "98")
    undone = rig.run(rig.channel.exchange(undo(paid), None))

    assert (undone.outcome, undone.code) == (Outcome.DONE, "00")
    (entry,) = rig.host.ledger.entries()
    assert entry.state is State.REVERSED
    assert rig.host.debits()["net_fen"] == 0


def test_reversal_is_built_from_the_journal_alone():
    """0400: the sale's F11, F61 from batch, STAN and date, the reason in F39; no track, no PIN."""
    rig = Rig()
    rig.habit("silent")
    paid, _ = rig.run(sell(rig, payment(rig)), 61)
    seen = []
    receive = rig.host.receive
    rig.host.receive = lambda frame: seen.append(rig.host.codec.decode(frame)) or receive(frame)

    rig.run(rig.channel.exchange(undo(paid), None))

    (message,) = seen
    facts = paid.legs[0].facts
    assert message.mti == "0400"
    assert message.fields["2"] == PAN
    assert message.fields["11"] == facts["F11"]
    assert message.fields["39"] == "98"
    assert message.fields["61"] == facts["batch"] + facts["F11"] + "0704"
    assert not {"35", "52", "53", "26"} & message.fields.keys()


def test_reversal_after_a_restart_needs_only_stored_keys():
    """A new process signs on first, then reverses with the new key what the old one sent."""
    rig = Rig()
    rig.habit("silent")
    paid, _ = rig.run(sell(rig, payment(rig)), 61)
    again = Rig(start=False)
    again.host, again.service.host = rig.host, rig.host
    again.key_rows.update(rig.key_rows)
    again.channel.start()
    again.settle()

    undone = again.run(again.channel.exchange(undo(paid), None))

    assert undone.outcome is Outcome.DONE


def test_repeated_reversal_is_acknowledged_again():
    """I3 at the bank: the same 0400 twice has one effect and two acknowledgements."""
    rig = Rig()
    rig.habit("silent")
    paid, _ = rig.run(sell(rig, payment(rig)), 61)

    first = rig.run(rig.channel.exchange(undo(paid), None))
    second = rig.run(rig.channel.exchange(undo(paid), None))

    assert (first.code, second.code) == ("00", "00")
    assert rig.host.ledger.spent_fen("rich") == 0


def test_reversal_before_its_sale_is_not_found_and_the_sale_still_books():
    """25 proves nothing (I5): the bank forgets it, and the original that overtakes it books."""
    rig = Rig()
    rig.habit("lose")
    sent = []
    receive = rig.host.receive
    rig.host.receive = lambda frame: sent.append(frame) or receive(frame)
    paid, _ = rig.run(sell(rig, payment(rig)), 61)

    undone = rig.run(rig.channel.exchange(undo(paid), None))
    receive(sent[0])

    assert (undone.outcome, undone.code, undone.not_found) == (Outcome.UNKNOWN, "25", True)
    assert rig.host.debits()["net_fen"] == 12_345


def test_tombstone_of_a_better_bank_refuses_the_late_sale():
    """With the habit on, a sale behind its reversal is refused and books nothing."""
    rig = Rig()
    rig.host.habits.tombstone = True
    rig.habit("lose")
    sent = []
    receive = rig.host.receive
    rig.host.receive = lambda frame: sent.append(frame) or receive(frame)
    paid, _ = rig.run(sell(rig, payment(rig)), 61)
    rig.run(rig.channel.exchange(undo(paid), None))

    receive(sent[0])

    assert rig.host.debits()["net_fen"] == 0


def test_reversal_refused_by_the_bank_is_refused():
    """Codes of the refused set end it (a person's case); all others are sent again."""
    rig = Rig()
    paid, _ = rig.run(sell(rig, payment(rig)))
    rig.habit("decline", on="reversal", code="12")
    assert rig.run(rig.channel.exchange(undo(paid), None)).outcome is Outcome.REFUSED

    rig.habit("decline", on="reversal", code="91")
    assert rig.run(rig.channel.exchange(undo(paid), None)).outcome is Outcome.UNKNOWN


def test_reversal_of_an_approved_sale_says_96():
    """The bank approved and the business could not finish: reason 96."""
    rig = Rig()
    paid, _ = rig.run(sell(rig, payment(rig)))
    seen = []
    receive = rig.host.receive
    rig.host.receive = lambda frame: seen.append(rig.host.codec.decode(frame)) or receive(frame)

    rig.run(rig.channel.exchange(undo(paid), None))

    assert seen[0].fields["39"] == "96"


def test_I5_late_approval_goes_to_the_machine():
    """An approval after the timer is proven like any other and handed over as late, once."""
    rig = Rig()
    rig.habit("late", delay_ms=70_000)
    paid, reply = rig.run(sell(rig, payment(rig)), 61)
    assert reply.outcome is Outcome.UNKNOWN

    rig.settle(20)

    ((key, leg, attempt, late),) = rig.late_replies
    assert (key, leg, attempt) == (paid.key, 0, 1)
    assert (late.outcome, late.code) == (Outcome.DONE, "00")


def test_I5_a_late_approval_of_what_another_process_sent_finds_its_payment():
    """K4: the process that sold is dead, its successor's reversal was answered 25, and then the
    approval comes over the new link."""
    rig = Rig()
    rig.habit("lose")
    paid, _ = rig.run(sell(rig, payment(rig)), 61)
    again = Rig(start=False)
    again.host, again.service.host = rig.host, rig.host
    again.key_rows.update(rig.key_rows)
    again.channel.start()
    again.settle()
    assert again.run(again.channel.exchange(undo(paid), None)).not_found

    facts = paid.legs[0].facts
    echoes = {number: facts[f"F{number}"] for number in ("3", "4", "11", "41")}
    fields = {**echoes, "39": "00", "37": "202607040001", "64": "00000000"}
    mak = again.bank.terminals[facts["F42"], facts["F41"]].mak
    approval = again.run(again.bank.hub.with_mac("0210", fields, mak))
    again.net.ends[0][0].take(len(approval).to_bytes(2, "big") + approval)
    again.settle()

    ((key, leg, attempt, late),) = again.late_replies
    assert (key, leg, attempt) == (paid.key, 0, 1)
    assert (late.outcome, late.code) == (Outcome.DONE, "00")


@pytest.mark.parametrize("habit", ["wrong_mac", "wrong_amount_echo"])
def test_I10_unauthentic_answer_changes_nothing(habit):
    """A wrong MAC, or a right one over another amount: it waits on and ends Unknown A0."""
    rig = Rig()
    rig.habit(habit)

    paid, reply = rig.run(sell(rig, payment(rig)), 61)

    assert (reply.outcome, reply.code) == (Outcome.UNKNOWN, "A0")
    assert rig.late_replies == []
    rig.run(rig.channel.exchange(undo(paid), None))
    assert rig.host.debits()["net_fen"] == 0


def test_I10_true_answer_behind_a_false_one_counts():
    """A forged frame before the true one costs nothing: the exchange waits for the one that
    proves itself (method: the forged frame is injected, the bank's own answer is late)."""
    rig = Rig()
    rig.habit("late", delay_ms=5_000)
    result = rig.begin(sell(rig, payment(rig)))
    rig.settle()
    client, _ = rig.net.ends[0]
    request = rig.bank.hub._mux.waiting[0].fields
    forged = rig.bank.hub.codec.encode(
        "0210",
        {**{n: request[n] for n in ("3", "4", "11", "41")}, "39": "00", "37": "X" * 12}
        | {"64": "00000000"},
    )
    client.take(len(forged).to_bytes(2, "big") + forged)
    assert not result

    rig.settle(6)

    _, reply = result[0]
    assert reply.outcome is Outcome.DONE


def test_I10_wrong_stan_matches_nothing():
    """An answer under another STAN is nobody's; the exchange ends Unknown."""
    rig = Rig()
    rig.habit("wrong_stan")

    _, reply = rig.run(sell(rig, payment(rig)), 61)

    assert (reply.outcome, reply.code) == (Outcome.UNKNOWN, "98")


def test_duplicate_answer_changes_nothing():
    """The second copy is known as a duplicate; nothing is late and the link stands."""
    rig = Rig()
    rig.habit("duplicate", delay_ms=500)

    _, reply = rig.run(sell(rig, payment(rig)))
    rig.settle(2)

    assert reply.outcome is Outcome.DONE
    assert rig.late_replies == []
    assert len(rig.bank.hub.links) == 1


def test_replayed_frame_changes_nothing():
    """Yesterday's approval sent again matches nothing in flight."""
    rig = Rig()
    rig.run(sell(rig, payment(rig)))
    _, server = rig.net.ends[0]
    replay = server.written[-200:]
    frame = replay[replay.rindex(b"\x60\x00\x00\x00\x03") - 2 :]

    rig.habit("silent")
    result = rig.begin(sell(rig, payment(rig, "p2")))
    rig.settle()
    rig.net.ends[0][0].take(frame)
    rig.settle()

    assert not result


def test_answer_without_mac_is_believed_only_for_listed_codes():
    """A0 without a MAC is a refusal (a fresh attempt allowed); 00 without one is nothing."""
    rig = Rig()
    rig.host.ledger.set_keys(
        MERCHANT,
        "10000001",
        msgspec.structs.replace(rig.host.ledger.keys(MERCHANT, "10000001"), mak=b"12345678"),
    )

    _, reply = rig.run(sell(rig, payment(rig)))

    assert (reply.outcome, reply.code, reply.again) == (Outcome.REFUSED, "A0", True)


def test_A0_signs_on_again_and_one_fresh_attempt_succeeds():
    """Rule 17: the bank lost our key; sign-on, new STAN, new PIN block, approved."""
    rig = Rig(terminals=[_first_terminal()])
    keys = rig.host.ledger.keys(MERCHANT, "10000001")
    rig.host.ledger.set_keys(
        MERCHANT, "10000001", msgspec.structs.replace(keys, mak=b"12345678", pik=b"x" * 16)
    )
    secrets = card()
    paid, first = rig.run(sell(rig, payment(rig), secrets))
    assert first.again

    paid, second = rig.run(sell(rig, paid, secrets))

    assert second.outcome is Outcome.DONE
    assert rig.terminals[0].keys.generation == 2
    assert len(rig.host.ledger.entries()) == 1


@pytest.mark.parametrize(("late_ms", "again"), [(4_900, True), (5_100, False)])
def test_a_late_A0_has_no_second_attempt(late_ms, again):
    """Rules 12 and 17: two attempts fit into the time that terminals must wait only when the first
    ended within ``queue_wait_ms`` of its sending; else it is a plain refusal."""
    rig = Rig(terminals=[_first_terminal()], queue_wait_ms=5_000)
    keys = rig.host.ledger.keys(MERCHANT, "10000001")
    wrong = msgspec.structs.replace(keys, mak=b"12345678")
    rig.host.ledger.set_keys(MERCHANT, "10000001", wrong)
    secrets, paid = card(), payment(rig)
    prepared = rig.run(rig.channel.prepare(do(paid), secrets))
    paid = sent_at(with_facts(paid, prepared.facts), rig.timeline.now_ms() - late_ms)

    reply = rig.run(rig.channel.exchange(do(paid), secrets))

    assert (reply.outcome, reply.code, reply.again) == (Outcome.REFUSED, "A0", again)


def test_batch_of_another_day_is_refused_77_and_adopted():
    """The bank went to a new batch: 77, sign-on names it, STANs start again under it."""
    rig = Rig(terminals=[_first_terminal()])
    keys = rig.host.ledger.keys(MERCHANT, "10000001")
    rig.host.ledger.set_keys(MERCHANT, "10000001", msgspec.structs.replace(keys, batch="000007"))

    paid, first = rig.run(sell(rig, payment(rig)))
    paid, second = rig.run(sell(rig, paid))

    assert (first.code, first.again) == ("77", True)
    assert second.outcome is Outcome.DONE
    assert paid.legs[0].facts["batch"] == "000007"
    assert paid.legs[0].facts["F60"].startswith("22000007")


def test_link_down_is_not_sent():
    """No link: nothing can have left, and the leg is NotSent; the channel is not ready."""
    rig = Rig()
    secrets = card()
    paid = payment(rig)
    paid = with_facts(paid, rig.run(rig.channel.prepare(do(paid), secrets)).facts)
    rig.net.refuse = True
    rig.net.ends[0][1].close()
    rig.settle()

    reply = rig.run(rig.channel.exchange(do(paid), secrets))

    assert reply.outcome is Outcome.NOT_SENT
    assert not rig.channel.ready("outpatient")
    assert rig.channel.health()["icbc.link"] != "up"


@pytest.mark.parametrize("down", ["translate_pin", "make_mac"])
def test_hsm_down_before_the_write_is_not_sent(down):
    """The HSM fails before the first byte: NotSent, and nothing reached the bank."""
    rig = Rig()
    rig.key_service.down = {down}

    _, reply = rig.run(sell(rig, payment(rig)))

    assert reply.outcome is Outcome.NOT_SENT
    assert rig.host.ledger.entries() == []


def test_hsm_down_while_preparing_means_not_prepared():
    """No vault, no journal entry with F2: prepare says no and gives the terminal back."""
    rig = Rig()
    rig.key_service.down = {"protect"}

    assert rig.run(rig.channel.prepare(do(payment(rig)), card())) is None
    assert all(terminal.leases == 0 for terminal in rig.terminals)


def test_hsm_down_while_checking_is_unknown():
    """The answer is there and cannot be checked: Unknown at once, never an approval."""
    rig = Rig()
    rig.key_service.down = {"check_mac"}

    _, reply = rig.run(sell(rig, payment(rig)))

    assert reply.outcome is Outcome.UNKNOWN


def test_half_frame_and_dropped_link_are_unknown_then_reversed_on_a_new_link():
    """Booked, torso of an answer, link gone: Unknown; the new link signs on and reverses."""
    rig = Rig()
    rig.habit("half_frame")

    paid, reply = rig.run(sell(rig, payment(rig)), 61)
    undone = rig.run(rig.channel.exchange(undo(paid), None))

    assert reply.outcome is Outcome.UNKNOWN
    assert undone.outcome is Outcome.DONE
    assert len(rig.net.ends) == 2


def test_pool_is_exhausted_waits_in_line_and_refuses_beyond_it():
    """Two terminals: a third sale waits and gets the first freed; the line is bounded (I11)."""
    rig = Rig()
    for _ in range(2):
        rig.habit("late", delay_ms=1_000)
    first = rig.begin(sell(rig, payment(rig, "p1")))
    second = rig.begin(sell(rig, payment(rig, "p2")))
    rig.settle()
    third = rig.begin(sell(rig, payment(rig, "p3")))
    fourth = rig.begin(rig.channel.prepare(do(payment(rig, "p4")), card()))
    fifth = rig.begin(rig.channel.prepare(do(payment(rig, "p5")), card()))
    rig.settle()
    assert fifth == [None]

    rig.settle(1.5)

    assert all(done[0][1].outcome is Outcome.DONE for done in (first, second, third))
    assert fourth[0] is not None


def test_waiting_in_line_is_bounded():
    """Nobody gives a terminal back: after queue_wait_ms the answer is None."""
    rig = Rig(terminals=[_first_terminal()])
    rig.run(rig.channel.prepare(do(payment(rig, "p1")), card()))

    assert rig.run(rig.channel.prepare(do(payment(rig, "p2")), card()), 3.1) is None


def test_lost_lease_is_taken_back():
    """A lease nobody returned is reclaimed once every exchange it could be for has ended."""
    rig = Rig(terminals=[_first_terminal()])
    rig.run(rig.channel.prepare(do(payment(rig, "p1")), card()))
    rig.settle(130)

    assert rig.run(rig.channel.prepare(do(payment(rig, "p2")), card())) is not None


def test_reversal_frees_the_terminal_and_has_its_own_lane():
    """A leg being undone holds no terminal: the next sale goes on beside it."""
    rig = Rig(terminals=[_first_terminal()])
    rig.habit("silent")
    paid, _ = rig.run(sell(rig, payment(rig)), 61)
    rig.habit("silent", on="reversal")
    undoing = rig.begin(rig.channel.exchange(undo(paid), None))

    _, reply = rig.run(sell(rig, payment(rig, "p2")))

    assert reply.outcome is Outcome.DONE
    assert not undoing


def test_I8_identity_and_stan_blocks():
    """Every sale has its own (batch, STAN); blocks are refilled ahead of need."""
    rig = Rig(terminals=[_first_terminal()])
    identities = []
    for n in range(12):
        paid = payment(rig, f"p{n}")
        identities.append(rig.run(rig.channel.prepare(do(paid), card())).identity)
        rig.channel.release(do(paid))

    assert len({identity.stan for identity in identities}) == 12
    assert {identity.batch for identity in identities} == {"000001"}
    assert identities[0].merchant == MERCHANT


def test_pin_is_required_by_configuration():
    """Without a PIN block nothing is prepared where the route demands one."""
    rig = Rig()

    assert rig.run(rig.channel.prepare(do(payment(rig)), card(with_pin=False))) is None


def test_unknown_clearing_is_not_prepared():
    """No terminal serves the inpatient clearing: None at once, no waiting in line."""
    rig = Rig()

    paid = payment(rig, clearing="inpatient")

    assert rig.run(rig.channel.prepare(do(paid), card())) is None
    assert not rig.channel.ready("inpatient")


def test_restart_between_commit_and_send_is_not_sent_here():
    """Without the card's secrets (after a restart) a DO cannot leave."""
    rig = Rig()

    assert rig.run(rig.channel.exchange(do(payment(rig)), None)).outcome is Outcome.NOT_SENT


def test_balance():
    """0200/310000 with PIN: the available amount of field 54, terminal given back."""
    rig = Rig()
    query = BalanceQuery(clearing="outpatient", secrets=card())

    answer = rig.run(rig.channel.inquire("balance", query))
    wrong = rig.run(
        rig.channel.inquire("balance", msgspec.structs.replace(query, secrets=card(pin="9" * 6)))
    )

    assert (answer.ok, answer.body) == (True, {"balance_fen": 1_000_000})
    assert (wrong.ok, wrong.code) == (False, "55")
    assert all(terminal.leases == 0 for terminal in rig.terminals)


def test_other_inquiries_are_refused():
    """A bank has no patients."""
    rig = Rig()
    query = BalanceQuery(clearing="outpatient", secrets=card())

    assert not rig.run(rig.channel.inquire("patient_query", query)).ok


def test_policy_is_reversal_for_ever():
    """What the engine is told of a debit here."""
    policy = Rig(start=False).channel.policy(LegKind.DEBIT, "outpatient")

    assert policy.on_unknown is OnUnknown.UNDO
    assert [str(rung.kind) for rung in policy.ladder] == ["reversal"]
    assert (policy.timeout_ms, policy.attempts) == (60_000, 2)


@pytest.mark.parametrize(("time", "date"), [("225959", "20260704"), ("230000", "20260705")])
def test_I14_business_date_turns_at_the_cutover(time, date):
    """23:00 begins tomorrow's business day."""
    rig = Rig(start=False)
    rig.timeline.fixed = ("20260704", time)

    assert rig.channel.business_date() == date


def test_bank_that_dials_us_is_served_by_the_same_session():
    """Server mode: the bank connects, terminals sign on, a sale is approved."""
    door = {"mode": "server", "host": "0.0.0.0", "port": 9000, "accept_limit": 1, "peer_limit": 1}
    rig = Rig(links=[{**door, "allow": ["127.0.0.1"]}])
    rig.net.connectTCP("switch", 9000, BankDialer(rig.service))
    rig.settle()

    _, reply = rig.run(sell(rig, payment(rig)))

    assert reply.outcome is Outcome.DONE
    assert PIN not in repr(reply)


def test_a_merchant_role_without_terminals_is_named_in_one_log_line():
    """The channel is not ready for it, however well the link stands, and says field and rule."""
    rig = Rig()
    with capture_logs() as logs:
        assert not rig.channel.ready("dental")
        assert rig.channel.ready("outpatient")
    [line] = logs
    assert (line["log_level"], line["field"], line["bank"]) == ("warning", "clearing", "icbc")
    assert line["rule"] == "no terminal that everybody may use is of clearing 'dental'"
