"""The plugin of the bus: ``iso8583`` in the group ``yyt.channels``."""

from channels.iso8583.channel import BankChannel
from channels.iso8583.config import Config
from switch.ports import Context


class Iso8583Plugin:
    """Implements switch.ports.Plugin."""

    name = "iso8583"
    api_version = 1
    config_schema = Config
    capabilities = frozenset({"purchase", "refund", "reversal", "balance"})

    def build(self, name: str, config: Config, context: Context) -> BankChannel:
        """One bank. Raises DialectError when its dialect file is not usable."""
        return BankChannel(name, config, context)


plugin = Iso8583Plugin()
