"""The plugin of the bus: ``pos`` in the group ``yyt.fronts``."""

from channels.inbound.pos.config import PosConfig
from channels.inbound.pos.front import PosFront
from switch.ports import Context, Front


class PosPlugin:
    """Found through the entry point group ``yyt.fronts``."""

    name = "pos"
    api_version = 1
    config_schema = PosConfig
    capabilities = frozenset({"payment", "reversal", "balance", "settlement"})

    def build(self, name: str, config: PosConfig, front: Front, context: Context) -> PosFront:
        """One door; several with different ports may stand in one configuration."""
        return PosFront(name, config, front, context)


plugin = PosPlugin()
