"""Tables of the commands that check a PIN, or make what it is checked by: PVV and IBM offset."""

from typing import Final

from hsm.codec import Command, Field, Option, Part
from hsm.keys import BLOCK_TYPE
from hsm.kinds import Choice, Digits, Hex, Key
from hsm.kinds_pin import Account, PinBlock, PinField, ValidationData
from hsm.layouts.pins import KSN, KSN_DESCRIPTOR

_FORMAT: Final = ("format",)
_PIN_KEY_TYPES: Final = ("001", "002", "70D", BLOCK_TYPE)
_PVK_PAIR: Final = Key(untagged=32)
_OFFSET: Final = Hex(12, shown="12H, digits then F")
_TABLE: Final = Hex(16, shown="16N, or 16H under the LMK")

_PVV: Final = (Field("pvk_index", Digits(1)), Field("pvv", Digits(4)))
_OTHER_ACCOUNT: Final = Option(b";", (Field("verification_account", Digits(12)),))
_CARD: Final = (Field("table", _TABLE), Field("validation_data", ValidationData()))
_CHECK_LENGTH: Final = Field("check_length", Digits(2))
_KSN: Final = (Field("ksn_descriptor", KSN_DESCRIPTOR), Field("ksn", KSN))
_MODE: Final = Field("mode", Choice(("0",), shown="0 no MAC"))
_DELIMITER: Final = Field("delimiter", Choice((";",)), starts=b";")


_DONE: Final = frozenset({"00", "02"})
"""02: done, with a PVK longer than the algorithm's (profile ``ibm_long_pvk``)."""


def _block(key: str, name: str = "pin_block") -> Field:
    return Field(name, PinBlock(key))


def _account(after: int) -> Field:
    return Field("account", Account(_FORMAT, after=after))


_KEY: Final = (Field("key_type", Choice(_PIN_KEY_TYPES, "28")), Field("key", Key()))


def _verify_pvv(code: str, key: str) -> Command:
    return Command(
        code=code,
        title=f"verify a PIN in a block under {key.upper()} by its PVV (01: it is wrong)",
        request=(
            Field(key, Key()),
            Field("pvk", _PVK_PAIR),
            _block(key),
            Field("format", Digits(2)),
            _account(5),
            _OTHER_ACCOUNT,
            *_PVV,
        ),
    )


DC: Final = _verify_pvv("DC", "tpk")
EC: Final = _verify_pvv("EC", "zpk")


def _verify_offset(code: str, key: str) -> Command:
    return Command(
        code=code,
        title=f"verify a PIN in a block under {key.upper()} by its IBM offset (01: it is wrong)",
        answered=_DONE,
        request=(
            Field(key, Key()),
            Field("pvk", Key()),
            Field("pin_length_max", Digits(2)),
            _block(key),
            Field("format", Digits(2)),
            _CHECK_LENGTH,
            _account(40),
            *_CARD,
            Field("offset", _OFFSET),
        ),
    )


DA: Final = _verify_offset("DA", "tpk")
EA: Final = _verify_offset("EA", "zpk")


def _dukpt_pvv(code: str, *lead: Part, pvk: Key, form: tuple[Part, ...], account: Field) -> Command:
    return Command(
        code=code,
        title="verify a PIN in a block under DUKPT by its PVV (01: it is wrong)",
        request=(
            *lead,
            Field("bdk", Key(untagged=32)),
            Field("pvk", pvk),
            *_KSN,
            Field("pin_block", Hex(16)),
            *form,
            account,
            _OTHER_ACCOUNT,
            *_PVV,
        ),
    )


def _dukpt_offset(code: str, *lead: Part, form: tuple[Part, ...], account: Field) -> Command:
    return Command(
        code=code,
        title="verify a PIN in a block under DUKPT by its IBM offset (01: it is wrong)",
        answered=_DONE,
        request=(
            *lead,
            Field("bdk", Key(untagged=32)),
            Field("pvk", Key()),
            *_KSN,
            Field("pin_block", Hex(16)),
            *form,
            _CHECK_LENGTH,
            account,
            *_CARD,
            Field("offset", _OFFSET),
        ),
    )


_GIVEN: Final = (Field("format", Digits(2)),)
_PLAIN_ACCOUNT: Final = Field("account", Digits(12))
CK: Final = _dukpt_offset("CK", form=(), account=_PLAIN_ACCOUNT)
CM: Final = _dukpt_pvv("CM", pvk=_PVK_PAIR, form=(), account=_PLAIN_ACCOUNT)
GO: Final = _dukpt_offset("GO", _MODE, form=_GIVEN, account=_account(40))
GQ: Final = _dukpt_pvv("GQ", _MODE, pvk=_PVK_PAIR, form=_GIVEN, account=_account(5))

_MADE_PVV: Final = (Field("new_pvv", Digits(4)),)
_MADE_OFFSET: Final = (Field("new_offset", _OFFSET),)

CU: Final = Command(
    code="CU",
    title="verify a PIN by its PVV (01: it is wrong) and make the PVV of a new one",
    request=(
        *_KEY,
        Field("pvk", _PVK_PAIR),
        _block("key"),
        Field("format", Digits(2)),
        _PLAIN_ACCOUNT,
        *_PVV,
        _block("key", "new_pin_block"),
    ),
    response=_MADE_PVV,
)

FW: Final = Command(
    code="FW",
    title="make the PVV of a PIN in a block",
    request=(
        *_KEY,
        Field("pvk", _PVK_PAIR),
        _block("key"),
        Field("format", Digits(2)),
        _account(1),
        Field("pvk_index", Digits(1)),
        _DELIMITER,
    ),
    response=_MADE_PVV,
)

DG: Final = Command(
    code="DG",
    title="make the PVV of a PIN under the LMK",
    request=(
        Field("pvk", _PVK_PAIR),
        Field("pin", PinField(13)),
        _PLAIN_ACCOUNT,
        Field("pvk_index", Digits(1)),
        _DELIMITER,
    ),
    response=_MADE_PVV,
)

DU: Final = Command(
    code="DU",
    title="verify a PIN by its IBM offset (01: it is wrong) and make the offset of a new one",
    answered=_DONE,
    request=(
        *_KEY,
        Field("pvk", Key()),
        _block("key"),
        Field("format", Digits(2)),
        _CHECK_LENGTH,
        _PLAIN_ACCOUNT,
        *_CARD,
        Field("offset", _OFFSET),
        _block("key", "new_pin_block"),
    ),
    response=_MADE_OFFSET,
)

BK: Final = Command(
    code="BK",
    title="make the IBM offset of a PIN in a block",
    answered=_DONE,
    request=(
        *_KEY,
        Field("pvk", Key()),
        _block("key"),
        Field("format", Digits(2)),
        _CHECK_LENGTH,
        _account(28),
        *_CARD,
        _DELIMITER,
    ),
    response=_MADE_OFFSET,
)

DE: Final = Command(
    code="DE",
    title="make the IBM offset of a PIN under the LMK",
    answered=_DONE,
    request=(
        Field("pvk", Key()),
        Field("pin", PinField(42)),
        _CHECK_LENGTH,
        _PLAIN_ACCOUNT,
        *_CARD,
        _DELIMITER,
    ),
    response=_MADE_OFFSET,
)

EE: Final = Command(
    code="EE",
    title="derive the PIN of an IBM offset, under the LMK",
    answered=_DONE,
    request=(
        Field("pvk", Key()),
        Field("offset", _OFFSET),
        _CHECK_LENGTH,
        _PLAIN_ACCOUNT,
        *_CARD,
        _DELIMITER,
    ),
    response=(Field("pin", PinField(0)),),
)
