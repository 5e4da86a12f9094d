"""The bank's business day (日切): its own messages turn it, the configured time does when they are
missing (I14). A payment keeps the date it was born with.
"""

from channels.iso8583.clocks import DayWindow, business_date
from channels.iso8583.config import Config
from switch.model.clock_time import ClockTime
from switch.observe.logs import get_logger
from switch.ports import Context, JournalDown

_log = get_logger("iso8583.day")

_NOON = ClockTime(12, 0)


class BankDay:
    """See the module. What the bank announced is known to all nodes of a database: each refreshes
    what it knows, and the day never goes back."""

    def __init__(self, bank: str, config: Config, context: Context) -> None:
        self._bank = bank
        self._cutover = ClockTime.parse(config.cutover)
        self._late = ClockTime.parse(config.cutover_latest or config.cutover)
        self._window = DayWindow.of(config.cutover, config.cutover_earliest, config.cutover_latest)
        self._context = context
        self._announced = ""

    def today(self) -> str:
        """YYYYMMDD of a payment born now: the day announced last; the configured calendar's when
        the bank announces none, or is late beyond ``cutover_latest``."""
        now = self._context.timeline.wall_clock()
        if not self._announced:
            return business_date(self._cutover, *now)
        return max(self._announced, business_date(self._late, *now))

    async def turned(self) -> bool:
        """The bank says that a new day has begun: today's by the calendar before noon, tomorrow's
        after it. Again is the same as once. False, with an alarm: it says so at an hour at which it
        cannot be, and a day never goes back. Raises JournalDown: then nothing has turned."""
        today, time = self._context.timeline.wall_clock()
        date, before = business_date(_NOON, today, time), self.today()
        if date > before and not self._window.holds(time):
            text = "the bank turns its day at an hour at which it cannot be: the day stays"
            _log.error("alarm", invariant="I14", text=text, bank=self._bank, date=before)
            return False
        self._announced = await self._context.bank_days.announce(self._bank, date)
        if self.today() != before:
            _log.info("day_turned", bank=self._bank, before=before, date=self.today())
        return True

    async def refresh(self) -> None:
        """What another node heard. Raises nothing."""
        try:
            self._announced = max(self._announced, await self._context.bank_days.newest(self._bank))
        except JournalDown as error:
            _log.warning("day_not_read", bank=self._bank, why=str(error))
