"""The switch's configuration file, section by section.

Every timeout and limit is required: a switch that moves money has no default patience. Plugins
bring the schema of their own ``settings``.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from switch.model.secret import Secret

Name = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9_.-]{0,62}$")]
Milliseconds = Annotated[int, Meta(ge=1, le=86_400_000)]
Limit = Annotated[int, Meta(ge=1, le=1_000_000)]
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
    lang: Literal["zh", "en"] = "zh"
    """Language of texts for operators."""


class Embedded(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A PostgreSQL that the switch starts itself."""

    data_dir: Text
    """The cluster's folder."""
    binaries: Text | None = None
    """``bin`` folder of a system installation (≥ 15); the packaged PostgreSQL 18 without it."""


class Journal(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The store of truth: exactly one of ``embedded`` and ``dsn``."""

    embedded: Embedded | None = None
    dsn: Secret[str] | None = None
    """libpq connection string of a PostgreSQL ≥ 15, by reference."""
    queue_limit: Limit
    """Writes that may wait; a new payment beyond it is refused (I11)."""
    batch_limit: Limit
    """Writes in one commit at most."""
    lease_ms: Milliseconds
    """How long a payment stays with a node that is not heard of (I13)."""
    lease_renew_ms: Milliseconds
    """How often the lease is renewed; at most a third of ``lease_ms``."""
    connect_timeout_ms: Milliseconds
    waiver: Text | None = None
    """A written waiver by name and date, when a DSN of several hosts has no synchronous
    replication: a fail-over may then lose payments."""

    def __post_init__(self) -> None:
        if (self.embedded is None) == (self.dsn is None):
            raise ValueError("exactly one of embedded and dsn is needed")
        if self.lease_renew_ms * 3 > self.lease_ms:
            raise ValueError("lease_renew_ms must be at most a third of lease_ms")


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


class Route(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which channel takes which payments; the first route that fits is taken."""

    hospital: Name
    business: Name
    """A business of the catalogue, for example ``outpatient_bill``."""
    medium: Name
    """What the patient pays with, for example ``bank_card``."""
    channel: Name
    clearing: Name
    """``outpatient`` or ``inpatient``: picks merchant number and key set."""


class Front(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One door for terminals."""

    name: Name
    plugin: Name
    """Of the group ``yyt.fronts``."""
    settings: Any


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the engine takes at once and how long it waits."""

    payments_in_flight: Limit
    """Payments not at rest; a new one beyond it is refused, undo work never is (I11)."""
    answer_wait_ms: Milliseconds
    """A terminal that waits longer is answered *pending* and told the outcome later."""
    payment_deadline_ms: Milliseconds
    """From birth: afterwards nothing is resent forward, the payment ends or goes back."""
    undo_in_flight: Limit
    """Undo exchanges at once; they have their own lane, so sales cannot starve them (I3)."""
    recovery_batch: Limit
    """Unfinished payments claimed at once after a start or from a dead node."""
    stop_wait_ms: Milliseconds
    """How long a stop waits for exchanges that are out."""


class Metrics(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``/metrics`` and ``/health``."""

    host: Text
    port: Port
    """0 takes a free one and logs it."""
    allow_remote: bool = False
    """Needed in words when ``host`` is not a loopback address."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    node: Node
    journal: Journal
    hsm: Hsm
    hospitals: Annotated[tuple[Hospital, ...], Meta(min_length=1)]
    channels: Annotated[tuple[Channel, ...], Meta(min_length=1)]
    routes: Annotated[tuple[Route, ...], Meta(min_length=1)]
    fronts: Annotated[tuple[Front, ...], Meta(min_length=1)]
    limits: Limits
    metrics: Metrics
