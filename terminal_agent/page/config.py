"""The page's section of the agent's configuration."""

import ipaddress
from typing import Annotated

from msgspec import Meta, Struct


class PageConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the kiosk's own browser finds the page. Raises ValueError for an address that others
    could reach."""

    bind: str
    """A loopback address; the page is for the browser of this machine alone."""
    port: Annotated[int, Meta(ge=0, le=65535)]
    """0: any free port."""
    panel: bool
    """The demonstration's side panel at ``/demo``; only with emulated devices."""

    def __post_init__(self) -> None:
        try:
            loopback = ipaddress.ip_address(self.bind).is_loopback
        except ValueError:
            loopback = False
        if not loopback:
            raise ValueError("bind must be a loopback address, as 127.0.0.1")
