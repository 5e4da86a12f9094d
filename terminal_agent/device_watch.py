"""Tells the switch when a device's state changed.

The states are looked at once a second rather than awaited as events: some drivers announce
nothing, a device that flaps is told once a second at most, and nothing of it can be missed.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from terminal_agent import protocol
from terminal_agent.link import Late, Link, Lost, Refused
from terminal_agent.logs import get_logger

_log = get_logger("devices")

LOOK_S = 1
DEVICES_MAX = 16
_NO_WORD = re.compile(r"[^A-Za-z0-9_.-]")


class DeviceWatch:
    """Looks at ``statuses`` (role → state) and says what is new."""

    link: Link

    def __init__(self, reactor: Any, statuses: Callable[[], Mapping[str, str]]) -> None:
        self._statuses = statuses
        self._said: dict[str, str] = {}
        self._saying = False
        self._looking = LoopingCall(self._look)
        self._looking.clock = reactor

    def start(self) -> None:
        """Begin to look."""
        self._looking.start(LOOK_S, now=False).addErrback(_stopped)

    def stop(self) -> None:
        """Look no more."""
        if self._looking.running:
            self._looking.stop()

    def states(self) -> dict[str, str]:
        """The states now, as Boot and Heartbeat say them: the switch then knows them."""
        self._said = self._now()
        return self._said

    def _now(self) -> dict[str, str]:
        found = list(self._statuses().items())[:DEVICES_MAX]
        return {role: _NO_WORD.sub("_", state)[:32] or "unknown" for role, state in found}

    def _look(self) -> None:
        now = self._now()
        if now == self._said or self._saying or not self.link.up:
            return
        self._saying = True
        Deferred.fromCoroutine(self._say(now)).addErrback(_broken).addBoth(self._done)

    async def _say(self, now: dict[str, str]) -> None:
        try:
            await self.link.request(protocol.DEVICE_STATUS, protocol.DeviceStatus(devices=now))
        except (Lost, Late, Refused, protocol.ProtocolError) as error:
            _log.warning("states_not_said", reason=str(error))
            return
        self._said = now

    def _done(self, _result: object) -> None:
        self._saying = False


def _stopped(failure: Failure) -> None:
    """A status that cannot be asked is a driver's defect; the heartbeat will show it too."""
    _log.error("device_watch_failed", exc_info=failure.value)


def _broken(failure: Failure) -> None:
    """Named boundary: what cannot be said now is in the next heartbeat."""
    _log.error("states_not_said", exc_info=failure.value)
