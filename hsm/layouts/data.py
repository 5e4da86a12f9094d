"""Tables of the data encryption commands."""

from typing import Final

from hsm.codec import Command, Field
from hsm.keys import BLOCK_TYPE, KEY_TYPES
from hsm.kinds import Choice, Counted, Hex, Key
from hsm.layouts.common import chain_width

_MODES: Final = ("00", "01", "02", "03")
_SHOWN: Final = "00 ECB, 01 CBC, 02 CFB8, 03 CFB64"
_MODE: Final = Choice(_MODES, "02", _SHOWN)
_IN: Final = Choice(("0", "1", "2"), "03", "0 binary, 1 hex, 2 text")
_OUT: Final = Choice(("0", "1", "2"), "04", "0 binary, 1 hex, 2 text")
_TYPE: Final = Choice((*KEY_TYPES, BLOCK_TYPE), "05", "key type 3")
_IV_SHOWN: Final = "16H, 32H for AES and SM4"
_IV: Final = Hex(chain_width("key"), _IV_SHOWN)

_CIPHER_REQUEST: Final = (
    Field("mode", _MODE),
    Field("form", _IN),
    Field("output_form", _OUT),
    Field("key_type", _TYPE),
    Field("key", Key()),
    Field("iv", _IV, when=lambda v: v["mode"] != "00"),
    Field("data", Counted("form")),
)
_CIPHER_RESPONSE: Final = (
    Field("chain", _IV, when=lambda v: v["mode"] != "00"),
    Field("result", Counted("output_form")),
)

M0: Final = Command(
    code="M0", title="encrypt data", request=_CIPHER_REQUEST, response=_CIPHER_RESPONSE
)
M2: Final = Command(
    code="M2", title="decrypt data", request=_CIPHER_REQUEST, response=_CIPHER_RESPONSE
)

_SOURCE_IV: Final = Hex(chain_width("key"), _IV_SHOWN)
_TARGET_IV: Final = Hex(chain_width("target_key"), _IV_SHOWN)

M4: Final = Command(
    code="M4",
    title="translate data from one key to another",
    request=(
        Field("mode", _MODE),
        Field("target_mode", Choice(_MODES, "07", _SHOWN)),
        Field("form", _IN),
        Field("output_form", _OUT),
        Field("key_type", _TYPE),
        Field("key", Key()),
        Field("target_key_type", Choice((*KEY_TYPES, BLOCK_TYPE), "08", "key type 3")),
        Field("target_key", Key()),
        Field("iv", _SOURCE_IV, when=lambda v: v["mode"] != "00"),
        Field("target_iv", _TARGET_IV, when=lambda v: v["target_mode"] != "00"),
        Field("data", Counted("form")),
    ),
    response=(
        Field("chain", _SOURCE_IV, when=lambda v: v["mode"] != "00"),
        Field("target_chain", _TARGET_IV, when=lambda v: v["target_mode"] != "00"),
        Field("result", Counted("output_form")),
    ),
)
