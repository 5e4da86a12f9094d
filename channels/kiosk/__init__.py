"""The front that serves kiosks: WebSocket over mutual TLS, enrolment, the terminals' registry."""

from channels.kiosk.config import KioskConfig
from channels.kiosk.front import KioskFront
from switch.ports import Context, Front


class KioskPlugin:
    """Found through the entry point group ``yyt.fronts``."""

    name = "kiosk"
    api_version = 1
    config_schema = KioskConfig
    capabilities = frozenset({"payment", "query", "inquiry", "balance"})

    def build(self, name: str, config: KioskConfig, front: Front, context: Context) -> KioskFront:
        """One front; several with different ports may stand in one configuration."""
        return KioskFront(name, config, front, context)


plugin = KioskPlugin()
