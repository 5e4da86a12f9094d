"""The bad habits of real hospital systems, to be switched on one by one."""

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

DELAY_MS_MAX = 600_000
HABITS_MAX = 100


class Mode(StrEnum):
    """What goes wrong. *book_then_…* does the work first; *slow_booking* does it late."""

    NONE = "none"
    REFUSE = "refuse"
    SILENT = "silent"
    BOOK_THEN_SILENT = "book_then_silent"
    SLOW = "slow"
    SLOW_BOOKING = "slow_booking"
    ERROR_500 = "error_500"
    BOOK_THEN_500 = "book_then_500"
    FAULT = "fault"
    EMPTY_BODY = "empty_body"
    HTML = "html"
    INVALID_XML = "invalid_xml"
    GBK_LIE = "gbk_lie"
    HUGE_REPLY = "huge_reply"
    HALF_REPLY = "half_reply"
    DROP_CONNECTION = "drop_connection"


NO_WORK = frozenset({Mode.REFUSE, Mode.SILENT, Mode.ERROR_500, Mode.FAULT})
"""Modes in which nothing is booked; all others do the work and spoil the answer."""


class Habit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``count`` calls of ``function`` (``any``: of all) go wrong; 0 = until changed.

    ``patient`` narrows it to one patient, so that a habit can be shown under load.
    """

    mode: Mode
    function: str = "confirm"
    count: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    delay_ms: Annotated[int, Meta(ge=0, le=DELAY_MS_MAX)] = 0
    patient: str = ""


class Habits:
    """Those in force; the newest that fits is taken."""

    def __init__(self) -> None:
        self._active: list[Habit] = []

    def put(self, habit: Habit) -> None:
        """Replaces the habit of the same function and patient. Raises ValueError beyond 100."""
        self._active = [
            other
            for other in self._active
            if (other.function, other.patient) != (habit.function, habit.patient)
        ]
        if habit.mode is Mode.NONE:
            return
        if len(self._active) >= HABITS_MAX:
            raise ValueError(f"more than {HABITS_MAX} habits")
        self._active.append(habit)

    def take(self, function: str, patient: str) -> Habit | None:
        """The habit for this call; a counted one is used up."""
        for habit in reversed(self._active):
            if habit.function in (function, "any") and habit.patient in ("", patient):
                if habit.count == 1:
                    self._active.remove(habit)
                elif habit.count:
                    at = self._active.index(habit)
                    self._active[at] = msgspec.structs.replace(habit, count=habit.count - 1)
                return habit
        return None

    def active(self) -> list[Habit]:
        return list(self._active)
