"""M6, M8: message authentication codes."""

from hmac import compare_digest
from typing import Final

from hsm import layouts, primitives, uses
from hsm.commands.bench import Bench, allow, hex_of, performs
from hsm.errors import CommandError
from hsm.kinds import Values
from hsm.uses import Use

_MAC_TYPES: Final = ("003", "008")
_OPEN_MODES: Final = ("1", "2")
"""First and middle part of a message: more follows."""


@performs(layouts.M6)
def make(values: Values, bench: Bench) -> Values:
    """The MAC, cut to its size; for a part of a message the chain to go on with as well."""
    chain = _chain(values, bench, uses.MAC_MAKES)
    return {"chain": chain, "mac": chain[: layouts.mac_width(values)]}


@performs(layouts.M8)
def check(values: Values, bench: Bench) -> Values:
    """00 or 01. The comparison takes the same time wherever the difference is."""
    bench.may_verify(values["key"])
    chain = _chain(values, bench, uses.MAC_VERIFIES)
    if "mac" in values:
        expected = chain[: layouts.mac_width(values)]
        bench.verdict(values["key"], compare_digest(expected, values["mac"]))
    return {"chain": chain}


def _chain(values: Values, bench: Bench, use: Use) -> str:
    allow(values["key_type"], _MAC_TYPES)
    key = bench.key(use.under(values["key_type"]), values["key"], "key")
    x919 = values["algorithm"] == "3"
    if x919 and len(key) != 16:
        raise CommandError("27", "key")
    more = values["mode"] in _OPEN_MODES
    data = values["message"] if more else primitives.pad(values["message"], int(values["padding"]))
    if not data or len(data) % primitives.BLOCK:
        raise CommandError("80", "message")
    iv = bytes.fromhex(values["iv"]) if "iv" in values else bytes(primitives.BLOCK)
    if not x919:
        return hex_of(primitives.cbc_mac(key, data, iv))
    if more:
        # X9.19 is single DES under the left half until the very last block.
        return hex_of(primitives.cbc_mac(key[: primitives.BLOCK], data, iv))
    return hex_of(primitives.retail_mac(key, data, iv))
