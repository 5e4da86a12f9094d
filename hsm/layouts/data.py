"""Tables of the data encryption commands."""

from typing import Final

from hsm.codec import Command, Field
from hsm.kinds import Choice, Counted, Key
from hsm.layouts.common import FORM, IV, KEY_TYPE

_CIPHER_REQUEST: Final = (
    Field("mode", Choice(("00", "01"), shown="00 ECB, 01 CBC")),
    Field("form", FORM),
    Field("output_form", FORM),
    Field("key_type", KEY_TYPE),
    Field("key", Key()),
    Field("iv", IV, when=lambda v: v["mode"] == "01"),
    Field("data", Counted("form")),
)
_CIPHER_RESPONSE: Final = (
    Field("chain", IV, when=lambda v: v["mode"] == "01"),
    Field("result", Counted("output_form")),
)

M0: Final = Command(
    code="M0", title="encrypt data", request=_CIPHER_REQUEST, response=_CIPHER_RESPONSE
)
M2: Final = Command(
    code="M2", title="decrypt data", request=_CIPHER_REQUEST, response=_CIPHER_RESPONSE
)
