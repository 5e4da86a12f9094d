"""Is a request whole, from a terminal we know, and authentic? Nothing is served before (I10).

What is wrong is answered in the dialect's own codes, without a MAC, and the connection lives on.
"""

from collections.abc import Mapping

from msgspec import Struct

from channels.inbound.answering import Said, inbound_codes
from channels.inbound.station import Station
from channels.inbound.wire import Wire
from channels.iso8583.errors import RemoteError
from channels.iso8583.message import Message
from channels.iso8583.recognise import Recogniser
from channels.iso8583.rules import check_complete
from switch.observe import metrics
from switch.observe.logs import get_logger
from switch.ports import Context, WorkingKeys

_log = get_logger("inbound")

MINUTE_MS = 60_000
_GUESSERS_MAX = 4_096
"""Terminals by address that are counted in a minute; the HSM has limits of its own behind it."""


class Arrived(Struct, frozen=True, kw_only=True):
    """A request that may be served. ``keys``: the set its MAC was made with; None: the type has
    no MAC."""

    kind: str
    message: Message
    station: Station
    keys: WorkingKeys | None

    @property
    def fields(self) -> Mapping[str, str]:
        """The message's fields."""
        return self.message.fields


class Reception:
    """See the module. ``stations`` by (F42, F41)."""

    def __init__(
        self,
        name: str,
        wire: Wire,
        stations: Mapping[tuple[str, str], Station],
        wrong_macs_per_minute: int,
        context: Context,
    ) -> None:
        self._name = name
        self._dialect = wire.dialect
        self._codes = inbound_codes(wire.dialect)
        self._recogniser = Recogniser(wire.dialect)
        self._wire = wire
        self._stations = stations
        self._context = context
        self._wrong_macs_per_minute = wrong_macs_per_minute
        self._wrong_macs: dict[tuple[str, str], int] = {}
        self._window_at = 0

    def kind(self, message: Message) -> str:
        """What it asks for, by the dialect; "" when that is nothing known."""
        return self._recogniser.kind(message)

    async def receive(self, kind: str, message: Message, peer: str) -> Arrived | Said:
        """What arrived, or what it is refused with. Raises KeyServiceError, JournalDown."""
        if not kind:
            return Said(self._codes.unsupported)
        where = (message.fields.get("42", ""), message.fields.get("41", ""))
        station = self._stations.get(where)
        if station is None:
            _log.warning("unknown_terminal", door=self._name, peer=peer)
            return Said(self._codes.unknown_terminal)
        try:
            check_complete(self._dialect, message)
        except RemoteError as error:
            _log.warning("request_incomplete", door=self._name, path=error.path, rule=error.rule)
            return Said(self._codes.format_error)
        if not self._dialect.mtis[message.mti].maced:
            return Arrived(kind=kind, message=message, station=station, keys=None)
        keys = await self._proven_by(message, station, peer)
        if keys is None:
            return Said(self._codes.wrong_mac)
        return Arrived(kind=kind, message=message, station=station, keys=keys)

    async def _proven_by(self, message: Message, station: Station, peer: str) -> WorkingKeys | None:
        """The key set under which the MAC is right: ours, the one before, or one that another node
        gave the terminal since."""
        guess = (peer, station.label)
        if not self._may_try(guess):
            return None
        for keys in await station.keys():
            if await self._wire.proves(message, keys.mak):
                return keys
        newer = await station.newer_keys()
        if newer is not None and await self._wire.proves(message, newer.mak):
            return newer
        if guess in self._wrong_macs or len(self._wrong_macs) < _GUESSERS_MAX:
            self._wrong_macs[guess] = self._wrong_macs.get(guess, 0) + 1
        metrics.MAC_FAILURES.labels(self._name).inc()
        _log.error("wrong_mac", bank=self._name, terminal=station.config.terminal, invariant="I10")
        return None

    def _may_try(self, guess: tuple[str, str]) -> bool:
        now_ms = self._context.timeline.now_ms()
        if now_ms - self._window_at >= MINUTE_MS:
            self._window_at = now_ms
            self._wrong_macs.clear()
        return self._wrong_macs.get(guess, 0) < self._wrong_macs_per_minute
