"""One payment on its way: leases, identities, late answers, recovery (I3, I5, I8, I13)."""

from structlog.testing import capture_logs

from switch.model.answer import AnswerState
from switch.model.outcome import Outcome, Reply
from switch.model.payment import EventKind, LegState, Rest
from tests.engine.rig import DONE, LIMITS, NOT_FOUND, REFUSED, UNKNOWN, House, Scripted


def unproven(house: House) -> None:
    """k1's sale is never answered, and every reversal is answered 25."""
    house.bank.script.extend([UNKNOWN, NOT_FOUND, NOT_FOUND, NOT_FOUND])
    house.pay()
    house.pass_s(720)
    assert house.stored().legs[1].state is LegState.UNPROVEN


def test_I13_without_a_lease_nothing_is_sent() -> None:
    """A node whose lease ran out between commit and write writes nothing, and goes on later."""
    house = House()
    house.beating = False
    house.bank.script.append(Scripted.HANG)
    house.pay()
    house.pass_s(31)
    house.bank.sent[0].reply.callback(DONE)
    house.settle()
    assert len(house.his.sent) == 1  # only the hold
    house.beating = True
    house.pass_s(10)
    assert house.stored().rest is Rest.DONE


def test_I13_a_renewed_lease_is_not_the_lease_of_the_commit() -> None:
    """The lease ran out and was renewed while the HSM was waited for: not ours to send."""
    house = House()
    house.beating = False
    house.bank.script.append(Scripted.HANG)
    house.pay()
    may_send = house.bank.sent[0].order.may_send
    assert may_send()
    house.pass_s(31)
    assert not may_send()
    house.journal.renew()
    assert house.journal.lease_left_ms() > 0
    assert not may_send()


def test_I1_an_undo_that_evidence_overtook_is_not_sent() -> None:
    """The reversal was committed and still waits for the HSM when the day's file proves that
    nothing stands: nothing is written for what is settled."""
    house = House()
    house.bank.script.extend([UNKNOWN, Scripted.HANG])
    house.pay()
    house.pass_s(61)
    undo = house.bank.sent[1].order
    assert undo.may_send()

    house.run(house.engine.batch_event("k1", 1, EventKind.ABSENT))

    assert house.stored().legs[1].state is LegState.UNDONE
    assert not undo.may_send()


def test_I3_a_repeat_that_is_being_taken_stands_in_nobodys_way() -> None:
    """The payment was let go of, and when it is to be taken up again its repeat is on its way to
    the journal, where it loses: the payment is driven on all the same."""
    house = House()
    house.bank.script.append(Scripted.HANG)
    house.pay()
    house.engine.lost(house.engine._live["k1"])
    house.faults.slow_ms = 3 * LIMITS.recovery_every_ms
    house.pay()
    assert house.engine._live["k1"].payment.version == 0
    house.pass_s(4 * LIMITS.recovery_every_ms / 1_000)
    house.faults.slow_ms = 0
    house.pass_s(120)

    assert house.stored().rest is Rest.UNDONE


def test_I13_another_node_takes_over_and_the_old_one_loses() -> None:
    """The taker reverses; what the stale node learns afterwards changes nothing."""
    old = House("node-a")
    old.beating = False
    old.bank.script.append(Scripted.HANG)
    old.pay()
    old.pass_s(31)
    new = House("node-b", old.town)
    assert new.run(new.engine.recover()).value == 1
    new.pass_s(31)
    old.bank.sent[0].reply.callback(REFUSED)
    old.settle()
    assert new.bank.verbs() == ["reversal"]
    assert new.stored().rest is Rest.UNDONE
    assert old.engine.live() == ()


def test_I5_an_approval_at_a_node_that_lost_the_payment_reaches_the_owner() -> None:
    """It is recorded unfenced, and opens the door of UNDONE-unproven at whoever drives it."""
    old = House("node-a")
    old.beating = False
    old.bank.script.append(Scripted.HANG)
    old.pay()
    old.pass_s(31)
    new = House("node-b", old.town)
    new.bank.script.extend([NOT_FOUND, NOT_FOUND, NOT_FOUND])
    new.run(new.engine.recover())
    new.pass_s(700)
    assert new.stored().legs[1].state is LegState.UNPROVEN
    old.bank.sent[0].reply.callback(DONE)
    old.settle()
    new.run(new.engine.take_late())
    old.pass_s(30)
    new.pass_s(30)
    assert "reversal" in new.bank.verbs()[3:] + old.bank.verbs()[1:]
    assert new.stored().legs[1].state is LegState.UNDONE


def test_I8_a_number_seen_before_is_given_up_for_the_next() -> None:
    """The database refuses the STAN; the next one is tried before anything is sent."""
    house = House()
    house.pay("k1")
    used = house.bank.identity(1)
    house.bank.identities.append(used)
    with capture_logs() as logs:
        assert house.pay("k2").answer.state is AnswerState.APPROVED
    assert house.stored("k2").legs[1].facts["F11"] != used.stan
    assert [line["invariant"] for line in logs if line["event"] == "identity_seen_before"] == ["I8"]


def test_I4_what_cannot_be_prepared_is_never_journaled_as_out() -> None:
    """No free terminal: the debit is refused in the same commit, so a crash finds no sale that
    has no number to reverse it by."""
    house = House()
    house.bank.unprepared = 1
    assert house.pay().answer.state is AnswerState.DECLINED
    trails = [trail for trail, _ in house.town.database.events.values()]
    assert not any("debit:doing" in trail for trail in trails)
    assert house.bank.sent == []


def test_a_booking_that_cannot_be_prepared_is_tried_again() -> None:
    """Rule 2: an unsent booking waits for its next try; the money is not given back for it."""
    house = House()
    house.his.script.append(DONE)
    house.bank.script.append(Scripted.HANG)
    tap = house.pay()
    house.his.unprepared = 1
    house.bank.sent[0].reply.callback(DONE)
    house.pass_s(3)
    assert tap.answer.state is AnswerState.APPROVED


def test_I5_a_late_approval_opens_the_door_of_unproven() -> None:
    """At rest, unproven: the approval says that it happened, so it is reversed once more."""
    house = House()
    unproven(house)
    sent = len(house.bank.sent)
    house.late()
    house.pass_s(1)
    assert house.bank.verbs()[sent:] == ["reversal"]
    assert house.stored().legs[1].state is LegState.UNDONE
    assert house.ask().state is AnswerState.RETURNED


def test_I7_a_late_approval_of_what_is_done_changes_nothing() -> None:
    """DONE stands, and the answer with it."""
    house = House()
    before = house.pay().answer
    with capture_logs() as logs:
        house.late()
    assert "payment" not in [line["event"] for line in logs]  # its end was said, and counted, once
    assert house.ask() == before
    assert house.engine.live() == ()


def test_I5_a_late_answer_that_two_sweeps_bring_is_marked_once_more_quietly() -> None:
    """A list read before the first mark brings it again: nothing breaks, nothing is repeated."""
    house = House()
    unproven(house)
    sent = len(house.bank.sent)
    house.faults.slow_ms = 300
    house.late()
    sweeps = [house.run(house.engine.take_late()) for _ in range(3)]
    house.pass_s(5)
    late = house.engine._late
    assert [sweep.value for sweep in sweeps] == [None] * 3
    assert [house.run(late._handled(1)).pending for _ in range(2)] == [True] * 2
    house.pass_s(1)
    assert house.bank.verbs()[sent:] == ["reversal"]


def test_I3_evidence_settles_what_is_unproven() -> None:
    """The settlement file has no line of it: undone, and proven; the answer's state stays."""
    house = House()
    unproven(house)
    assert house.run(house.engine.evidence("k1", 1, stands=False)).value is True
    assert house.stored().legs[1].state is LegState.UNDONE
    assert house.ask().state is AnswerState.RETURNED


def test_I3_evidence_that_it_stands_reverses_again() -> None:
    """The settlement file has a line of it: the reversal goes out once more."""
    house = House()
    unproven(house)
    sent = len(house.bank.sent)
    house.run(house.engine.evidence("k1", 1, stands=True))
    house.pass_s(1)
    assert house.bank.verbs()[sent:] == ["reversal"]
    assert house.stored().legs[1].state is LegState.UNDONE


def test_evidence_for_what_another_node_drives_is_not_taken() -> None:
    """It must be said to the driver."""
    house = House()
    house.bank.script.append(Scripted.HANG)
    house.pay()
    other = House("node-b", house.town)
    assert other.run(other.engine.evidence("k1", 1, stands=True)).value is False


def test_I3_a_restart_reverses_no_earlier_than_the_banks_time() -> None:
    """What was out at the crash is Unknown, and its reversal waits (rule 9)."""
    old = House("node-a")
    old.bank.script.append(Scripted.HANG)
    old.pay()
    old.journal.crash()
    old.pass_s(2)
    new = House("node-a", old.town)
    new.run(new.engine.recover())
    new.pass_s(20)
    assert new.bank.sent == []
    new.pass_s(12)
    assert new.bank.verbs() == ["reversal"]
    assert new.bank.sent[0].at - new.stored().legs[1].sent_at >= 32_000


def test_I3_what_was_written_late_is_reversed_no_earlier_than_the_banks_time() -> None:
    """The HSM took its time before the write: the reversal counts from the write (rule 9)."""
    house = House()
    house.bank.script.append(Scripted.HANG)
    house.pay()
    house.pass_s(1.5)
    assert house.bank.sent[0].order.may_send()
    house.bank.sent[0].reply.callback(UNKNOWN)
    house.pass_s(29.9)
    assert house.bank.verbs() == ["do"]
    house.pass_s(0.2)
    assert house.bank.verbs() == ["do", "reversal"]


def test_I3_what_comes_to_its_write_too_late_is_not_sent() -> None:
    """Otherwise a recovery could not know when its reversal may leave (rule 9)."""
    house = House()
    house.bank.script.append(Scripted.HANG)
    house.pay()
    house.pass_s(2.1)
    assert not house.bank.sent[0].order.may_send()


def test_I3_a_payment_let_go_of_while_the_database_was_away_is_taken_up_again() -> None:
    """No sweep would find it, for the fence is ours: it must be claimed until that succeeds."""
    house = House()
    house.beating = False
    house.bank.script.append(Scripted.HANG)
    house.pay()
    house.pass_s(31)
    house.bank.sent[0].reply.callback(DONE)
    house.settle()
    house.faults.is_down = True
    house.pass_s(20)
    house.faults.is_down = False
    house.beating = True
    house.pass_s(30)
    assert house.stored().rest is Rest.DONE


def test_I6_a_booking_refused_after_unknown_is_cancelled_before_the_debit_is_reversed() -> None:
    """Unknown is sticky: a later refusal does not settle it, only the cancel by our key does."""
    house = House()
    house.his.script.extend([DONE, UNKNOWN, Reply(outcome=Outcome.REFUSED, code="2003")])
    house.pay()
    house.pass_s(60)
    assert house.his.verbs()[-1] == "cancel"
    assert house.bank.verbs() == ["do", "reversal"]
    assert house.bank.sent[-1].at >= house.his.sent[-1].at
    assert house.stored().rest is Rest.UNDONE
