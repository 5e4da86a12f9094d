"""The bank's calendar and the bank's clock (I14)."""

import datetime

from msgspec import Struct

from switch.model.clock_time import ClockTime
from switch.observe import metrics
from switch.observe.logs import get_logger

_log = get_logger("iso8583.clock")

_NOON = ClockTime(12, 0)
_DAY_MINUTES = 24 * 60


def business_date(cutover: ClockTime, date: str, time: str) -> str:
    """The bank's business date (YYYYMMDD) at local ``date`` (YYYYMMDD) and ``time`` (hhmmss).

    A cutover in the afternoon begins tomorrow's business day; one in the morning ends yesterday's;
    00:00 is the calendar day.

    >>> business_date(ClockTime(23, 0), "20261231", "230000")
    '20270101'
    >>> business_date(ClockTime(6, 0), "20260301", "055959")
    '20260228'
    """
    turned = (int(time[:2]), int(time[2:4])) >= (cutover.hour, cutover.minute)
    if turned == (cutover < _NOON):
        return date
    day = datetime.date(int(date[:4]), int(date[4:6]), int(date[6:8]))
    return (day + datetime.timedelta(days=1 if turned else -1)).strftime("%Y%m%d")


class DayWindow(Struct, frozen=True):
    """The time of day, over midnight perhaps, in which a bank may turn its day. In minutes."""

    begins: int
    minutes: int

    @classmethod
    def of(cls, cutover: str, earliest: str | None, latest: str | None) -> "DayWindow":
        """Around the cutover, each ``HH:MM``. Raises ValueError for one of half a day or more: its
        date could not be told."""
        turns, begins, ends = (
            clock.hour * 60 + clock.minute
            for clock in (ClockTime.parse(one or cutover) for one in (cutover, earliest, latest))
        )
        minutes = (turns - begins) % _DAY_MINUTES + (ends - turns) % _DAY_MINUTES
        if minutes >= _DAY_MINUTES // 2:
            raise ValueError(
                "cutover_earliest, cutover, cutover_latest: in this order, in 12 hours"
            )
        return cls(begins, minutes)

    def holds(self, time: str) -> bool:
        """Whether local ``time`` (hhmmss) is in it.

        >>> DayWindow.of("23:00", "22:30", "00:30").holds("001500")
        True
        """
        now = int(time[:2]) * 60 + int(time[2:4])
        return (now - self.begins) % _DAY_MINUTES <= self.minutes


def clock_skew_ms(ours: str, theirs: str) -> int:
    """How far apart two clocks are: ours ``YYYYMMDDhhmmss``, theirs ``MMDDhhmmss`` (no year).

    The year is the one that brings theirs nearest. 0 when theirs is absent or no time at all.

    >>> clock_skew_ms("20261231235959", "0101000001")
    2000
    """
    now, then = _moment(ours), _nearest(ours, theirs)
    return abs(int((then - now).total_seconds() * 1000)) if then is not None else 0


def sent_mark(ours: str, theirs: str, stan: str, skew_ms: int) -> str:
    """When a bank sent a message, for comparing: YYYYMMDDhhmmss and its number. A time further than
    ``skew_ms`` ahead of ours is taken for that much: a clock put right must not be too old. Empty
    when the message has no time. The forms are those of :func:`clock_skew_ms`.

    >>> sent_mark("20261231235959", "0101000001", "000123", 60_000)
    '20270101000001000123'
    >>> sent_mark("20261231235959", "0102000001", "000124", 60_000)
    '20270101000059000124'
    """
    then = _nearest(ours, theirs)
    if then is None:
        return ""
    latest = _moment(ours) + datetime.timedelta(milliseconds=skew_ms)
    return f"{min(then, latest):%Y%m%d%H%M%S}{stan}"


def _moment(text: str) -> datetime.datetime:
    return datetime.datetime.strptime(text + "+0000", "%Y%m%d%H%M%S%z")


def _nearest(ours: str, theirs: str) -> datetime.datetime | None:
    """None when theirs is absent or no time at all."""
    now = _moment(ours)
    found: list[datetime.datetime] = []
    for year in (now.year - 1, now.year, now.year + 1):
        try:
            found.append(_moment(f"{year}{theirs}"))
        except ValueError:
            continue
    return min(found, key=lambda then: abs(then - now), default=None)


def compare_clocks(bank: str, ours: str, theirs: str, alarm_ms: int) -> None:
    """What a bank's sign-on says of its clock: shown, and alarmed beyond ``alarm_ms``. The forms
    are those of :func:`clock_skew_ms`."""
    skew_ms = clock_skew_ms(ours, theirs)
    metrics.BANK_CLOCK_SKEW_SECONDS.labels(bank).set(skew_ms / 1000)
    if skew_ms > alarm_ms:
        text = "our clock and the bank's differ"
        _log.error("alarm", invariant="I14", text=text, skew_ms=skew_ms, bank=bank)
