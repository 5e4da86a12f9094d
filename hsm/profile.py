"""Which habits a host and its HSM share: a named dialect, read from YAML.

The builtins stand in ``hsm/profiles``. ``payshield`` is the default and needs no file: it is the
struct's own defaults. Client and daemon may use the same profile; this module needs neither
Twisted nor a cipher.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct, field

from hsm.yaml_file import ConfigError, read_yaml

MacAlgorithm = Literal["cbc", "x919", "cmac", "sm4"]
"""CBC-MAC (ISO 9797-1 algorithm 1), X9.19 (3), CMAC (5), and the SM4 MAC of :class:`Sm4Mac`."""
PinFormName = Literal[
    "iso-0", "docutel", "diebold", "plus", "iso-1", "iso-2", "iso-3", "iso-4",
    "no-account", "sm4", "sm4-padded",
]  # fmt: skip
"""Forms of a PIN block: ISO 9564-1 formats 0-4, the older ones, and what Chinese banks use: eight
bytes without account (不带主账号), and two forms under SM4."""
Counting = Literal["characters", "bytes"]

_FOLDER: Final = Path(__file__).parent / "profiles"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


class Sm4Mac(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """MAC algorithm ``sm4``: the bank's own block, padding and truncation."""

    block: Literal["folded", "chained"] = "folded"
    """``folded``: UnionPay's way, the XOR of all blocks, as hex, and CBC over these characters.
    ``chained``: CBC over the message itself."""
    padding: Annotated[int, Meta(ge=1, le=2)] = 1
    """As in M6: 1 zeros, 2 ``80`` and zeros."""
    length_bytes: Annotated[int, Meta(ge=4, le=16)] = 8
    """How much of the 16 bytes is left; a MAC size above it answers 15."""


class Profile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One dialect. The defaults are what a payShield does."""

    name: str = "payshield"
    header_length: Annotated[int, Meta(ge=1, le=255)] = 4
    """Characters of the message header."""
    character_set: Literal["ascii", "ebcdic"] = "ascii"
    """EBCDIC is code page 037; binary data stays as it is."""
    mac_algorithms: dict[Annotated[str, Meta(pattern=r"^[1-9]\Z")], MacAlgorithm] = field(
        default_factory=lambda: {"1": "cbc", "3": "x919", "5": "cbc", "6": "cmac", "9": "sm4"}
    )
    """M6, M8: code → what it means. 5 and 6 are from memory, 9 is this project's own."""
    pin_codes: dict[Annotated[str, Meta(pattern=r"^[0-9]{2}\Z")], PinFormName] = field(
        default_factory=lambda: {
            "01": "iso-0",
            "02": "docutel",
            "03": "diebold",
            "04": "plus",
            "05": "iso-1",
            "34": "iso-2",
            "47": "iso-3",
            "48": "iso-4",
            "90": "no-account",
            "91": "sm4",
            "92": "sm4-padded",
        }
    )
    """PIN block format code → its form. 90-92 are this project's own; the policy says which are
    on."""
    ibm_long_pvk: Literal["00", "02"] = "00"
    """What a command of the IBM offset answers when done with a PVK longer than 8 bytes; 02 is a
    warning that some devices give."""
    mac_hex_length: Counting = "characters"
    """What the length of M6 and M8 counts when the message is hex."""
    ms_hex_length: Counting = "bytes"
    """What the length of MS counts when the message is hex."""
    mac_answer_length: bool = False
    """Whether M7 says how long its MAC is (4H) before the MAC."""
    ma_long_key: Literal["x919", "cbc"] = "x919"
    """MA, MC, ME under a key longer than 8 bytes: X9.19, or triple DES in every step."""
    no_sockets_digits: Literal[2, 4] = 2
    """Digits of the number of sockets in the answer to NO; 4 from firmware 1.8a."""
    sm4_mac: Sm4Mac = Sm4Mac()


PAYSHIELD: Final = Profile()
"""The default, without reading a file."""


def load_profile(name_or_path: str) -> Profile:
    """A builtin by its name, or a YAML file by its path (anything else than a plain name).

    A missing key keeps the payShield's habit. ConfigError names the file, the field and the rule.
    """
    plain = _NAME.fullmatch(name_or_path)
    path = _FOLDER / f"{name_or_path}.yaml" if plain else Path(name_or_path)
    if plain and not path.is_file():
        known = ", ".join(builtin_profiles())
        raise ConfigError(f"{name_or_path}: no such profile; there are {known}")
    return read_profile(read_yaml(path), str(path))


def read_profile(found: Any, where: str) -> Profile:
    """A profile from what YAML gave; ``where`` begins the text of a ConfigError."""
    try:
        # Not strict: in YAML as we read it every scalar is a text.
        return msgspec.convert(found, Profile, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}") from None


def builtin_profiles() -> tuple[str, ...]:
    """The names that :func:`load_profile` knows."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))
