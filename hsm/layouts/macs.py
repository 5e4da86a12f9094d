"""Tables of the MAC commands.

Error codes 02 … 09 of the flags are those that ut-codec and ThalesSim give for each command.
"""

from typing import Final

from hsm.codec import Command, Field
from hsm.keys import BLOCK_TYPE, KEY_TYPES
from hsm.kinds import Bytes, Choice, Counted, Hex, Key, Rest, Values
from hsm.layouts.common import chain_width

_FIRST_MODES: Final = ("1", "2")
"""More of the message follows: the answer carries the chain."""
_CHAINED_MODES: Final = ("2", "3")
"""Part of the message went before: the request carries the chain."""
_LAST_MODES: Final = ("0", "3")
_WIDTHS: Final = {"0": 8, "1": 16, "2": 32}


def mac_width(values: Values) -> int:
    """Characters of the MAC that the request asks for: 8, 16 or 32 for MAC size 0, 1 or 2."""
    return _WIDTHS[values["mac_size"]]


MAC_HEX: Final = Hex(mac_width, shown="8H, 16H or 32H")
_MAC8: Final = Hex(8)
_IV: Final = Hex(chain_width("key"), shown="16H, 32H for AES and SM4")
_FORM: Final = Choice(("0", "1", "2"), "03", "0 binary, 1 hex, 2 text")
_MODE: Final = Choice(("0", "1", "2", "3"), "02", "0 only, 1 first, 2 middle, 3 last")
_TYPE: Final = Choice((*KEY_TYPES, BLOCK_TYPE), "05", "key type 3")


def mac_request(message: Counted) -> tuple[Field, ...]:
    """The request of M6; a dialect counts its message another way."""
    return (
        Field("mode", _MODE),
        Field("form", _FORM),
        Field("mac_size", Choice(("0", "1", "2"), shown="0 8H, 1 16H, 2 32H")),
        Field("algorithm", Choice(tuple("123456789"), "04", "1 CBC-MAC, 3 X9.19, 6 CMAC …")),
        Field("padding", Choice(tuple("0123"), "09", "0 none, 1 zeros, 2 80+zeros, 3 length")),
        Field("key_type", _TYPE),
        Field("key", Key()),
        Field("iv", _IV, when=lambda v: v["mode"] in _CHAINED_MODES),
        Field("message", message),
    )


_REQUEST: Final = mac_request(Counted("form"))
CHAIN: Final = Field("chain", _IV, when=lambda v: v["mode"] in _FIRST_MODES)
CLAIMED: Final = Field("mac", MAC_HEX, when=lambda v: v["mode"] in _LAST_MODES)

M6: Final = Command(
    code="M6",
    title="make a MAC (modes 1, 2: and the chain that the next part goes on with)",
    request=_REQUEST,
    response=(CHAIN, Field("mac", MAC_HEX)),
)

M8: Final = Command(
    code="M8",
    title="check a MAC (01: it is wrong)",
    request=(*_REQUEST, CLAIMED),
    response=(CHAIN,),
)

MA: Final = Command(
    code="MA",
    title="make a MAC under a TAK: X9.9, for a longer key X9.19",
    request=(Field("tak", Key()), Field("message", Rest())),
    response=(Field("mac", _MAC8),),
)

MC: Final = Command(
    code="MC",
    title="check the MAC of MA (01: it is wrong)",
    request=(Field("tak", Key()), Field("mac", _MAC8), Field("message", Rest())),
)

ME: Final = Command(
    code="ME",
    title="check the MAC of MA and make one under another TAK (01: it is wrong)",
    request=(
        Field("tak", Key()),
        Field("target_tak", Key()),
        Field("mac", _MAC8),
        Field("message", Rest()),
    ),
    response=(Field("target_mac", _MAC8),),
)

_MAKING: Final = ("4", "5", "6")
_VERIFYING: Final = ("1", "2", "3")
_HALF_MODES: Final = ("2", "3", "5", "6")


def dukpt_mac_width(values: Values) -> int:
    """Characters of GW's MAC: 16 whole, 8 for the modes of half a MAC."""
    return 8 if values["mode"] in _HALF_MODES else 16


_DUKPT_MAC: Final = Hex(dukpt_mac_width, shown="16H or 8H")

GW: Final = Command(
    code="GW",
    title="make or check a DUKPT MAC (01: it is wrong)",
    request=(
        Field("mode", Choice(tuple("123456"), "02", "1 check 16H, 2 3 8H; 4 make 16H, 5 6 8H")),
        Field("method", Choice(("1",), "03", "1 X9.19")),
        Field("bdk", Key(untagged=32)),
        Field("ksn_descriptor", Hex(3)),
        Field("ksn", Hex(20)),
        Field("mac", _DUKPT_MAC, when=lambda v: v["mode"] in _VERIFYING),
        Field("message", Counted()),
    ),
    response=(Field("mac", _DUKPT_MAC, when=lambda v: v["mode"] in _MAKING),),
)

_HASHES: Final = "01 SHA-1, 02 MD5, 05 SHA-224, 06 SHA-256, 07 SHA-384, 08 SHA-512, 20 SM3"
HASH_LENGTHS: Final = {"01": 20, "02": 16, "05": 28, "06": 32, "07": 48, "08": 64, "20": 32}
"""Hash id → bytes of its hash. 20 is this project's own number; 03 (ISO 10118-2) is not done."""

GM: Final = Command(
    code="GM",
    title="hash data",
    request=(
        Field("hash", Choice(tuple(HASH_LENGTHS), "05", _HASHES)),
        Field("data", Counted(digits=5, base=10)),
    ),
    response=(Field("digest", Bytes(lambda v: HASH_LENGTHS[v["hash"]], "hash, binary")),),
)
