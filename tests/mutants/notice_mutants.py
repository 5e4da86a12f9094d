"""Mutants of notices of issuer scripts, to be caught by the seeded simulator."""

from collections.abc import Sequence
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred

from channels.iso8583.notifying import Notifying
from channels.kiosk.finisher import Finisher
from switch.jobs.notices import NoticeJob
from switch.model.notice import Notice, NoticeEnd
from switch.model.outcome import Millis, Reply
from switch.store.notices import MemoryNotices
from tests.mutants.mutant import Mutant

_LATER_MS = 4_000


def _owed_in_memory() -> Any:
    """A process tells the notices that it heard of itself: a crash forgets them."""
    owe, due = MemoryNotices.owe, MemoryNotices.due

    async def heard(self: MemoryNotices, key: str, at: Millis) -> None:
        self.__dict__.setdefault("heard", set()).add(key)
        await owe(self, key, at)

    async def own(self: MemoryNotices, at: Millis, limit: int) -> Sequence[Notice]:
        found = await due(self, at, limit)
        return [one for one in found if one.key in self.__dict__.get("heard", ())]

    return mock.patch.multiple(MemoryNotices, owe=heard, due=own)


def _owed_after_the_word() -> Any:
    """A notice is owed a little after its card's word was committed."""
    true = Finisher._owe

    async def later(self: Finisher, key: str, reply: Reply) -> None:
        at = Millis(self._timeline.now_ms() + _LATER_MS)
        self._timeline.call_at(at, lambda: _begin(true(self, key, reply)))

    return mock.patch.object(Finisher, "_owe", later)


def _begin(coroutine: Any) -> None:
    Deferred.fromCoroutine(coroutine)


def _claimed_by_anybody() -> Any:
    """A node that cannot send a notice takes it off the one that can."""
    return mock.patch.object(Notifying, "elsewhere", return_value=False)


def _once_is_enough() -> Any:
    """A notice without an answer counts as told."""
    true = Notifying.script_results

    async def told(self: Notifying, payment: Any) -> tuple[NoticeEnd, str]:
        end, code = await true(self, payment)
        return (NoticeEnd.ACKNOWLEDGED, code) if end is NoticeEnd.AGAIN else (end, code)

    return mock.patch.object(Notifying, "script_results", told)


def _word_not_waited_for() -> Any:
    """A notice does not wait for the commit of its card's word."""

    async def hasty(self: NoticeJob, payment: Any) -> tuple[NoticeEnd, str]:
        bank = self._banks.get("bank")
        return await bank.script_results(payment) if bank else (NoticeEnd.NOT_NOW, "")

    return mock.patch.object(NoticeJob, "_send", hasty)


_CARDS = {"dialect": "cup-pos", "chip": 1.0, "payments": 10, "card_declines": 0.0}

MUTANTS: tuple[Mutant, ...] = (
    Mutant("notice_owed_in_memory", _owed_in_memory, "I3", weather=_CARDS | {"crash": 0.02}),
    Mutant(
        "notice_owed_after_the_word", _owed_after_the_word, "I3", weather=_CARDS | {"crash": 0.03}
    ),
    Mutant("notice_claimed_by_anybody", _claimed_by_anybody, "I3", weather=_CARDS),
    Mutant(
        "notice_once_is_enough", _once_is_enough, "I7", weather=_CARDS | {"bank_silent_before": 0.3}
    ),
    Mutant("notice_before_the_word", _word_not_waited_for, "I3", weather=_CARDS | {"db_slow": 0.5}),
)
