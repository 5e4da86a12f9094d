"""What a card says of its issuer's scripts is owed to its bank before anything of the word is
told: a crash in between must not forget it."""

import pytest
from twisted.internet.task import Clock

from channels.kiosk.finisher import OWE_AGAIN_MS, Finisher
from switch.model.outcome import Outcome
from switch.ports import JournalDown
from switch.timeline import ReactorTimeline
from terminal_agent.protocol import CardFinished, Chip
from tests.kiosk.fake_switch import Cards
from tests.sim.node import KIOSKS

SCRIPTED = "9505000004E000DF31052000000001"
KEY = "k1-1"
WISH = {"finish": KEY, "code": "00", "issuer": "9100", "verb": "do", "may_send": True}


class Line:
    """A kiosk's link that takes every question."""

    version = 2

    def push(self, _name: str, _body: object, _key: str) -> bool:
        return True


class Owed:
    """The notices of a database that is away for the first ``away`` calls."""

    def __init__(self, away: int) -> None:
        self.away = away
        self.keys: list[str] = []

    async def owe(self, key: str, _at: int) -> None:
        if self.away:
            self.away -= 1
            raise JournalDown("away")
        self.keys.append(key)


def _asked(owed: Owed) -> tuple[Finisher, Cards, Clock]:
    """A finisher that waits for the word of one card."""
    clock, cards, line = Clock(), Cards(), Line()
    timeline = ReactorTimeline(clock, clock.seconds, clock.seconds)
    finisher = Finisher("kiosks", KIOSKS, timeline, cards, lambda _name: line, owed)
    cards.order(finisher, WISH)
    return finisher, cards, clock


@pytest.mark.parametrize("late", [False, True])
def test_I4_the_notice_is_durable_before_the_word_is_told(late: bool) -> None:
    """The database is away when the card speaks: word and notice come when it is back, the notice
    first."""
    owed = Owed(away=2)
    finisher, cards, clock = _asked(owed)
    if late:
        clock.advance(KIOSKS.finish_timeout_ms / 1000)
        assert cards.heard.pop()["outcome"] == str(Outcome.UNKNOWN)

    finisher.finished("k1", KEY, CardFinished(result="confirmed", chip=Chip(SCRIPTED)))
    clock.advance(OWE_AGAIN_MS / 1000)
    assert (owed.keys, cards.heard) == ([], [])
    clock.advance(OWE_AGAIN_MS / 1000)

    assert owed.keys == [KEY]
    [heard] = cards.heard
    assert heard["how"] == ("late" if late else "reply")
    assert (heard["outcome"], heard["facts"]) == (str(Outcome.DONE), {"chip": SCRIPTED})


def test_a_card_without_scripts_waits_for_no_database() -> None:
    """Nothing is owed."""
    owed = Owed(away=9)
    finisher, cards, _ = _asked(owed)

    finisher.finished("k1", KEY, CardFinished(result="confirmed", chip=Chip(SCRIPTED[:14])))

    assert [one["outcome"] for one in cards.heard] == [str(Outcome.DONE)]
    assert owed.away == 9
