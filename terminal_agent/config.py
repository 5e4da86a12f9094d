"""The agent's configuration file: YAML read as text, then converted by this schema.

Every timeout and limit is stated; unknown and duplicate keys are errors. The file holds no secret.
"""

import ipaddress
from pathlib import Path
from typing import Annotated, Any

import msgspec
import yaml
from msgspec import Meta, Struct

Milliseconds = Annotated[int, Meta(ge=1)]


class ConfigError(ValueError):
    """The file cannot be used; names the file and the path of the first mistake."""


def _must_be_loopback(bind: str) -> None:
    """Raises ValueError."""
    try:
        loopback = ipaddress.ip_address(bind).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ValueError("bind must be a loopback address, as 127.0.0.1")


class SwitchLink(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the switch is and how patient the link is."""

    url: str
    """``wss://host:port/kiosk``; the host must stand in the switch's certificate."""
    pki: str
    """Folder with ``ca.crt``, ``terminal.crt`` and ``terminal.key`` (``yyt terminal enrol``)."""
    connect_timeout_ms: int
    reconnect_min_ms: int
    reconnect_max_ms: int
    request_timeout_ms: int
    """A request without an answer. At least the switch's own wait for a payment."""
    message_bytes_max: int
    in_flight_max: int


class PaymentTimes(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long a payment is sent again, asked for, and waited for."""

    resend_timeout_ms: int
    """The same key is sent again until then; afterwards the card data is forgotten and the
    outcome only asked for."""
    resend_wait_ms: int
    query_interval_ms: int
    patient_wait_ms: int
    """How long a patient stands before the screen while the outcome is open."""


class Control(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The loopback door for the demo and the attendant. Raises ValueError for an address that
    others could reach."""

    bind: str
    """A loopback address: who can ask here is not asked who they are."""
    port: int
    """0 = any free port; the ``agent_ready`` log line names it."""

    def __post_init__(self) -> None:
        _must_be_loopback(self.bind)


class Device(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A driver by name and what it needs."""

    driver: str
    options: dict[str, str] = {}


class Devices(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One device for each role; the last ones are not in every kiosk."""

    card_reader: Device
    pin_pad: Device
    printer: Device
    visit_card: Device | None = None
    id_reader: Device | None = None
    scanner: Device | None = None
    cash_acceptor: Device | None = None
    report_printer: Device | None = None
    timeout_ms: int
    """Waiting for the patient at a device."""


class Receipt(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How slips look."""

    hospital_name: str
    columns: int
    """32 (58 mm paper) or 48 (80 mm)."""
    font: str = ""
    """A font file with Chinese glyphs for the preview; empty: look for one."""


class Merchant(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is paid, as a chip card hears it."""

    merchant_number: str
    """9F16, 15 characters."""
    terminal_number: str
    """9F1C, 8 characters."""
    merchant_name: str
    """9F4E."""


class Emv(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What chip cards are told. Fixed by the business before the card is asked for anything:
    outpatient and inpatient money clear under numbers of their own."""

    profile: str
    """A shipped EMV profile, or a file ``….yaml``."""
    interface_serial: str
    """9F1E, 8 characters."""
    merchants: dict[str, Merchant]
    """By clearing: outpatient, inpatient."""


class Flows(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the patient does at the page."""

    amounts_fen: tuple[Annotated[int, Meta(ge=1)], ...]
    """Sums offered for a top-up or a deposit."""
    choose_ms: Milliseconds
    """Without a tap the kiosk goes home after this; on every screen before the card."""
    card_ms: Milliseconds
    """Putting the card in, and between two keys of the PIN."""
    result_ms: Milliseconds
    retries_max: Annotated[int, Meta(ge=0, le=3)]
    """Further tries at the card after a wrong PIN, without being identified again."""
    unfinished_ms: Milliseconds
    """After a restart a payment not older than this is shown until its outcome is known."""
    attendant_code_file: str = ""
    """Made by ``yyt agent attendant-code``; empty: there is no attendant's screen."""


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
        _must_be_loopback(self.bind)


class AgentConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kiosk."""

    terminal: str
    journal: str
    """SQLite file; its folder is made when missing."""
    switch: SwitchLink
    payment: PaymentTimes
    control: Control
    devices: Devices
    receipt: Receipt
    emv: Emv | None = None
    """Needed by a kiosk whose reader has chip contacts."""
    flows: Flows | None = None
    page: PageConfig | None = None
    """The page, with ``flows``; without it the kiosk is played through the control port alone."""


class _TextLoader(yaml.BaseLoader):
    """All scalars stay text; a key that stands twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise ConfigError(f"{node.start_mark}: key {key} stands twice")
        return dict(super().construct_mapping(node, deep=deep))


def load_yaml(path: Path) -> Any:
    """A YAML file with all scalars as text. Raises ConfigError."""
    try:
        return yaml.load(path.read_text("utf-8"), _TextLoader)  # noqa: S506 - a BaseLoader
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None


def load(path: Path) -> AgentConfig:
    """Read and check a configuration file. Raises ConfigError, FileNotFoundError."""
    try:
        config = msgspec.convert(load_yaml(path), AgentConfig, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}") from None
    if config.receipt.columns not in (32, 48):
        raise ConfigError(f"{path}: must be 32 or 48 - at `$.receipt.columns`")
    if not config.switch.url.startswith("wss://"):
        raise ConfigError(f"{path}: must begin with wss:// - at `$.switch.url`")
    if (config.page is None) != (config.flows is None):
        raise ConfigError(f"{path}: page and flows stand together - at `$`")
    return config
