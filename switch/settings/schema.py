"""The switch's configuration file, section by section.

Every timeout and limit is required: a switch that moves money has no default patience. The journal
and the engine state their own sections, plugins the schema of their own ``settings``.
"""

from ipaddress import ip_address
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from switch.engine import bounds
from switch.store.settings import JournalSettings

Name = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9_.-]{0,62}$")]
Milliseconds = Annotated[int, Meta(ge=1, le=86_400_000)]
Port = Annotated[int, Meta(ge=0, le=65_535)]
Text = Annotated[str, Meta(min_length=1, max_length=200)]


class Node(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """This process."""

    name: Name
    """Unique among the nodes that share a journal: leases are held under it (I13)."""
    data_dir: Text
    """Folder for what this node keeps on disk; it must be writable by its user alone."""
    log_level: Literal["debug", "info", "warning", "error"]
    """Least important log line that is written."""


class Hsm(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The key service."""

    plugin: Name
    settings: Any


class Hospital(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One hospital and the way to its HIS."""

    id: Name
    """Every row of the journal carries it."""
    name: Text
    """As printed on slips."""
    plugin: Name
    """Of the group ``yyt.his``."""
    settings: Any


class Channel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way money is paid."""

    name: Name
    plugin: Name
    """Of the group ``yyt.channels``."""
    settings: Any


class Front(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One door for terminals."""

    name: Name
    plugin: Name
    """Of the group ``yyt.fronts``."""
    settings: Any


class Limits(bounds.Limits, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is taken at once and how long is waited (I11)."""

    stop_wait_ms: Milliseconds
    """How long a stop waits for exchanges that are out; what is left goes on after the start."""


class Metrics(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``/metrics`` and ``/health``."""

    host: Text
    port: Port
    """0 takes a free one and logs it."""
    allow_remote: bool = False
    """Needed in words when ``host`` is not a loopback address."""

    def __post_init__(self) -> None:
        """Metrics are not exposed by accident (ASVS 13.4.5)."""
        if not (ip_address(self.host).is_loopback or self.allow_remote):
            raise ValueError("host is not loopback and allow_remote is not true")


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    node: Node
    journal: JournalSettings
    hsm: Hsm
    hospitals: Annotated[tuple[Hospital, ...], Meta(min_length=1)]
    channels: Annotated[tuple[Channel, ...], Meta(min_length=1)]
    routes: Annotated[tuple[bounds.Route, ...], Meta(min_length=1)]
    fronts: Annotated[tuple[Front, ...], Meta(min_length=1)]
    limits: Limits
    metrics: Metrics
