"""The front itself: a door with the desk for a bank behind it."""

from collections.abc import Callable, Mapping

from channels.inbound.bank_origin.config import OriginConfig
from channels.inbound.bank_origin.desk import OriginDesk
from channels.inbound.door import Door
from switch.ports import Context, Counterparty, Front


class OriginFront:
    """Implements switch.ports.FrontService."""

    finisher: Counterparty | None = None

    def __init__(self, name: str, config: OriginConfig, front: Front, context: Context) -> None:
        """Raises TlsFilesError."""
        self.name = name
        self._front = front
        self._desk = OriginDesk(config, front, context.timeline)
        self._door = Door(name, config, config.terminals, self._desk, context)
        self._unwatch: list[Callable[[], None]] = []

    def start(self) -> None:
        """Listen. Raises CannotListenError."""
        self._door.start()
        for station in self._door.stations.values():
            self._unwatch.append(self._front.watch(station.label, self._desk.told))

    async def stop(self) -> None:
        """Stop listening and drop every connection."""
        self._door.stop()
        while self._unwatch:
            self._unwatch.pop()()

    def health(self) -> Mapping[str, str]:
        """Listening or not."""
        return self._door.health()

    def addresses(self) -> Mapping[str, int]:
        """The front's name → the port listened on."""
        return self._door.addresses()
