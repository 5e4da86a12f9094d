"""Tables of the Chinese additions.

SM4 needs no command of its own: under an AES key-block LMK a key of algorithm ``4`` works in A0,
A6, BU, CA, CC, M0, M2, M4, M6 and M8, and SM3 is hash 20 of GM.
"""

from typing import Final

from hsm.codec import Command, Field
from hsm.kinds import Choice, Counted, Hex, Key

_CHAINED: Final = ("2", "3")
_UNTAGGED: Final = {"0": 16, "1": 32, "2": 48}


def mab_request(message: Counted) -> tuple[Field, ...]:
    """The request of MS; a dialect counts its message another way."""
    return (
        Field("block", Choice(tuple("0123"), "05", "0 only, 1 first, 2 middle, 3 last")),
        Field("key_kind", Choice(("0", "1"), "04", "0 TAK, 1 ZAK")),
        Field("length_flag", Choice(tuple("012"), "06", "0 single, 1 double, 2 triple")),
        Field("form", Choice(("0", "1"), "03", "0 binary, 1 hex")),
        Field("key", Key(untagged=lambda v: _UNTAGGED[v["length_flag"]])),
        Field("iv", Hex(16), when=lambda v: v["block"] in _CHAINED),
        Field("message", message),
    )


MS: Final = Command(
    code="MS",
    title="make a MAB over a message in blocks: X9.9, for a longer key X9.19",
    request=mab_request(Counted("form", in_bytes=True)),
    response=(Field("mab", Hex(16)),),
)
