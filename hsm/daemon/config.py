"""The configuration of a key service with sealed LMKs: ``yyt hsm serve --config hsm.yaml``."""

from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from hsm.address import Address, parse_address
from hsm.audit import is_name
from hsm.commands import FUNCTIONS
from hsm.keys import KEY_TYPES
from hsm.policy import OWN_PIN_FORMATS, PIN_FORMATS, STRICT_TRANSLATIONS, Policy
from hsm.profile import load_profile
from hsm.yaml_file import ConfigError, read_yaml

__all__ = ["Config", "ConfigError", "load_config"]

Positive = Annotated[int, Meta(ge=1, le=10**9)]
_SHOWS_CLEAR: Final = frozenset({"NG", "BA"})
"""They take or answer a PIN in the clear: never outside test mode."""
_FORMATS: Final = (*PIN_FORMATS, *OWN_PIN_FORMATS)


class TokenPlace(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A PKCS#11 token and the file of its PIN."""

    library: str
    token: str
    pin_file: str


class Slot(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One LMK: the file ``lmk.NN.sealed`` in the folder, or what ``token`` holds."""

    replaces: str = ""
    """The slot this LMK takes over from: BW translates keys of that one to this one."""
    token: TokenPlace | None = None
    """The token that holds this LMK itself; it opens at the start and at every unlock."""


class Credential(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="sealer",
    tag="credential",
):
    """Start unattended with a key that systemd gives us (LoadCredentialEncrypted)."""

    name: str


class Token(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="sealer", tag="pkcs11"
):
    """Start unattended with a PKCS#11 token that wraps the data key."""

    library: str
    token: str
    pin_file: str
    key: str
    wrap: Literal["aes-gcm", "aes-key-wrap"]


class LmkSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the sealed LMKs are, and what opens them."""

    folder: str
    slots: dict[Annotated[str, Meta(pattern=r"^[0-9]{2}\Z")], Slot]
    """By id. A slot whose file is missing waits for its ceremony."""
    unattended: Credential | Token | None = None
    """Without it the service starts locked, until two officers unlock it."""
    backups: tuple[str, ...] = ()
    """Where copies of the sealed files are kept: ``lmk destroy`` lists them to be purged."""

    def __post_init__(self) -> None:
        """A slot replaces another one that is there."""
        for slot, section in self.slots.items():
            if section.replaces and (
                section.replaces == slot or section.replaces not in self.slots
            ):
                raise ValueError(f"slots.{slot}.replaces: must be another slot of this list")


class UnixListener(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="unix"
):
    """A socket file; clients are known by the user id at the other end."""

    path: str

    @property
    def address(self) -> Address:
        """Where it listens."""
        return Address(path=self.path)


class TlsListener(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="tls"
):
    """TCP under mutual TLS; clients are known by the common name of their certificates."""

    address: str
    """``IP:PORT``"""
    ca: str
    certificate: str
    key: str

    def __post_init__(self) -> None:
        """The address must be one."""
        parse_address(f"tls:{self.address}")


class ClientSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may connect, and what he may ask. NC, NO and B2 (status and echo) always pass."""

    commands: tuple[str, ...]
    """Command codes, or the one word ``all``."""
    uid: Annotated[int, Meta(ge=0)] | None = None
    common_name: str | None = None

    def __post_init__(self) -> None:
        """Known by exactly one of the two, and with commands that exist."""
        if (self.uid is None) == (self.common_name is None):
            raise ValueError("a client has either uid or common_name")
        for code in self.commands if self.commands != ("all",) else ():
            if code not in FUNCTIONS:
                raise ValueError(f"commands: {code} is no command (see yyt hsm commands)")


class AdminSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The officers' socket: mode 0600, and only these users besides our own."""

    path: str
    uids: tuple[Annotated[int, Meta(ge=0)], ...]
    idle_ms: Positive
    """A ceremony in which nobody types for this long is abandoned and wiped."""
    authority_minutes_max: Positive
    """The longest time for which officers may authorise commands at once."""


class AuditSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Folder of the audit log and the file of its key."""

    folder: str
    key: str


class LimitsSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one client may take of the service."""

    connections: Annotated[int, Meta(ge=1, le=10_000)]
    frame_ms: Positive
    idle_ms: Positive


class VerificationSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Wrong PINs and MACs a key may see before it is held (answer 39), and wrong PINs an account
    may see under one key."""

    limit: Annotated[int, Meta(ge=1, le=1000)]
    window_ms: Positive
    hold_ms: Positive
    keys_max: Positive
    """Keys counted, and accounts counted; those that come on top share one count."""
    account_limit: Annotated[int, Meta(ge=1, le=100)]
    account_window_ms: Positive
    account_hold_ms: Positive


class PolicySection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is refused although it could be done; what is left out is strict."""

    header_length: Annotated[int, Meta(ge=1, le=255)] | None = None
    """Characters of the message header, where the profile does not say it right."""
    pin_formats: tuple[str, ...] = ("01", "47", "48")
    pin_translations: tuple[str, ...] = tuple(
        f"{source}-{target}" for source, target in sorted(STRICT_TRANSLATIONS)
    )
    """``01-47``: from this PIN block format to that."""
    separate_002: bool = True
    """PCI HSM key types: TPK 70D, TMK 80D, PVK 002."""
    kept_home: tuple[str, ...] = ("00B",)
    decrypting: tuple[str, ...] = ("00B",)
    disabled: tuple[str, ...] = ("BA", "NG")
    """Commands that answer 68."""

    def __post_init__(self) -> None:
        """Codes, types and formats that exist."""
        _known("pin_formats", self.pin_formats, _FORMATS)
        pairs = [f"{source}-{target}" for source in _FORMATS for target in _FORMATS]
        _known("pin_translations", self.pin_translations, pairs)
        _known("kept_home", self.kept_home, KEY_TYPES)
        _known("decrypting", self.decrypting, KEY_TYPES)
        _known("disabled", self.disabled, FUNCTIONS)


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    mode: Literal["production", "test"]
    """``test`` takes test LMKs only, ``production`` live ones only."""
    name: str
    """This key service in its audit log."""
    lmk: LmkSection
    officers: str
    """File of the officers and custodians."""
    listeners: Annotated[tuple[UnixListener | TlsListener, ...], Meta(min_length=1, max_length=8)]
    clients: dict[str, ClientSection]
    admin: AdminSection
    audit: AuditSection
    limits: LimitsSection
    verification: VerificationSection
    profile: str = "payshield"
    """The dialect that hosts speak: a name, or the path of a YAML file."""
    policy: PolicySection = msgspec.field(default_factory=PolicySection)
    metrics_port: Annotated[int, Meta(ge=0, le=65535)] | None = None

    def __post_init__(self) -> None:
        """What must fit together."""
        for name in (self.name, *self.clients):
            if not is_name(name):
                raise ValueError(f"{name!r} cannot be a name in the audit log")
        ids = [c.uid if c.common_name is None else c.common_name for c in self.clients.values()]
        if len(set(ids)) < len(ids):
            raise ValueError("clients: two of them have the same uid or common_name")
        if self.mode == "production" and not set(self.policy.disabled) >= _SHOWS_CLEAR:
            raise ValueError("policy.disabled: BA and NG stay disabled in production mode")
        if self.production and not set(self.policy.decrypting) <= set(self.policy.kept_home):
            raise ValueError("policy.decrypting: what decrypts must be in policy.kept_home")

    @property
    def production(self) -> bool:
        """Live LMKs, and live LMKs only."""
        return self.mode == "production"

    def rules(self) -> Policy:
        """The policy that the commands ask. ConfigError: there is no such profile."""
        section, profile = self.policy, load_profile(self.profile)
        return Policy(
            test=not self.production,
            header_length=section.header_length or profile.header_length,
            profile=profile,
            sockets_max=self.limits.connections,
            pin_formats=frozenset(section.pin_formats),
            pin_translations=frozenset((p[:2], p[3:]) for p in section.pin_translations),
            separate_002=section.separate_002,
            kept_home=frozenset(section.kept_home),
            decrypting=frozenset(section.decrypting),
            disabled=frozenset(section.disabled),
        )


def _known(field: str, given: tuple[str, ...], known: Any) -> None:
    for one in given:
        if one not in known:
            raise ValueError(f"{field}: {one} is not known")


def load_config(path: Path) -> Config:
    """Read and check the file. ConfigError names the field and its rule."""
    tree = read_yaml(path)
    try:
        return msgspec.convert(tree, Config, strict=False)
    except msgspec.ValidationError as error:
        rule, _, where = str(error).partition(" - at ")
        place = where.strip("`").removeprefix("$").strip(".") or "top level"
        raise ConfigError(f"{path}: {place}: {rule}") from None
