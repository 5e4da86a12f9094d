"""The engine at its doors: repeats, conflicts, tombstones, refusals (ports.Front)."""

import pytest
from structlog.testing import capture_logs

from switch.model.answer import AnswerState
from switch.model.payment import Rest
from tests.engine.rig import NOT_FOUND, REFUSED, UNKNOWN, House, Scripted, request, secrets


def alarms(logs: list[dict], event: str) -> list[str]:
    """The invariants that log lines of this name cite."""
    return [line.get("invariant", "") for line in logs if line["event"] == event]


def test_a_payment_goes_hold_debit_book_and_is_approved() -> None:
    """The plain way: three exchanges, four commits, one answer."""
    house = House()
    answer = house.pay().answer
    assert (answer.state, answer.version) == (AnswerState.APPROVED, 4)
    assert (house.his.verbs(), house.bank.verbs()) == (["do", "do"], ["do"])


def test_I7_same_key_same_content_gives_the_same_answer_and_sends_nothing() -> None:
    """A repeat is answered from the journal, for ever."""
    house = House()
    first = house.pay().answer
    assert house.pay().answer == first
    assert House("node-b", house.town).pay().answer == first
    assert len(house.bank.sent) == 1


def test_I7_a_repeat_while_it_is_under_way_waits_for_the_same_end() -> None:
    """Two taps, one payment, one end for both."""
    house = House()
    house.bank.script.append(Scripted.HANG)
    taps = [house.pay(), house.pay()]
    assert all(tap.pending for tap in taps)
    house.bank.sent[0].reply.callback(REFUSED)
    house.settle()
    assert [tap.answer.state for tap in taps] == [AnswerState.DECLINED] * 2
    assert len(house.bank.sent) == 1


@pytest.mark.parametrize("change", [{"amount_fen": 1}, {"bill": "other"}, {"terminal": "t2"}])
def test_I8_same_key_other_content_is_refused_and_alarmed(change: dict) -> None:
    """Whoever reuses a key for something else gets nothing of it, and a person hears."""
    house = House()
    house.pay()
    with capture_logs() as logs:
        answer = house.pay(**change).answer
    assert (answer.state, answer.code) == (AnswerState.REFUSED, "key_reused")
    assert alarms(logs, "key_reused") == ["I8"]
    assert len(house.bank.sent) == 1


def test_I7_a_query_for_an_unknown_key_leaves_a_tombstone() -> None:
    """The late request behind the query is refused for ever."""
    house = House()
    assert house.ask().state is AnswerState.UNKNOWN_KEY
    assert house.pay().answer.state is AnswerState.UNKNOWN_KEY
    assert house.ask().state is AnswerState.UNKNOWN_KEY
    assert (house.his.sent, house.bank.sent) == ([], [])


def test_a_key_of_another_terminal_is_not_told() -> None:
    """A terminal asks for its own keys only."""
    house = House()
    house.pay()
    assert house.ask(terminal="t9").code == "foreign_key"


def test_I8_one_live_payment_per_bill() -> None:
    """A second payment of a bill is refused while the first lives, and taken when it is undone."""
    house = House()
    house.bank.script.append(Scripted.HANG)
    house.pay("k1", bill="b")
    assert house.pay("k2", bill="b").answer.code == "bill"
    house.bank.sent[0].reply.callback(REFUSED)
    house.settle()
    assert house.pay("k3", bill="b").answer.state is AnswerState.APPROVED


def test_pending_is_superseded_by_the_end() -> None:
    """After the wait a terminal hears PENDING; later, by asking or watching, the end."""
    house = House()
    seen = []
    house.engine.watch("t1", seen.append)
    house.bank.script.append(UNKNOWN)
    house.bank.script.append(Scripted.HANG)
    tap = house.pay()
    house.pass_s(61)
    assert tap.answer.state is AnswerState.PENDING
    house.bank.sent[-1].reply.callback(NOT_FOUND)
    house.pass_s(700)
    end = house.ask()
    assert end.state is AnswerState.RETURNED
    assert end.version > tap.answer.version
    assert seen[-1] == end


def test_I4_the_journal_is_down_so_nothing_is_sent() -> None:
    """Refused, not journaled, not sent; the same key is taken when the database is back."""
    house = House()
    house.faults.is_down = True
    assert house.pay().answer.code == "journal"
    assert (house.his.sent, house.bank.sent) == ([], [])
    house.faults.is_down = False
    assert house.pay().answer.state is AnswerState.APPROVED


def test_I4_an_answer_is_kept_while_the_database_is_away() -> None:
    """The approval waits in memory; the hospital is not called on an uncommitted approval."""
    house = House()
    house.bank.script.append(Scripted.HANG)
    tap = house.pay()
    house.faults.is_down = True
    house.bank.sent[0].reply.callback(REFUSED)
    house.pass_s(5)
    assert tap.pending
    assert len(house.his.sent) == 1
    house.faults.is_down = False
    house.pass_s(1)
    assert tap.answer.state is AnswerState.DECLINED


@pytest.mark.parametrize(("who", "code"), [("bank", "channel_down"), ("his", "hospital_down")])
def test_out_of_service_takes_nothing_new_and_answers_known_keys(who: str, code: str) -> None:
    """No debit while the bank is away or the hospital cannot book (I6); repeats are answered."""
    house = House()
    known = house.pay("k1").answer
    getattr(house, who).is_ready = False
    assert house.pay("k2").answer.code == code
    assert house.pay("k1").answer == known
    assert house.ask("k1") == known


def test_I11_too_many_payments_are_refused_early() -> None:
    """Beyond the limit a new payment is told to come again; nothing is journaled for it."""
    limits = House().engine._limits
    house = House(limits=type(limits)(**{**_asdict(limits), "payments_in_flight": 1}))
    house.bank.script.append(Scripted.HANG)
    house.pay("k1")
    assert house.pay("k2").answer.code == "busy"
    assert "k2" not in house.town.database.rows


def _asdict(limits: object) -> dict[str, int]:
    return {name: getattr(limits, name) for name in limits.__struct_fields__}


def test_I12_secrets_are_dropped_once_the_debit_is_settled() -> None:
    """Track and PIN block are there for the sale and for nothing after it."""
    house = House()
    house.his.script.extend([UNKNOWN.__class__(outcome="done"), Scripted.HANG])
    card = secrets()
    house.run(house.engine.start(request(), card))
    driver = house.engine.live()[0]
    assert house.bank.sent[0].secrets is card
    assert driver._card.secrets is None
    house.his.sent[-1].reply.callback(REFUSED)
    house.settle()
    assert house.bank.verbs() == ["do", "reversal"]
    assert house.bank.sent[1].secrets is None
    assert house.stored().rest is Rest.UNDONE


def test_crash_points_are_inert() -> None:
    """Without their environment variable the named points do nothing."""
    house = House()
    assert house.pay().answer.state is AnswerState.APPROVED
