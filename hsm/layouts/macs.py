"""Tables of the MAC commands."""

from typing import Final

from hsm.codec import Command, Field
from hsm.kinds import Choice, Counted, Hex, Key, Values
from hsm.layouts.common import FORM, IV, KEY_TYPE

_FIRST_MODES: Final = ("1", "2")
"""More of the message follows: the answer carries the chain."""
_CHAINED_MODES: Final = ("2", "3")
"""Part of the message went before: the request carries the chain."""
_LAST_MODES: Final = ("0", "3")


def mac_width(values: Values) -> int:
    """Characters of the MAC that the request asks for: 8, or 16 for MAC size 1."""
    return 16 if values["mac_size"] == "1" else 8


_MAC_HEX: Final = Hex(mac_width, shown="8H or 16H")
_MAC_REQUEST: Final = (
    Field("mode", Choice(("0", "1", "2", "3"), shown="0 only, 1 first, 2 middle, 3 last")),
    Field("form", FORM),
    Field("mac_size", Choice(("0", "1"), shown="0 8H, 1 16H")),
    Field("algorithm", Choice(("1", "3"), shown="1 CBC-MAC, 3 X9.19")),
    Field("padding", Choice(("0", "1", "2"), shown="0 none, 1 zeros, 2 80+zeros")),
    Field("key_type", KEY_TYPE),
    Field("key", Key()),
    Field("iv", IV, when=lambda v: v["mode"] in _CHAINED_MODES),
    Field("message", Counted("form")),
)
_CHAIN: Final = Field("chain", IV, when=lambda v: v["mode"] in _FIRST_MODES)

M6: Final = Command(
    code="M6",
    title="make a MAC",
    request=_MAC_REQUEST,
    response=(_CHAIN, Field("mac", _MAC_HEX)),
)

M8: Final = Command(
    code="M8",
    title="check a MAC (01: it is wrong)",
    request=(*_MAC_REQUEST, Field("mac", _MAC_HEX, when=lambda v: v["mode"] in _LAST_MODES)),
    response=(_CHAIN,),
)
