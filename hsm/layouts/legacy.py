"""Tables of the older key translations between ZMK and LMK, one pair of commands for each type.

Without ``;`` the key keeps its scheme and its check value has 16 digits.
"""

from typing import Final

from hsm.codec import Command, Field, Option
from hsm.kinds import Choice, Hex, Key
from hsm.layouts.common import SCHEME, ZMK_BEFORE_KEY
from hsm.layouts.keys import ATALLA, Reserved, value_width

_KIND: Final = Field("kind", Choice(("0", "1"), shown="0 ZEK, 1 ZAK"))
_FORM: Final = Field("kcv_form", Choice(("0", "1"), shown="0 16H, 1 6H"))
_VALUE: Final = Field("check_value", Hex(value_width, shown="16H or 6H"))


def _into(code: str, name: str, *first: Field) -> Command:
    return Command(
        code=code,
        title=f"import a {name} from under a ZMK (01: done, its parity was wrong and is set)",
        request=(
            *first,
            Field("zmk", ZMK_BEFORE_KEY),
            Field("key_zmk", Key()),
            ATALLA,
            Option(b";", (Field("scheme_lmk", Reserved(SCHEME, before=1)), _FORM)),
        ),
        response=(Field("key_lmk", Key()), _VALUE),
        answered=frozenset({"00", "01"}),
        attributed=True,
    )


def _out(code: str, name: str, *first: Field) -> Command:
    return Command(
        code=code,
        title=f"export a {name} under a ZMK",
        request=(
            *first,
            Field("zmk", ZMK_BEFORE_KEY),
            Field("key", Key()),
            ATALLA,
            Option(b";", (Field("scheme_zmk", Reserved(SCHEME, after=1)), _FORM)),
        ),
        response=(Field("key_zmk", Key()), _VALUE),
        attributed=True,
    )


FA: Final = _into("FA", "ZPK")
FC: Final = _into("FC", "TMK, TPK or PVK")
FK: Final = _into("FK", "ZEK or ZAK", _KIND)
MI: Final = _into("MI", "TAK")
GC: Final = _out("GC", "ZPK")
FE: Final = _out("FE", "TMK, TPK or PVK")
FM: Final = _out("FM", "ZEK or ZAK", _KIND)
MG: Final = _out("MG", "TAK")
