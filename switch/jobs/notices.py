"""Sends notices that are owed to banks, until each is acknowledged (store and forward).

They move no money and hold up nothing: the intent is in the database, this loop reads what is due,
and so many are on their way at once. A wait after each try, the last one repeats for ever.
"""

from collections.abc import Awaitable, Callable, Mapping

from twisted.internet.defer import Deferred

from switch.model.notice import Notice, NoticeBank, NoticeEnd, Notices
from switch.model.outcome import Millis
from switch.model.payment import LegKind, LegState, Payment
from switch.observe import metrics
from switch.observe.logs import get_logger
from switch.ports import Cancellable, JournalDown, Timeline

_log = get_logger("notices")

LOOK_MS = 5_000
AT_ONCE = 8
"""On their way at once; what is due beyond that waits in the database (I11)."""
WAITS_MS = (60_000, 300_000, 900_000, 3_600_000)
"""After the first try, the second …; the last repeats. No patient waits for one."""
_SPOKEN = frozenset({LegState.DONE, LegState.REFUSED})

Load = Callable[[str], Awaitable[Payment | None]]


class NoticeJob:
    """The job. ``banks`` by name of the channel; ``load`` reads a payment from the journal."""

    def __init__(
        self, notices: Notices, banks: Mapping[str, NoticeBank], load: Load, timeline: Timeline
    ) -> None:
        self._notices = notices
        self._banks = banks
        self._load = load
        self._timeline = timeline
        self._out: set[str] = set()
        self._stopped = False
        self._timer: Cancellable | None = None

    def start(self) -> None:
        """Look now, then again and again."""
        Deferred.fromCoroutine(self._look()).addErrback(_defect)

    def stop(self) -> None:
        """Look no more."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    async def _look(self) -> None:
        try:
            room = AT_ONCE - len(self._out)
            if room > 0:
                for notice in await self._notices.due(self._timeline.now_ms(), room):
                    if notice.key not in self._out:
                        self._out.add(notice.key)
                        Deferred.fromCoroutine(self._tell(notice)).addErrback(_defect)
        except JournalDown as error:
            _log.warning("notices_wait", why=str(error))
        finally:
            if not self._stopped:
                at = Millis(self._timeline.now_ms() + LOOK_MS)
                self._timer = self._timeline.call_at(at, self.start)

    async def _tell(self, notice: Notice) -> None:
        """One try."""
        try:
            payment = await self._load(notice.key)
            if payment is not None and self._elsewhere(payment):
                return  # claimed here it would only wait for its next turn
            wait_ms = WAITS_MS[min(notice.tries, len(WAITS_MS) - 1)]
            until = Millis(self._timeline.now_ms() + wait_ms)
            if not await self._notices.claim(notice, until):
                return
            if payment is None:
                text = "a notice is owed of a payment that is not in the journal"
                _log.error("alarm", text=text, key=notice.key)
                return
            end, code = await self._send(payment)
            if end in (NoticeEnd.AGAIN, NoticeEnd.NOT_NOW):
                return
            await self._notices.end(notice.key, end, code)
            if end is NoticeEnd.REFUSED:
                text = "the bank refuses the results of issuer scripts"
                _log.error("alarm", text=text, key=notice.key, code=code)
        except JournalDown as error:
            _log.warning("notices_wait", why=str(error))
        finally:
            self._out.discard(notice.key)

    def _elsewhere(self, payment: Payment) -> bool:
        debit = payment.leg_of(LegKind.DEBIT)
        bank = self._banks.get(debit.counterparty) if debit is not None else None
        return bank is not None and bank.elsewhere(payment)

    async def _send(self, payment: Payment) -> tuple[NoticeEnd, str]:
        spoken = any(leg.kind is LegKind.FINISH and leg.state in _SPOKEN for leg in payment.legs)
        if not spoken:  # its card's word is not committed yet
            return NoticeEnd.NOT_NOW, ""
        debit = payment.leg_of(LegKind.DEBIT)
        if debit is None:
            return NoticeEnd.NOT_OWED, ""
        bank = self._banks.get(debit.counterparty)
        if bank is None:  # a matter of configuration, which comes back
            text = "a notice is owed to a bank that is not configured"
            _log.error("alarm", text=text, key=payment.key, bank=debit.counterparty)
            return NoticeEnd.NOT_NOW, ""
        end, code = await bank.script_results(payment)
        metrics.SCRIPT_NOTICES.labels(debit.counterparty, str(end)).inc()
        return end, code


def _defect(failure: object) -> None:
    _log.error("notice_defect", error=str(failure))
