"""The monitor with a real pcscd: every card is told, whatever happens to the service."""

import pytest

from terminal_agent.devices.pcsc_monitor import ReaderNews
from terminal_agent.devices.virtual_card import PRESETS, VirtualCard
from terminal_agent.devices.vpcd_card import VpcdCard
from tests.pcsc.daemon import Pcscd
from tests.pcsc.stage import Stage, play

pytestmark = pytest.mark.pcsc

FOUND, LOST = ReaderNews.READER_FOUND, ReaderNews.READER_LOST
IN, OUT = ReaderNews.CARD_INSERTED, ReaderNews.CARD_REMOVED
GONE, BACK = ReaderNews.SERVICE_LOST, ReaderNews.SERVICE_BACK


def card(slot: int = 0) -> VpcdCard:
    """A card beside the reader."""
    return VpcdCard(VirtualCard(PRESETS["debit"]), slot)


def test_a_card_comes_and_goes(pcscd: Pcscd) -> None:
    """In with its ATR, out, and nothing else."""

    async def scenario(stage: Stage) -> None:
        watched = stage.monitor()
        await watched.expect(FOUND)
        with card():
            inserted = await watched.expect(IN)
        await watched.expect(OUT)
        assert inserted.atr.hex() == "3b6800000073c84012009000"
        assert inserted.reader == "Virtual PCD 00 00"
        assert watched.waiting == 0

    play(scenario)


def test_a_card_that_is_inside_already_is_told(pcscd: Pcscd) -> None:
    """The agent starts while a card is in the slot."""

    async def scenario(stage: Stage) -> None:
        first = stage.monitor()
        await first.expect(FOUND)
        with card():
            await first.expect(IN)
            await stage.monitor().expect(FOUND, IN)
        await first.expect(OUT)

    play(scenario)


def test_the_service_may_die_and_come_back(pcscd: Pcscd) -> None:
    """Killed twice with a card inside: reader and card are gone, then found again."""

    async def scenario(stage: Stage) -> None:
        watched = stage.monitor()
        await watched.expect(FOUND)
        for _ in range(2):
            with card():
                await watched.expect(IN)
                pcscd.kill()
                await watched.expect(OUT, LOST, GONE)
            pcscd.start()
            await watched.expect(BACK, FOUND)
        with card():
            await watched.expect(IN)
        await watched.expect(OUT)

    play(scenario)


def test_the_service_may_come_later(pcscd: Pcscd) -> None:
    """The agent is quicker than the service at boot."""

    async def scenario(stage: Stage) -> None:
        pcscd.kill()
        watched = stage.monitor()
        await watched.expect(GONE)
        pcscd.start()
        await watched.expect(BACK, FOUND)

    play(scenario)


def test_two_readers_are_told_apart_by_their_names(pcscd: Pcscd) -> None:
    """Each expression has its own reader; a card in one is no news of the other."""

    async def scenario(stage: Stage) -> None:
        bank, visit = stage.monitor(r"00 00$"), stage.monitor(r"00 01$")
        await bank.expect(FOUND)
        assert (await visit.expect(FOUND)).reader == "Virtual PCD 00 01"
        with card(1):
            await visit.expect(IN)
            with card(0):
                await bank.expect(IN)
            await bank.expect(OUT)
        await visit.expect(OUT)
        assert (bank.waiting, visit.waiting) == (0, 0)

    play(scenario)


def test_it_stops_in_the_middle_of_a_wait(pcscd: Pcscd) -> None:
    """Its thread ends, and what comes afterwards is not told."""

    async def scenario(stage: Stage) -> None:
        watched = stage.monitor()
        await watched.expect(FOUND)
        watched.monitor.stop()
        assert not watched.monitor.alive
        with card():
            await stage.monitor().expect(FOUND, IN)
        assert watched.waiting == 0

    play(scenario)
