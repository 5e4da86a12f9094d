"""Field kinds that several command tables share.

The layouts of this package come from open-source clients and simulators of the payShield family
(ut-codec-payshield, thalessimulatorlibrary, pythales, hsm-simu, PayShieldPressureTest), never from
a vendor's confidential manual. Notation: ``2H`` two hex characters, ``2N`` two digits, ``9A`` nine
printable characters.
"""

from collections.abc import Callable
from typing import Final

from hsm.keys import BLOCK_SCHEMES, BLOCK_TYPE, KEY_TYPES, SCHEME_BYTES
from hsm.kinds import Choice, Hex, Key, KeyBeforeKey, Values

KEY_TYPE: Final = Choice((*KEY_TYPES, BLOCK_TYPE), "04", "key type 3")
SCHEME: Final = Choice((*SCHEME_BYTES, *BLOCK_SCHEMES), "26", "key scheme 1")
ZMK: Final = Key(untagged=32)
ZMK_BEFORE_KEY: Final = KeyBeforeKey(untagged=32)
FORM: Final = Choice(("0", "1", "2"), shown="0 binary, 1 hex, 2 text")
IV: Final = Hex(16)


def chain_width(name: str) -> Callable[[Values], int]:
    """Characters of an IV: one block of the cipher whose key is in the field ``name``."""

    def width(values: Values) -> int:
        key = values[name]
        return 32 if key.in_block and key.body[7:8] in ("A", "4") else 16

    return width
