"""Tables of the PIN commands."""

from typing import Final

from hsm.codec import Command, Field
from hsm.kinds import Digits, Hex, Key

CA: Final = Command(
    code="CA",
    title="translate a PIN block from TPK to ZPK",
    request=(
        Field("tpk", Key()),
        Field("zpk", Key()),
        Field("pin_length_max", Digits(2)),
        Field("pin_block", Hex(16)),
        Field("source_format", Digits(2)),
        Field("target_format", Digits(2)),
        Field("account", Digits(12)),
    ),
    response=(
        Field("pin_length", Digits(2)),
        Field("translated", Hex(16)),
        Field("format", Digits(2)),
    ),
)
