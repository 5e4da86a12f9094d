"""A business date of four digits (MMDD) made whole. Pure."""

from datetime import date

_MONTHS_APART = 6


def whole_date(month_day: str, today: str) -> str:
    """YYYYMMDD of the year that brings ``month_day`` nearest to ``today`` (YYYYMMDD); "" when it is
    no date. A bank's day may be tomorrow already, also on 31 December.

    >>> [whole_date(day, "20261231") for day in ("0101", "1231", "1341", "0230")]
    ['20270101', '20261231', '', '']
    """
    if not (len(month_day) == 4 and month_day.isdecimal()):
        return ""
    month, day = int(month_day[:2]), int(month_day[2:])
    year, apart = int(today[:4]), month - int(today[4:6])
    if apart > _MONTHS_APART:
        year -= 1
    elif apart < -_MONTHS_APART:
        year += 1
    try:
        return f"{date(year, month, day):%Y%m%d}"
    except ValueError:
        return ""
