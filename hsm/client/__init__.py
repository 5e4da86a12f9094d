"""The switch's way to its key service: the ``payshield`` plugin.

The same client drives the daemon of this project and a certified payShield-compatible device.
"""

import secrets
from collections.abc import Callable
from typing import Any

from hsm.client.client import HsmClient
from hsm.client.config import HsmConfig
from hsm.client.connection import HsmConnection
from hsm.client.connector import connector
from hsm.client.service import HostCommandService
from switch.ports import KeyRing, Timeline

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
        *,
        ring: KeyRing | None = None,
    ) -> HsmClient:
        """A client that is not started yet. ``ring`` resolves the texts that keys are given as;
        without one they are cryptograms."""
        connect = connector(reactor, config)
        return HsmClient(
            name, config, timeline, connect,
            random=random, entropy=secrets.token_bytes, ring=ring,
        )  # fmt: skip


plugin = PayshieldPlugin()
