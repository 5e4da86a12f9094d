"""What a command may want a key for, said both ways: a type under a variant LMK, the usage and
mode of use of a key block.

Types and block usages: the public tables of the payShield family; usages 11-73 are that maker's
numbers for what X9.143 names by letters.
"""

from functools import lru_cache
from typing import Final, NamedTuple

_ENCRYPTS: Final = frozenset("NBE")
_DECRYPTS: Final = frozenset("NBD")
_MAKES: Final = frozenset("NCG")
_VERIFIES: Final = frozenset("NCV")
_DERIVES: Final = frozenset("NX")

USAGES: Final = {
    "000": frozenset({"K0", "K1", "52", "51", "54"}),
    "001": frozenset({"P0", "72"}),
    "002": frozenset({"P0", "71"}),
    "003": frozenset({"M0", "M1", "M3", "M5", "M6"}),
    "008": frozenset({"M0", "M1", "M3", "M5", "M6"}),
    "009": frozenset({"B0", "41"}),
    "109": frozenset({"E0"}),
    "209": frozenset({"E2"}),
    "309": frozenset({"E1"}),
    "00A": frozenset({"D0", "22"}),
    "00B": frozenset({"D0", "21"}),
    "30B": frozenset({"D0", "23"}),
    "302": frozenset({"B1"}),
    "402": frozenset({"C0", "11", "12", "13"}),
    "70D": frozenset({"P0", "71"}),
    "80D": frozenset({"K0", "51"}),
}
"""Key type → block usages that are the same thing."""

CLASSIC_002: Final = frozenset({"P0", "71", "K0", "51", "V0", "V1", "V2"})
"""What type 002 stands for under a variant LMK while TPK, TMK and PVK are not kept apart."""

_PVK_USAGES: Final = frozenset({"V0", "V1", "V2"})


class Use(NamedTuple):
    """One purpose of a key in a command."""

    key_type: str
    usages: frozenset[str]
    modes: frozenset[str]
    algorithms: frozenset[str] = frozenset("DT")
    """Letters of the block header: D DES, T triple DES, A AES, 4 SM4."""

    def of(self, algorithms: str) -> "Use":
        """The same purpose for other algorithms."""
        return self._replace(algorithms=frozenset(algorithms))

    def under(self, key_type: str) -> "Use":
        """The same purpose for a key of another type, its own usages with it."""
        return _under(self, key_type)


@lru_cache(maxsize=256)
def _under(use: Use, key_type: str) -> Use:
    return use._replace(key_type=key_type, usages=USAGES.get(key_type, use.usages))


def _use(key_type: str, modes: frozenset[str], usages: frozenset[str] | None = None) -> Use:
    return Use(key_type, USAGES[key_type] if usages is None else usages, modes)


ZMK_WRAPS: Final = _use("000", _ENCRYPTS).of("DTA4")
ZMK_UNWRAPS: Final = _use("000", _DECRYPTS).of("DTA4")
TMK_WRAPS: Final = _use("002", _ENCRYPTS, frozenset({"K0", "51"})).of("DTA4")
TPK_OPENS: Final = _use("002", _DECRYPTS).of("DTA4")
ZPK_OPENS: Final = _use("001", _DECRYPTS).of("DTA4")
ZPK_CLOSES: Final = _use("001", _ENCRYPTS).of("DTA4")
PVK_VERIFIES: Final = _use("002", _VERIFIES, _PVK_USAGES)
PVK_MAKES: Final = _use("002", _MAKES, _PVK_USAGES)
CVK_VERIFIES: Final = _use("402", _VERIFIES)
CVK_MAKES: Final = _use("402", _MAKES)
BDK_DERIVES: Final = _use("009", _DERIVES)
MKAC_DERIVES: Final = _use("109", _DERIVES)
MAC_MAKES: Final = _use("003", _MAKES).of("DTA4")
MAC_VERIFIES: Final = _use("003", _VERIFIES).of("DTA4")
DATA_ENCRYPTS: Final = _use("00B", _ENCRYPTS).of("DTA4")
DATA_DECRYPTS: Final = _use("00B", _DECRYPTS).of("DTA4")
"""MAC and data keys come in several types: ``MAC_MAKES.under(key_type)``."""


def any_use(key_type: str) -> Use:
    """A key only to be looked at or wrapped again (BU, A8, BW): any mode, any algorithm, and of a
    key block any usage when the type is ``FFF``."""
    usages = USAGES.get(key_type, frozenset[str]())
    return Use(key_type, usages, frozenset(), frozenset())


BLOCK_OF_TYPE: Final = {
    "000": ("K0", "B"), "001": ("P0", "B"), "002": ("P0", "B"), "003": ("M3", "C"),
    "008": ("M3", "C"), "009": ("B0", "X"), "109": ("E0", "X"), "209": ("E2", "X"),
    "309": ("E1", "X"), "00A": ("D0", "B"), "00B": ("D0", "B"), "30B": ("D0", "B"),
    "302": ("B1", "X"), "402": ("C0", "C"), "70D": ("P0", "B"), "80D": ("K0", "B"),
}  # fmt: skip
"""Key type → usage and mode of use of the block it goes out in when nobody says otherwise."""

APART: Final = {"00A": "22", "30B": "23"}
"""Data keys that travel: usages that stay apart from those that decrypt (D0, 21)."""

AT_HOME: Final = frozenset({"000", "00B", "80D"})
"""Master and vault keys: a block made of one is not exportable unless somebody asks for it."""
