"""The authorised state: commands that two officers allow for a purpose and a while. Pure."""

from collections.abc import Callable, Iterable
from typing import NamedTuple


class Grant(NamedTuple):
    """What two officers allowed."""

    commands: frozenset[str]
    officers: tuple[str, ...]
    purpose: str
    until_ms: int


class Authority:
    """Every grant in force. It ends by itself, by RA, or by an officer; never on the wall clock."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        """``now_ms``: milliseconds of a clock that never goes back."""
        self._now_ms = now_ms
        self._grants: list[Grant] = []

    def grant(
        self, commands: Iterable[str], officers: tuple[str, ...], purpose: str, minutes: int
    ) -> Grant:
        """Authorise from now on. A new grant adds to what is in force."""
        until_ms = self._now_ms() + minutes * 60_000
        made = Grant(frozenset(commands), officers, purpose, until_ms)
        self._grants.append(made)
        return made

    def authorised(self, command: str) -> bool:
        """Whether this command may be done now."""
        now_ms = self._now_ms()
        return any(now_ms < g.until_ms and command in g.commands for g in self._grants)

    def remaining_s(self) -> dict[str, int]:
        """Command → seconds left, rounded up; of those in force."""
        now_ms, found = self._now_ms(), dict[str, int]()
        for grant in self._grants:
            left_s = -((now_ms - grant.until_ms) // 1000)
            for command in grant.commands if left_s > 0 else ():
                found[command] = max(left_s, found.get(command, 0))
        return dict(sorted(found.items()))

    def cancel(self) -> tuple[Grant, ...]:
        """End all; what was in force."""
        now_ms, ended = self._now_ms(), self._grants
        self._grants = []
        return tuple(grant for grant in ended if now_ms < grant.until_ms)

    def expired(self) -> tuple[Grant, ...]:
        """Forget the grants whose time is over, and tell them, once."""
        now_ms, all_ = self._now_ms(), self._grants
        self._grants = [grant for grant in all_ if now_ms < grant.until_ms]
        return tuple(grant for grant in all_ if now_ms >= grant.until_ms)
