"""The bridge's door in the bus (总线 + 插件)."""

from his_bridge.config import HospitalConfig
from his_bridge.hospital import Hospital
from his_bridge.profile_file import load_profile
from switch.ports import Context


class SoapPlugin:
    """Hospitals of the single-method SOAP style; one instance serves any number of them."""

    name = "soap"
    api_version = 1
    config_schema = HospitalConfig
    capabilities = frozenset(
        {"hold", "confirm", "cancel", "order_query", "patient_query", "bill_query"}
    )

    def build(self, name: str, config: HospitalConfig, context: Context) -> Hospital:
        """Raises ProfileError for a profile, URL or site value that is wrong."""
        return Hospital(name, load_profile(config.profile), config, context)


plugin = SoapPlugin()
