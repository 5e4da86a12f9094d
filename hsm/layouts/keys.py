"""Tables of the key commands."""

from typing import Final

from hsm.codec import Command, Field, Option
from hsm.keys import KEY_TYPES
from hsm.kinds import Choice, Digits, Hex, Key, Values
from hsm.layouts.common import KEY_TYPE, SCHEME, ZMK


def _exports(values: Values) -> bool:
    return bool(values["mode"] == "1")


A0: Final = Command(
    code="A0",
    title="generate a key (mode 1: and export it under a ZMK or TMK)",
    request=(
        Field("mode", Choice(("0", "1"))),
        Field("key_type", KEY_TYPE),
        Field("scheme_lmk", SCHEME),
        Option(b";", (Field("zmk_flag", Choice(("0", "1"), shown="0 ZMK, 1 TMK")),), when=_exports),
        Field("zmk", ZMK, when=_exports),
        Field("scheme_zmk", SCHEME, when=_exports),
    ),
    response=(
        Field("key_lmk", Key()),
        Field("key_zmk", Key(), when=_exports),
        Field("check_value", Hex(6)),
    ),
    idempotent=False,
    attributed=True,
)

A6: Final = Command(
    code="A6",
    title="import a key from under a ZMK (01: done, its parity was wrong and is set)",
    request=(
        Field("key_type", KEY_TYPE),
        Field("zmk", ZMK),
        Field("key_zmk", Key()),
        Field("scheme_lmk", SCHEME),
        Field("atalla_variant", Digits(1), starts=b"0123456789"),
    ),
    response=(Field("key_lmk", Key()), Field("check_value", Hex(6))),
    answered=frozenset({"00", "01"}),
    attributed=True,
)

_BU_PAIRS: Final = tuple(sorted({code[1:] for code in KEY_TYPES if code[0] == "0"}))
_BU_UNTAGGED: Final = {"0": 16, "1": 32, "2": 48}


def _kcv_width(values: Values) -> int:
    return 6 if values.get("kcv_form") == "1" else 16


BU: Final = Command(
    code="BU",
    title="check value of a key (code FF: the type follows the key)",
    request=(
        Field("pair_code", Choice((*_BU_PAIRS, "FF"), "04", "LMK pair code 2, or FF")),
        Field("length_flag", Choice(("0", "1", "2"), "05")),
        Field("key", Key(untagged=lambda v: _BU_UNTAGGED[v["length_flag"]])),
        Option(
            b";",
            (Field("key_type", KEY_TYPE),),
            when=lambda v: v["pair_code"] == "FF",
            required=True,
        ),
        Option(b";00", (Field("kcv_form", Choice(("0", "1"), shown="0 16H, 1 6H")),)),
    ),
    response=(Field("check_value", Hex(_kcv_width, shown="16H or 6H")),),
)
