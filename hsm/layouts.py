"""The host commands this project speaks, as tables. Daemon, client and docs all read them here.

The layouts come from open-source clients and simulators of the payShield family (ut-codec-
payshield, thalessimulatorlibrary, pythales, hsm-simu, PayShieldPressureTest), never from a
vendor's confidential manual. Notation: ``2H`` two hex characters, ``2N`` two digits, ``9A`` nine
printable characters.
"""

from typing import Final

from hsm.codec import Command, Field, Option
from hsm.keys import KEY_TYPES, SCHEME_BYTES
from hsm.kinds import Bytes, Choice, Counted, Digits, Hex, Key, Text, Values

_KEY_TYPE: Final = Choice(tuple(KEY_TYPES), "04", "key type 3")
_SCHEME: Final = Choice(tuple(SCHEME_BYTES), "26", "key scheme 1")
_ZMK: Final = Key(untagged=32)
_FORM: Final = Choice(("0", "1", "2"), shown="0 binary, 1 hex, 2 text")
_IV: Final = Hex(16)

NC: Final = Command(
    code="NC",
    title="diagnostics: LMK check value and version",
    request=(),
    response=(Field("lmk_check_value", Hex(16)), Field("firmware", Text(9))),
)

NO: Final = Command(
    code="NO",
    title="status: buffer, protocol, sockets (mode 00), PCI settings (mode 01)",
    request=(Field("mode", Choice(("00", "01"))),),
    response=(
        Field("buffer", Digits(1), when=lambda v: v["mode"] == "00"),
        Field("protocol", Digits(1), when=lambda v: v["mode"] == "00"),
        Field("sockets", Digits(2), when=lambda v: v["mode"] == "00"),
        Field("firmware", Text(9), when=lambda v: v["mode"] == "00"),
        Field("reserved", Digits(5), when=lambda v: v["mode"] == "00"),
        Field("pci_setting", Digits(1), when=lambda v: v["mode"] == "01"),
    ),
)

B2: Final = Command(
    code="B2",
    title="echo",
    request=(Field("data", Counted()),),
    response=(Field("echo", Bytes(lambda v: len(v["data"]), "data")),),
)


def _exports(values: Values) -> bool:
    return bool(values["mode"] == "1")


A0: Final = Command(
    code="A0",
    title="generate a key (mode 1: and export it under a ZMK or TMK)",
    request=(
        Field("mode", Choice(("0", "1"))),
        Field("key_type", _KEY_TYPE),
        Field("scheme_lmk", _SCHEME),
        Option(b";", (Field("zmk_flag", Choice(("0", "1"), shown="0 ZMK, 1 TMK")),), when=_exports),
        Field("zmk", _ZMK, when=_exports),
        Field("scheme_zmk", _SCHEME, when=_exports),
    ),
    response=(
        Field("key_lmk", Key()),
        Field("key_zmk", Key(), when=_exports),
        Field("check_value", Hex(6)),
    ),
    idempotent=False,
)

A6: Final = Command(
    code="A6",
    title="import a key from under a ZMK (01: done, its parity was wrong and is set)",
    request=(
        Field("key_type", _KEY_TYPE),
        Field("zmk", _ZMK),
        Field("key_zmk", Key()),
        Field("scheme_lmk", _SCHEME),
        Field("atalla_variant", Digits(1), starts=b"0123456789"),
    ),
    response=(Field("key_lmk", Key()), Field("check_value", Hex(6))),
    answered=frozenset({"00", "01"}),
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
            (Field("key_type", _KEY_TYPE),),
            when=lambda v: v["pair_code"] == "FF",
            required=True,
        ),
        Option(b";00", (Field("kcv_form", Choice(("0", "1"), shown="0 16H, 1 6H")),)),
    ),
    response=(Field("check_value", Hex(_kcv_width, shown="16H or 6H")),),
)

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
    Field("form", _FORM),
    Field("mac_size", Choice(("0", "1"), shown="0 8H, 1 16H")),
    Field("algorithm", Choice(("1", "3"), shown="1 CBC-MAC, 3 X9.19")),
    Field("padding", Choice(("0", "1", "2"), shown="0 none, 1 zeros, 2 80+zeros")),
    Field("key_type", _KEY_TYPE),
    Field("key", Key()),
    Field("iv", _IV, when=lambda v: v["mode"] in _CHAINED_MODES),
    Field("message", Counted("form")),
)
_CHAIN: Final = Field("chain", _IV, when=lambda v: v["mode"] in _FIRST_MODES)

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

_CIPHER_REQUEST: Final = (
    Field("mode", Choice(("00", "01"), shown="00 ECB, 01 CBC")),
    Field("form", _FORM),
    Field("output_form", _FORM),
    Field("key_type", _KEY_TYPE),
    Field("key", Key()),
    Field("iv", _IV, when=lambda v: v["mode"] == "01"),
    Field("data", Counted("form")),
)
_CIPHER_RESPONSE: Final = (
    Field("chain", _IV, when=lambda v: v["mode"] == "01"),
    Field("result", Counted("output_form")),
)

M0: Final = Command(
    code="M0", title="encrypt data", request=_CIPHER_REQUEST, response=_CIPHER_RESPONSE
)
M2: Final = Command(
    code="M2", title="decrypt data", request=_CIPHER_REQUEST, response=_CIPHER_RESPONSE
)

COMMANDS: Final = {
    command.code: command for command in (NC, NO, B2, A0, A6, BU, CA, M0, M2, M6, M8)
}
"""Every declared command by its code."""
