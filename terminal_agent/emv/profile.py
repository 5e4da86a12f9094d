"""What a bank wants of a terminal: applications, fixed data objects, field 55, limits, fall-back.

A profile is a YAML file; those shipped are in the folder ``profiles``. Which profile, merchant and
terminal number a payment uses is the caller's decision before the card is asked for anything
(outpatient and inpatient money clear under different merchant numbers).
"""

import re
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from terminal_agent.config import ConfigError, load_yaml
from terminal_agent.emv.tags import fits

FOLDER: Final = Path(__file__).parent / "profiles"
_REQUIRED: Final = ("5F2A", "9C", "9F1A", "9F33", "9F35")
_TAG: Final = re.compile(r"[0-9A-F]{2}|[0-9A-F]{4}|[0-9A-F]{6}")


class Application(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An application that the terminal accepts."""

    aid: str
    version: str
    """9F09, the version of the card scheme's rules that the terminal follows."""
    partial: bool
    """Whether a card's longer name that begins with ``aid`` is accepted too."""

    @property
    def name(self) -> bytes:
        """The AID as a card hears it."""
        return bytes.fromhex(self.aid)


class Field55(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tags in the bank's order, for each message that carries field 55."""

    online: tuple[str, ...]
    reversal: tuple[str, ...]
    script_notice: tuple[str, ...]


class Fallback(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When the stripe of a chip card may be read instead of its chip."""

    unreadable: bool
    """The chip stayed dumb at every try."""
    no_application: bool
    """The chip answers, but has no application that the terminal accepts."""
    reset_tries: int
    """Insertions without an answer before the chip counts as unreadable."""


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a card or an issuer may ask for at most."""

    candidates_max: int
    """Applications considered; further ones are not."""
    records_max: int
    """Records read of one application; a longer list ends the payment."""
    responses_max: int
    """Further commands for one answer (61xx, 6Cxx)."""
    scripts_max: int
    """Issuer scripts of one answer; further ones are left out."""
    script_commands_max: int
    """Commands of one script; a longer script is reported as not performed."""


class Profile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One bank's terminal profile."""

    name: str
    applications: tuple[Application, ...]
    objects: dict[str, str]
    """Data objects of the terminal by tag, in hex."""
    field55: Field55
    cardholder_choice: bool
    """Several applications: ask the holder, or take the card's first."""
    velocity: bool
    """Compare the card's counters with its offline limits (9F14, 9F23)."""
    floor_limit_fen: int | None = None
    """An amount of this or more sets TVR byte 4 bit 8; absent: not checked."""
    fallback: Fallback
    limits: Limits


class Terminal(Struct, frozen=True, kw_only=True):
    """Who is paid, and where: chosen by the business before GET PROCESSING OPTIONS."""

    merchant_number: str
    """9F16, 15 characters."""
    terminal_number: str
    """9F1C, 8 characters."""
    merchant_name: str
    """9F4E."""
    interface_serial: str
    """9F1E, 8 characters."""


def load_profile(name: str) -> Profile:
    """The shipped profile of this name, or the one in the file ``name`` (``….yaml``).

    Raises ConfigError and FileNotFoundError.
    """
    path = Path(name) if name.endswith(".yaml") else FOLDER / f"{name}.yaml"
    if not name.endswith(".yaml") and name not in shipped():
        raise ConfigError(f"no profile {name}; there are {', '.join(shipped())}")
    try:
        profile = msgspec.convert(load_yaml(path), Profile, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}") from None
    _check(path, profile)
    return profile


def shipped() -> tuple[str, ...]:
    """Names of the profiles that come with the agent."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def _check(path: Path, profile: Profile) -> None:
    def refuse(where: str, rule: str) -> ConfigError:
        return ConfigError(f"{path}: {rule} - at `$.{where}`")

    for tag in _REQUIRED:
        if tag not in profile.objects:
            raise refuse("objects", f"{tag} is missing")
    for tag, value in profile.objects.items():
        if not _TAG.fullmatch(tag) or not _is_hex(value) or not fits(tag, bytes.fromhex(value)):
            raise refuse(f"objects.{tag}", "must be a tag with a value in hex that fits it")
    for application in profile.applications:
        if not _is_hex(application.aid) or not 5 <= len(application.name) <= 16:
            raise refuse("applications", "an aid has 5 to 16 bytes in hex")
        if not _is_hex(application.version) or len(application.version) != 4:
            raise refuse("applications", "a version has 2 bytes in hex")
    orders = profile.field55
    for tag in (*orders.online, *orders.reversal, *orders.script_notice):
        if not _TAG.fullmatch(tag):
            raise refuse("field55", "must be tags in upper-case hex")
    if min(msgspec.structs.astuple(profile.limits)) < 1 or profile.fallback.reset_tries < 1:
        raise refuse("limits", "limits are at least 1")


def _is_hex(text: str) -> bool:
    return re.fullmatch(r"(?:[0-9A-F]{2})+", text) is not None
