"""A chip card's last word at the kiosk, whenever it is asked for: the *finish* leg's half here, on
a Clock. Goal: a card that nobody can finish any more is declined, once and for ever, and no patient
hears of another one's payment."""

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from terminal_agent import protocol
from terminal_agent.emv.actions import End, EndKind, HostAnswer
from terminal_agent.finisher import Finisher
from terminal_agent.journal import Journal, PaymentOrder
from tests.visits.bench import Bench, HandSwitch, envelope


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A kiosk at home."""
    return Bench(tmp_path)


def end_of(kind: EndKind) -> End:
    """How the kernel says it."""
    facts = dict.fromkeys(("tvr", "tsi", "aid", "label", "pan_masked"), "")
    return End(kind=kind, reasons=(), **facts)


# ---- in a visit ----------------------------------------------------------------------------------


def test_the_card_stays_as_long_as_the_switch_may_take(bench: Bench) -> None:
    """The switch said at boot how long one payment may take: the card is not given back before,
    or an approval that comes late could not be finished."""
    bench.switch.payment_ms = 20_000
    bench.to_paying()

    bench.wait(19_900)
    assert bench.screen == "paying"
    bench.wait(200)

    assert (bench.screen, bench.view.outcome) == ("result", "pending")


def test_a_card_pulled_after_the_patient_waited_long_enough_is_declined(bench: Bench) -> None:
    """PENDING is told, the card comes out; asked for it later, the kiosk says so, and the next
    patient's screen does not change."""
    key = bench.to_paying()
    bench.wait(5_000)
    assert (bench.screen, bench.view.outcome) == ("result", "pending")
    bench.tap("home")
    assert bench.screen == "take_card"
    bench.reader.pull()
    bench.to_card()
    before = bench.view

    bench.ask_card(key)
    bench.switch.answer(key, "returned")

    assert bench.switch.ends == ["declined"]
    assert bench.view == before
    assert [name for name, _ in bench.printer.printed] == [key]


def test_a_card_given_back_is_not_finished_though_it_lies_there(bench: Bench) -> None:
    """It has no power any more, and is nobody's until it is taken."""
    key = bench.to_paying()
    bench.wait(5_000)

    bench.ask_card(key)

    assert bench.switch.ends == ["declined"]


def test_the_next_card_is_not_taken_for_the_one_before(bench: Bench) -> None:
    """The first payment is open when the second one waits for its answer: each card ends for its
    own payment."""
    first = bench.to_paying()
    bench.wait(5_000).tap("home")
    bench.reader.pull()
    second = bench.to_paying()
    assert first != second

    bench.ask_card(first)
    assert (bench.switch.ends, bench.view.prompt) == (["declined"], "keep_card")
    bench.ask_card(second)

    assert bench.switch.ends == ["declined", "confirmed"]


def test_an_answer_before_the_card_was_asked_closes_it(bench: Bench) -> None:
    """Declined by the bank: the card hears of it; asked all the same, it is declined."""
    key = bench.to_paying()
    bench.switch.answer(key, "declined", "51")
    assert bench.view.outcome == "declined"

    bench.ask_card(key)

    assert bench.switch.ends == ["declined"]


def test_rule_17_a_retry_has_a_card_of_its_own(bench: Bench) -> None:
    """After 55 the same card is asked anew: a question about the first payment finds it over, the
    second one's is confirmed."""
    first = bench.to_paying()
    bench.switch.answer(first, "declined", "55")
    bench.tap("confirm").type()
    second = bench.keys[-1]
    (_, body) = bench.switch.of(protocol.PAYMENT_START)[-1]
    assert (second != first, body.retry_of) == (True, first)

    bench.ask_card(first)
    bench.ask_card(second)

    assert bench.switch.ends == ["declined", "confirmed"]


def test_asked_without_the_issuers_data_the_card_is_not_finished(bench: Bench) -> None:
    """The switch lost them with its memory."""
    key = bench.to_paying()

    bench.ask_card(key, ask=True)

    assert bench.switch.ends == ["declined"]


@pytest.mark.parametrize("before", ["asked", "told"])
def test_the_power_is_lost(bench: Bench, before: str) -> None:
    """A card that was not asked for by then is declined; one that had ended says the same again,
    and says so first when the link is back."""
    key = bench.to_paying()
    if before == "told":
        bench.switch.up = False
        bench.ask_card(key)
        assert bench.switch.ends == []

    after = bench.restarted()
    if before == "asked":
        after.ask_card(key)
    assert after.switch.ends == [{"asked": "declined", "told": "confirmed"}[before]]
    after.ask_card(key)

    assert len(after.switch.ends) == 2
    assert len(set(after.switch.ends)) == 1


def test_I7_after_a_restart_the_payment_is_on_the_screen_until_it_is_known(bench: Bench) -> None:
    """The page waits for it; the outcome is the only way out."""
    key = bench.to_paying()

    after = bench.restarted()
    assert (after.screen, after.view.notice) == ("paying", "after_restart")
    after.payments.ask_open()
    after.switch.answer(key, "returned")

    assert (after.screen, after.view.outcome) == ("result", "returned")
    assert after.keys == []


# ---- the finisher alone --------------------------------------------------------------------------


class Rig:
    """A finisher, its journal, and cards that end when the test says so."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder / "journal.db", "K1", power_safe=False)
        self.switch = HandSwitch()
        self.told: list[str] = []
        self.finisher = self.made()
        self.cards: list[Deferred[End]] = []
        self.heard: list[HostAnswer] = []

    def made(self) -> Finisher:
        """Another one, as after a restart."""
        made = Finisher(self.journal, self.told.append)
        link: Any = self.switch
        made.link = link
        return made

    def pay(self, amount_fen: int = 1) -> str:
        """A payment whose card waits."""
        order = PaymentOrder(business="outpatient_bill", amount_fen=amount_fen, patient="P1")
        (key,) = self.journal.create([order], "20260301", 0)
        self.finisher.await_answer(key, self._finish)
        return key

    async def _finish(self, answer: HostAnswer) -> End:
        self.heard.append(answer)
        card: Deferred[End] = Deferred()
        self.cards.append(card)
        return await card

    def ask(self, key: str, *, ask: bool = False) -> None:
        """The event Card.Finish."""
        body: dict[str, object] = {"ask": True} if ask else {"code": "00", "chip": ""}
        self.finisher.received(envelope("event", protocol.CARD_FINISH, key, body))


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """Nothing paid yet."""
    return Rig(tmp_path)


def test_asked_again_meanwhile_the_card_is_finished_once(rig: Rig) -> None:
    """Twice while it is being finished, with a question about an older payment in between: what
    the card says then counts, and nothing before it."""
    old = rig.pay()
    key = rig.pay()
    rig.ask(key)
    rig.ask(key, ask=True)
    rig.ask(old, ask=True)
    rig.ask(key, ask=True)
    assert rig.switch.ends == ["declined"]

    rig.cards[0].callback(end_of(EndKind.APPROVED))

    assert (rig.switch.ends, len(rig.cards)) == (["declined", "confirmed"], 1)


def test_an_answer_and_a_question_at_once_finish_the_card_once(rig: Rig) -> None:
    """The payment ended while the card was being finished: there is no second card to close; and
    the other way round."""
    first = rig.pay()
    rig.ask(first)
    closed: list[End | None] = []
    closing = Deferred.fromCoroutine(rig.finisher.close(first, rig.heard[0]))
    closing.addCallback(closed.append)
    assert closed == [None]
    rig.cards[0].callback(end_of(EndKind.APPROVED))
    second = rig.pay()
    Deferred.fromCoroutine(rig.finisher.close(second, rig.heard[0]))
    rig.ask(second)
    rig.cards[1].callback(end_of(EndKind.DECLINED))

    assert (rig.switch.ends, len(rig.cards)) == (["confirmed", "declined"], 2)


def test_I4_an_end_is_in_the_journal_before_it_is_told(rig: Rig) -> None:
    """The switch hears of nothing that a power cut could take back."""
    key = rig.pay()
    kept: list[object] = []
    request = rig.switch.request

    async def noted(*said: Any, **more: Any) -> protocol.Envelope:
        kept.append(rig.journal.card_end(key))
        return await request(*said, **more)

    rig.switch.request = noted  # type: ignore[method-assign]
    rig.ask(key)
    rig.cards[0].callback(end_of(EndKind.APPROVED))

    assert len(kept) == 1
    assert kept[0] is not None


def test_I9_a_card_asked_for_after_a_restart_was_not_confirmed(rig: Rig) -> None:
    """Nobody knows what it would have said; whoever has the money gives it back."""
    key = rig.pay()
    rig.finisher = rig.made()

    rig.ask(key, ask=True)

    assert rig.switch.ends == ["declined"]
    assert rig.told == []


def test_an_end_is_told_until_it_was_taken(rig: Rig) -> None:
    """Without a link, and while the switch is busy; then not any more, unless it asks."""
    key = rig.pay()
    rig.switch.up = False
    rig.ask(key)
    rig.cards[0].callback(end_of(EndKind.APPROVED))
    rig.switch.up = True
    rig.switch.faults[protocol.CARD_FINISHED] = "busy"
    rig.finisher.link_came_up()
    assert rig.journal.card_ends_open() == [key]
    del rig.switch.faults[protocol.CARD_FINISHED]

    rig.finisher.link_came_up()
    rig.finisher.link_came_up()

    assert rig.journal.card_ends_open() == []
    assert rig.switch.ends == ["confirmed", "confirmed"]
    rig.ask(key, ask=True)
    assert rig.switch.ends[2:] == ["confirmed"]
