"""Mutants of the kiosk: of its pure machine, to be caught by the random walk over it (layer
``flows``), and of the card's last word, to be caught by the test that the scene names (layer
``finisher``)."""

from typing import Any

import pytest
from msgspec.structs import replace

from terminal_agent import finisher, protocol
from terminal_agent.finisher import CONFIRMED, Finish, Finisher
from terminal_agent.flows import machine, paying
from terminal_agent.flows import state as flow_state
from terminal_agent.flows.events import Event, Pay, Progress, Tapped
from terminal_agent.flows.state import Rules, State, Step, enter
from terminal_agent.flows.view import Button, Screen
from terminal_agent.journal import CardEnd
from tests.mutants.registry import mutant

# ---- the machine ---------------------------------------------------------------------------------


@mutant("a stale tap counts", "flows", "I8", "walk")
def stale_tap_counts(patch: pytest.MonkeyPatch) -> None:
    """A tap is taken for one on what is shown now: a second finger pays what it never saw."""
    real = machine._tapped

    def of_now(state: State, event: Tapped, now_ms: int, rules: Rules) -> Step:
        return real(state, Tapped(replace(event.tap, revision=state.revision)), now_ms, rules)

    patch.setattr(machine, "_tapped", of_now)


@mutant("cancel leaves a payment that is sent", "flows", "I7", "walk")
def cancel_leaves(patch: pytest.MonkeyPatch) -> None:
    """The patient goes home with a debit whose end nobody shows."""
    patch.setitem(machine._TAPS, (Screen.PAYING, Button.CANCEL), machine._home)


@mutant("time leaves a payment that is sent", "flows", "I7", "walk")
def time_leaves(patch: pytest.MonkeyPatch) -> None:
    """The countdown of the card runs on when the payment is under way."""

    def hurried(state: State, event: Progress, now_ms: int, rules: Rules) -> Step:
        after, commands = paying.progress(state, event, now_ms, rules)
        return enter(after, after.screen, now_ms, rules.card_ms), commands

    for screen in (Screen.CARD, Screen.PIN, Screen.PAYING):
        patch.setitem(machine._SCREENS, (screen, Progress), hurried)


@mutant("a late answer of an earlier patient is shown", "flows", "I12", "walk")
def late_answer_is_shown(patch: pytest.MonkeyPatch) -> None:
    """Whoever stands there now sees it."""

    def never(_state: State, _event: Event) -> bool:
        return False

    patch.setattr(machine, "_is_of_another_visit", never)


@mutant("a retry keeps the old key", "flows", "I8", "walk")
def retry_keeps_key(patch: pytest.MonkeyPatch) -> None:
    """The second payment is taken for the first one."""

    def kept(state: State, tapped: str, now_ms: int, rules: Rules) -> Step:
        after, commands = paying.again(state, tapped, now_ms, rules)
        return replace(after, key=state.key), commands

    patch.setitem(machine._TAPS, (Screen.RESULT, Button.CONFIRM), kept)


@mutant("a retry does not name the payment before", "flows", "rule 17", "walk")
def retry_names_nothing(patch: pytest.MonkeyPatch) -> None:
    """The switch cannot tell the second try from another payment of the same bill."""

    def nameless(state: State, tapped: str, now_ms: int, rules: Rules) -> Step:
        after, commands = paying.again(state, tapped, now_ms, rules)
        return after, tuple(
            replace(one, order=replace(one.order, retry_of="")) if isinstance(one, Pay) else one
            for one in commands
        )

    patch.setitem(machine._TAPS, (Screen.RESULT, Button.CONFIRM), nameless)


@mutant("home keeps the patient", "flows", "I12", "walk")
def home_keeps_patient(patch: pytest.MonkeyPatch) -> None:
    """The next patient stands before the last one's name."""
    real = flow_state.home

    def kept(state: State) -> State:
        return replace(real(state), patient=state.patient)

    patch.setattr(flow_state, "home", kept)


# ---- the card's last word ------------------------------------------------------------------------


@mutant(
    "a card's end is told before it is journaled",
    "finisher",
    "I4",
    "test_I4_an_end_is_in_the_journal_before_it_is_told",
)
def told_before_journaled(patch: pytest.MonkeyPatch) -> None:
    """The power goes in between, and the card's end is another one afterwards."""

    async def hasty(self: Finisher, key: str, asked: protocol.CardFinish, chip: bytes) -> None:
        end = await self._ended(key, asked, chip)
        result: Any = end.result
        word = protocol.CardFinished(result=result)
        await self.link.request(protocol.CARD_FINISHED, word, idem=key)
        self._journal.card_ended(end)

    patch.setattr(Finisher, "_finish", hasty)


@mutant(
    "a card asked for after a restart counts as confirmed",
    "finisher",
    "I9",
    "test_I9_a_card_asked_for_after_a_restart_was_not_confirmed",
)
def confirmed_by_default(patch: pytest.MonkeyPatch) -> None:
    """What nobody knows is guessed, in the hospital's favour."""
    real = Finisher._ended

    async def guessed(self: Finisher, key: str, asked: protocol.CardFinish, chip: bytes) -> CardEnd:
        if self._waiting is None:
            return CardEnd(key=key, result=CONFIRMED)
        return await real(self, key, asked, chip)

    patch.setattr(Finisher, "_ended", guessed)


@mutant(
    "a question about another card ends the one that is being finished",
    "finisher",
    "I9",
    "test_asked_again_meanwhile_the_card_is_finished_once",
)
def one_place_for_all(patch: pytest.MonkeyPatch) -> None:
    """Only the last card that was asked about is known to be under way."""

    class Place(set[str]):
        def add(self, key: str) -> None:
            self.clear()
            super().add(key)

    def made(self: Finisher, *arguments: Any) -> None:
        real(self, *arguments)
        self._running = Place()

    real = Finisher.__init__
    patch.setattr(finisher.Finisher, "__init__", made)


@mutant(
    "a card is finished twice",
    "finisher",
    "I9",
    "test_an_answer_and_a_question_at_once_finish_the_card_once",
)
def finished_twice(patch: pytest.MonkeyPatch) -> None:
    """The card that waits is not taken off the list by the first who finishes it."""

    def looked_at(self: Finisher, key: str) -> Finish | None:
        waiting = self._waiting
        return waiting[1] if waiting is not None and waiting[0] == key else None

    patch.setattr(Finisher, "_take", looked_at)
