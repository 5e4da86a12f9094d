"""MS: the MAB of Racal boxes in Chinese banks (X9.9, X9.19 in blocks 大报文分块)."""

from typing import Final

from hsm import primitives, uses
from hsm.commands.bench import Bench, hex_of, performs
from hsm.errors import CommandError
from hsm.kinds import Values
from hsm.layouts import china as tables

_TYPES: Final = {"0": "003", "1": "008"}
_LENGTHS: Final = {"0": 8, "1": 16, "2": 24}
_OPEN: Final = ("1", "2")
"""First and middle block: more follows."""


@performs(tables.MS)
def make_mab(values: Values, bench: Bench) -> Values:
    """All 16 characters: of the last block the MAB, before it the IV of the next block."""
    use = uses.MAC_MAKES.under(_TYPES[values["key_kind"]])
    key = bench.key(use, values["key"], "key")
    if len(key) != _LENGTHS[values["length_flag"]]:
        raise CommandError("27", "length_flag")
    message: bytes = values["message"]
    more = values["block"] in _OPEN
    if not more:
        message = primitives.pad(message, 1)
    if not message or len(message) % primitives.BLOCK:
        raise CommandError("80", "message")
    iv = bytes.fromhex(values["iv"]) if "iv" in values else bytes(primitives.BLOCK)
    if more or len(key) == primitives.BLOCK:
        return {"mab": hex_of(primitives.cbc_mac(key[: primitives.BLOCK], message, iv))}
    return {"mab": hex_of(primitives.retail_mac(key, message, iv))}
