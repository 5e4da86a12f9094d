"""The front itself: a door with the POS desk behind it."""

from collections.abc import Mapping

from channels.inbound.door import Door
from channels.inbound.pos.config import PosConfig
from channels.inbound.pos.desk import PosDesk
from switch.ports import Context, Counterparty, Front


class PosFront:
    """Implements switch.ports.FrontService."""

    finisher: Counterparty | None = None

    def __init__(self, name: str, config: PosConfig, front: Front, context: Context) -> None:
        """Raises TlsFilesError."""
        self.name = name
        desk = PosDesk(config, front, context.timeline)
        self._door = Door(name, config, config.terminals, desk, context)

    def start(self) -> None:
        """Listen. Raises CannotListenError."""
        self._door.start()

    async def stop(self) -> None:
        """Stop listening and drop every connection."""
        self._door.stop()

    def health(self) -> Mapping[str, str]:
        """Listening or not."""
        return self._door.health()

    def addresses(self) -> Mapping[str, int]:
        """The front's name → the port listened on."""
        return self._door.addresses()
