"""Settles batches: a resumable job for each (bank, terminal, batch) (rule 19).

Rules
- It runs on the node that has the terminal. Every step is a compare-and-set in the database, so a
  restart, or the next node, goes on where the last commit was.
- No new debit while it runs. What is Unknown or going back comes to its end first; at the deadline
  it becomes an exception, and then the batch settles.
- The totals are committed before they are sent, and compared with the journal once more after
  that: a reversal that had passed its gate before the commit stands in the journal by then.
- After a definite answer the batch is closed and the terminal's next number is in force in one
  commit (K16). Without one the same totals are sent again, for ever: the bank may have closed it.
- That they may have gone out is committed before they do, and stays once an answer did not come:
  no refusal of a later try says anything of the first (I9).
- A definite failure is tried again a stated number of times; then the batch goes on, alarmed.
- An order for a bank whose batches are not ours to settle fails, by the node that has the terminal:
  another one's configuration may be newer.
- Totals that the message has no digits for are not sent: alarmed, and the batch goes on. It is
  settled before it comes to that (``fullness.py``).
"""

import datetime
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from switch.jobs.fullness import Fullness
from switch.model.batch import (
    NOT_OURS,
    Batch,
    BatchAnswer,
    BatchBank,
    Batches,
    BatchResult,
    BatchState,
)
from switch.model.outcome import Millis
from switch.model.payment import EventKind
from switch.observe import metrics
from switch.observe.crash import crash_point
from switch.observe.logs import get_logger
from switch.payment.batch import Member, counted, members, next_number, totals
from switch.ports import Cancellable, JournalDown, LogicalTerminal, Timeline

_log = get_logger("settlement")

LOOK_MS = 1_000
"""Between two looks at the database: orders, and what is still open."""
CATCH_UP_MINUTES = 12 * 60
"""A switch that was down at the time of the timetable settles when it is back, so much later at
most."""


class Events(Protocol):
    """The engine, as the job sees it."""

    async def batch_event(self, key: str, leg: int, kind: EventKind) -> None: ...


class Settlement:
    """The job. ``banks`` by name of the channel; ``others``: those that close batches themselves,
    and whether a terminal of theirs is this node's."""

    def __init__(
        self,
        batches: Batches,
        banks: Mapping[str, BatchBank],
        events: Events,
        timeline: Timeline,
        others: Mapping[str, Callable[[LogicalTerminal], bool]],
    ) -> None:
        self._batches = batches
        self._banks = banks
        self._others = others
        self._events = events
        self._timeline = timeline
        self._fullness = Fullness(batches, timeline)
        self._running: dict[int, LogicalTerminal] = {}
        self._nobodys: set[int] = set()
        """Orders for terminals or settlements that are not configured, alarmed."""
        self._ordered: dict[LogicalTerminal, str] = {}
        """The day of the timetable that was seen to."""
        self._unanswered: Counter[int] = Counter()
        self._stopped = False
        self._timer: Cancellable | None = None

    async def start(self) -> None:
        """Look once before any payment begins, then again and again. Raises nothing."""
        if self._banks or self._others:
            await self._look()

    def stop(self) -> None:
        """Look no more; a settlement under way stops at its next commit."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    # ---- looking ---------------------------------------------------------------------------------

    async def _look(self) -> None:
        try:
            for name, bank in self._banks.items():
                # A defect at one bank keeps no other from settling, and no switch from starting.
                await Deferred.fromCoroutine(self._look_at(name, bank)).addErrback(_defect, name)
            for name, holds in self._others.items():
                looked = Deferred.fromCoroutine(self._turn_away(name, holds))
                await looked.addErrback(_defect, name)
        finally:
            if not self._stopped:
                self._timer = self._timeline.call_at(
                    Millis(self._timeline.now_ms() + LOOK_MS),
                    lambda: Deferred.fromCoroutine(self._look()).addErrback(_defect, ""),
                )

    async def _look_at(self, name: str, bank: BatchBank) -> None:
        try:
            await self._order_due(bank)
            full = await self._fullness.look(name, bank)
            batches = await self._batches.open(name)
            for batch in batches:
                self._begin(bank, batch)
            for terminal in full:
                bank.pause(terminal)
            # Whichever node settled the others: they may go on here. What runs here lets its
            # terminal go itself: its batch may be closed, and the next number not in use.
            busy = {one.terminal for one in batches} | {*self._running.values()}
            for terminal in {*bank.terminals} - busy - full:
                bank.resume(terminal)
        except JournalDown as error:
            _log.warning("settlement_waits", bank=name, why=str(error))

    async def _turn_away(self, name: str, holds: Callable[[LogicalTerminal], bool]) -> None:
        """Nobody would ever carry out an order of this bank: it ends here. Committed totals may
        have reached the bank: they stay until its section is there again."""
        try:
            for batch in await self._batches.open(name):
                if not holds(batch.terminal):
                    continue
                if batch.state is BatchState.ORDERED:
                    _log.warning("settlement_not_ours", **_names(batch))
                    await self._move(batch, state=BatchState.FAILED, code=NOT_OURS)
                elif batch.id not in self._nobodys:
                    self._nobodys.add(batch.id)
                    _alarm(batch, "a settlement is under way of a bank without section settlement")
        except JournalDown as error:
            _log.warning("settlement_waits", bank=name, why=str(error))

    async def _order_due(self, bank: BatchBank) -> None:
        """By the timetable, once a day for each terminal over all nodes (a database constraint)."""
        day = due_day(bank.terms.at, *self._timeline.wall_clock())
        if not day:
            return
        for terminal in bank.terminals:
            if self._ordered.get(terminal) != day and bank.mine(terminal):
                await self._batches.order(terminal, day, self._timeline.now_ms())
                self._ordered[terminal] = day

    def _begin(self, bank: BatchBank, batch: Batch) -> None:
        if batch.id in self._running:
            return
        if batch.terminal not in bank.terminals:
            if batch.id not in self._nobodys:
                self._nobodys.add(batch.id)
                _alarm(batch, "a settlement is ordered of a terminal that is not configured")
            return
        bank.pause(batch.terminal)
        self._running[batch.id] = batch.terminal

        def ended(result: object) -> None:
            del self._running[batch.id]
            if isinstance(result, Failure):
                _defect(result, batch.terminal.bank)

        Deferred.fromCoroutine(self._settle(bank, batch)).addBoth(ended)

    # ---- one batch -------------------------------------------------------------------------------

    async def _settle(self, bank: BatchBank, batch: Batch) -> None:
        """To its end, or to where it can go no further now; the next look takes it up again."""
        try:
            while not self._stopped and batch.state is not BatchState.CLOSED:
                if not bank.mine(batch.terminal):
                    return
                before = batch
                if batch.state is BatchState.ORDERED:
                    batch = await self._freeze(bank, batch)
                elif batch.state is BatchState.SETTLING:
                    batch = await self._send(bank, batch)
                elif batch.state is BatchState.UPLOADING:
                    batch = await self._upload(bank, batch)
                if batch.state in (BatchState.EMPTY, BatchState.FAILED):
                    break
                if batch == before:
                    return
            if batch.state is BatchState.CLOSED:
                crash_point("K16 batch closed, next number not in use")
                bank.begin(batch)
        except JournalDown as error:
            _log.warning("settlement_waits", why=str(error), **_names(batch))
            return
        self._fullness.closed(batch.terminal)
        bank.resume(batch.terminal)

    async def _freeze(self, bank: BatchBank, batch: Batch) -> Batch:
        """Wait for the end of what is open, commit the totals, and look once more."""
        deadline = batch.ordered_at + bank.terms.deadline_ms
        told: set[str] = set()
        while not bank.quiet(batch.terminal):
            await self._pause(LOOK_MS)
            if self._stopped or not bank.mine(batch.terminal):
                return batch
        while True:
            found = members(batch, await self._batches.payments(batch))
            late = self._timeline.now_ms() >= deadline
            if not [one for one in found if (one.unsettled if late else one.open)]:
                break
            await self._hurry(found, told, late=late)
            await self._pause(LOOK_MS)
            if self._stopped or not bank.mine(batch.terminal):
                return batch
        standing = counted(bank.terms, found)
        if not standing:
            _log.info("batch_empty", **_names(batch))
            return await self._move(batch, state=BatchState.EMPTY)
        sums = totals(bank.terms, standing)
        if not bank.terms.fits(sums):
            too_many = BatchAnswer(
                result=BatchResult.NOT_SENT, text=f"{sums.count} 笔, 超出一批可报的笔数或金额"
            )
            _alarm(batch, "a batch has more than its totals can say", too_many)
            return await self._move(batch, state=BatchState.FAILED, totals=sums, text=too_many.text)
        batch = await self._move(batch, state=BatchState.SETTLING, totals=sums)
        again = members(batch, await self._batches.payments(batch))
        if (
            any(one.unsettled for one in again)
            or totals(bank.terms, counted(bank.terms, again)) != sums
        ):
            _log.info("batch_moved_meanwhile", **_names(batch))
            return await self._move(batch, state=BatchState.ORDERED)
        return batch

    async def _hurry(self, found: list[Member], told: set[str], *, late: bool) -> None:
        """After a 25 the reversal is said once more before the batch closes (rule 9); at the
        deadline what waits becomes an exception."""
        for one in found:
            if late and one.unsettled and not one.out:
                kind = EventKind.BATCH_DEADLINE
            elif not late and one.waits_after_25 and one.payment.key not in told:
                told.add(one.payment.key)
                kind = EventKind.BATCH_CLOSING
            else:
                continue
            await self._events.batch_event(one.payment.key, one.index, kind)

    async def _send(self, bank: BatchBank, batch: Batch) -> Batch:
        """0500 with the committed totals. Until its answer is there, and for good when there is
        none, it counts as gone out: a process that dies here leaves that behind."""
        crash_point("K16 totals committed, not sent")
        before = batch.unknown_seen
        batch = await self._move(batch, unknown_seen=True)
        answer = await bank.settle(batch)
        _log.info("batch_settled", result=answer.result, code=answer.code, **_names(batch))
        if answer.result is BatchResult.BALANCED:
            return await self._close(batch, answer, BatchResult.BALANCED)
        if answer.result is BatchResult.UNBALANCED:
            _alarm(batch, "the bank's totals of a batch differ", answer)
            if not bank.terms.uploads:
                return await self._close(batch, answer, BatchResult.UNBALANCED)
            return await self._move(
                batch, state=BatchState.UPLOADING, code=answer.code, text=answer.text, tries=0
            )
        if answer.result is not BatchResult.UNKNOWN:
            batch = await self._move(batch, unknown_seen=before)
        return await self._not_yet(bank, batch, answer)

    async def _upload(self, bank: BatchBank, batch: Batch) -> Batch:
        """The next transaction that the bank has not acknowledged, or the end of them."""
        found = counted(bank.terms, members(batch, await self._batches.payments(batch)))
        left = [one for one in found if one.place > batch.uploaded_last]
        if not left:
            answer = await bank.upload_end(batch)
            if answer.result is BatchResult.FAILED and batch.tries + 1 >= bank.terms.tries:
                # The bank has compared the totals already: its batch is at its end.
                _alarm(batch, "the bank does not take the end of an upload", answer)
            elif answer.result is not BatchResult.BALANCED:
                return await self._not_yet(bank, batch, answer)
            return await self._close(batch, answer, BatchResult.UNBALANCED)
        answer = await bank.upload(batch, left[0].leg)
        if answer.result is BatchResult.FAILED and batch.tries + 1 >= bank.terms.tries:
            _alarm(batch, "the bank does not take a transaction of a batch", answer)
        elif answer.result is not BatchResult.BALANCED:
            return await self._not_yet(bank, batch, answer)
        return await self._move(
            batch, uploaded=batch.uploaded + 1, uploaded_last=left[0].place, tries=0
        )

    async def _not_yet(self, bank: BatchBank, batch: Batch, answer: BatchAnswer) -> Batch:
        """Count a definite failure, give up after enough of them, wait before the next try."""
        if answer.result is BatchResult.FAILED:
            doubt = batch.state is BatchState.SETTLING and batch.unknown_seen
            text = "refuses a batch that it may have closed" if doubt else "does not settle a batch"
            _alarm(batch, f"the bank {text}", answer)
            batch = await self._move(
                batch, tries=batch.tries + 1, code=answer.code, text=answer.text
            )
            last = batch.tries >= bank.terms.tries and not doubt
            if last and batch.state is BatchState.SETTLING:
                return await self._move(batch, state=BatchState.FAILED)
        else:
            self._unanswered[batch.id] += 1
            _alarm(batch, "no answer to the settlement of a batch", answer)
        waits = bank.terms.waits_ms
        tries = max(batch.tries, self._unanswered[batch.id])
        await self._pause(waits[min(tries, len(waits)) - 1])
        return batch

    async def _close(self, batch: Batch, answer: BatchAnswer, result: BatchResult) -> Batch:
        """The end, and the terminal's next number, in one commit (K16)."""
        crash_point("K16 batch settled, not closed")
        closed = await self._move(
            batch,
            state=BatchState.CLOSED,
            result=str(result),
            code=answer.code,
            text=answer.text,
            next_number=next_number(batch.number),
            closed_at=self._timeline.now_ms(),
        )
        self._unanswered.pop(batch.id, None)
        metrics.BATCHES_CLOSED.labels(batch.terminal.bank, str(result)).inc()
        _log.info("batch_closed", result=str(result), next=closed.next_number, **_names(batch))
        return closed

    async def _move(self, batch: Batch, **changes: object) -> Batch:
        after = replace(batch, version=batch.version + 1, **changes)
        if not await self._batches.move(after):
            raise JournalDown("another node settles this batch")
        return after

    async def _pause(self, wait_ms: int) -> None:
        pause: Deferred[None] = Deferred()
        at = Millis(self._timeline.now_ms() + wait_ms)
        self._timeline.call_at(at, lambda: pause.callback(None))
        await pause


def due_day(at: str, date: str, time: str) -> str:
    """The day whose settlement at ``HH:MM`` is due at this moment, ``YYYYMMDD``; empty: none.

    >>> due_day("23:30", "20260704", "233000"), due_day("23:30", "20260705", "003000")
    ('20260704', '20260704')
    >>> due_day("23:30", "20260704", "120000"), due_day("", "20260704", "120000")
    ('', '')
    """
    if not at:
        return ""
    minutes = int(time[:2]) * 60 + int(time[2:4])
    wanted = int(at[:2]) * 60 + int(at[3:])
    past = minutes - wanted
    day = datetime.datetime.strptime(date, "%Y%m%d")  # noqa: DTZ007 - a day, no moment
    if past < 0:
        past += 24 * 60
        day -= datetime.timedelta(days=1)
    return day.strftime("%Y%m%d") if past < CATCH_UP_MINUTES else ""


def _names(batch: Batch) -> dict[str, str]:
    terminal = batch.terminal
    return {"bank": terminal.bank, "terminal": terminal.terminal, "batch": batch.number}


def _alarm(batch: Batch, text: str, answer: BatchAnswer | None = None) -> None:
    said = {}
    if answer is not None:
        said = {"result": answer.result, "code": answer.code, "said": answer.text}
    _log.error("alarm", text=text, **said, **_names(batch))


def _defect(failure: Failure, bank: str) -> None:
    _log.error("settlement_defect", invariant="I15", bank=bank, error=str(failure.value))
