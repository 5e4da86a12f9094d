"""Tables of the commands that move a PIN: between keys, and between a key and the LMK.

The account is 12 digits except where Account says otherwise. A target that is a BDK (its flag
``*``, or the usage of its key block) has a KSN of its own.
"""

from typing import Final

from hsm.codec import Command, Field, Option
from hsm.kinds import Choice, Digits, Hex, Key, Values
from hsm.kinds_pin import Account, PinBlock, PinField, is_bdk

KSN_DESCRIPTOR: Final = Hex(3)
KSN: Final = Hex(20)
_BDK: Final = Key(untagged=32)
_BOTH: Final = ("source_format", "target_format")


def _to_bdk(values: Values) -> bool:
    return "target_flag" in values or is_bdk(values["zpk"])


_TARGET: Final = (
    Field("target_flag", Choice(("*",), shown="* the target is a BDK"), starts=b"*"),
    Field("zpk", Key()),
)
_TARGET_KSN: Final = Field("target_ksn", Hex(23, shown="KSN descriptor 3H, KSN 20H"), when=_to_bdk)
_MOVED: Final = (
    Field("pin_length", Digits(2)),
    Field("translated", PinBlock("zpk")),
    Field("format", Digits(2)),
)


CA: Final = Command(
    code="CA",
    title="translate a PIN block from TPK to ZPK (or to DUKPT)",
    request=(
        Field("tpk", Key()),
        *_TARGET,
        _TARGET_KSN,
        Field("pin_length_max", Digits(2)),
        Field("pin_block", PinBlock("tpk", anchored=True)),
        Field("source_format", Digits(2)),
        Field("target_format", Digits(2)),
        Field("account", Account(_BOTH)),
    ),
    response=_MOVED,
)

CC: Final = Command(
    code="CC",
    title="translate a PIN block from ZPK to ZPK",
    request=(
        Field("source_zpk", Key()),
        Field("zpk", Key()),
        Field("pin_length_max", Digits(2)),
        Field("pin_block", PinBlock("source_zpk", anchored=True)),
        Field("source_format", Digits(2)),
        Field("target_format", Digits(2)),
        Field("account", Account(_BOTH)),
    ),
    response=_MOVED,
)

G0: Final = Command(
    code="G0",
    title="translate a PIN block from DUKPT (X9.24-1) to ZPK (or to DUKPT)",
    request=(
        Field("bdk", _BDK),
        *_TARGET,
        Field("ksn_descriptor", KSN_DESCRIPTOR),
        Field("ksn", KSN),
        _TARGET_KSN,
        Field("pin_block", Hex(16)),
        Field("source_format", Digits(2)),
        Field("target_format", Digits(2)),
        Field("account", Account(_BOTH)),
        Option(b";", (Field("target_account", Digits(12)),)),
    ),
    response=_MOVED,
)


def _to_lmk(code: str, key: str) -> Command:
    return Command(
        code=code,
        title=f"translate a PIN from a block under {key.upper()} to the LMK",
        request=(
            Field(key, Key()),
            Field("pin_block", PinBlock(key, anchored=True)),
            Field("format", Digits(2)),
            Field("account", Account(("format",))),
        ),
        response=(Field("pin", PinField(0)),),
    )


JC: Final = _to_lmk("JC", "tpk")
JE: Final = _to_lmk("JE", "zpk")

JG: Final = Command(
    code="JG",
    title="translate a PIN from the LMK to a block under ZPK",
    request=(
        Field("zpk", Key()),
        Field("format", Digits(2)),
        Field("account", Account(("format",), after=None)),
        Field("pin", PinField(0)),
    ),
    response=(Field("pin_block", PinBlock("zpk")),),
)

JA: Final = Command(
    code="JA",
    title="make a random PIN (4 digits unless asked for more), under the LMK",
    request=(
        Field("account", Digits(12)),
        Field("pin_length", Digits(2), starts=b"0123456789"),
    ),
    response=(Field("pin", PinField(0)),),
    idempotent=False,
)

BA: Final = Command(
    code="BA",
    title="encrypt a clear PIN under the LMK",
    request=(Field("clear_pin", PinField(12, clear=True)), Field("account", Digits(12))),
    response=(Field("pin", PinField(0)),),
)

NG: Final = Command(
    code="NG",
    title="decrypt a PIN under the LMK",
    request=(Field("account", Digits(12)), Field("pin", PinField(0))),
    response=(Field("clear_pin", PinField(0, clear=True)),),
)
