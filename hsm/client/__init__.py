"""The switch's way to its key service: the ``payshield`` plugin.

The same client drives the daemon of this project and a certified payShield-compatible device.
"""

import secrets
from collections.abc import Callable
from typing import Any

from hsm.client.client import HsmClient, connector
from hsm.client.config import HsmConfig
from hsm.client.connection import HsmConnection
from hsm.client.service import HostCommandService
from switch.ports import Timeline

__all__ = ["HostCommandService", "HsmClient", "HsmConfig", "HsmConnection", "plugin"]


class PayshieldPlugin:
    """What the bus finds under ``yyt.hsm``."""

    name = "payshield"
    api_version = 1
    config_schema = HsmConfig
    capabilities = frozenset({"pin", "mac", "import", "check_value", "vault"})

    def build(
        self,
        name: str,
        config: HsmConfig,
        timeline: Timeline,
        reactor: Any,
        random: Callable[[], float],
    ) -> HsmClient:
        """A client that is not started yet."""
        connect = connector(reactor, config.connect_timeout_ms)
        return HsmClient(
            name, config, timeline, connect, random=random, entropy=secrets.token_bytes
        )


plugin = PayshieldPlugin()
