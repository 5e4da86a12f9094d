"""The plugin of the bus: ``bank_origin`` in the group ``yyt.fronts``."""

from channels.inbound.bank_origin.config import OriginConfig
from channels.inbound.bank_origin.front import OriginFront
from switch.ports import Context, Front


class OriginPlugin:
    """Found through the entry point group ``yyt.fronts``."""

    name = "bank_origin"
    api_version = 1
    config_schema = OriginConfig
    capabilities = frozenset({"payment", "reversal", "inquiry", "settlement"})

    def build(self, name: str, config: OriginConfig, front: Front, context: Context) -> OriginFront:
        """One door for one bank."""
        return OriginFront(name, config, front, context)


plugin = OriginPlugin()
