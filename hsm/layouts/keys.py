"""Tables of the key commands."""

from dataclasses import dataclass
from typing import Final

from hsm.codec import Command, Field, Option
from hsm.errors import CommandError
from hsm.keys import BLOCK_SCHEMES, KEY_TYPES, SCHEME_BYTES
from hsm.kinds import Choice, Digits, Hex, Key, Values
from hsm.layouts.common import KEY_TYPE, SCHEME, ZMK

SHORT_VALUE: Final = Hex(6)
_FLAG: Final = Choice(("0", "1"), shown="0 ZMK, 1 TMK")
ATALLA: Final = (
    Field("atalla_variant", Digits(1), starts=b"0123456789"),
    Field("atalla_second", Digits(1), starts=b"0123456789"),
)
"""The variant has one or two digits."""


def _exports(values: Values) -> bool:
    return values["mode"] in ("1", "B")


def _derives(values: Values) -> bool:
    return values["mode"] in ("A", "B")


@dataclass(frozen=True, slots=True)
class _BareFlag:
    """The ZMK/TMK flag without its ``;``, as some clients send it before a tagged key. An untagged
    key may begin with the same digit: then there is no flag, and the value is empty."""

    notation: str = "0 ZMK, 1 TMK"

    def read(self, data: bytes, at: int, seen: Values) -> tuple[str, int]:
        if data[at + 1 : at + 2] in (b"U", b"T", b"X", b"Y", b"S", b"R"):
            return data[at : at + 1].decode("ascii"), at + 1
        return "", at

    def write(self, value: str, seen: Values) -> bytes:
        return value.encode("ascii")


@dataclass(frozen=True, slots=True)
class Reserved:
    """A value between reserved characters, which may be anything and are written as zeros."""

    kind: Choice
    before: int = 0
    after: int = 0

    @property
    def notation(self) -> str:
        """For the printed table."""
        return "0" * self.before + f" + {self.kind.notation}" + " + 0" * self.after

    def read(self, data: bytes, at: int, seen: Values) -> tuple[str, int]:
        value, end = self.kind.read(data, at + self.before, seen)
        if len(data) < end + self.after:
            raise CommandError("15")
        return value, end + self.after

    def write(self, value: str, seen: Values) -> bytes:
        return b"0" * self.before + self.kind.write(value, seen) + b"0" * self.after


A0: Final = Command(
    code="A0",
    title="generate a key, or derive (modes A, B) a DUKPT initial key; modes 1, B: and export it",
    request=(
        Field("mode", Choice(("0", "1", "A", "B"))),
        Field("key_type", KEY_TYPE),
        Field("scheme_lmk", SCHEME),
        Field("derive_mode", Choice(("0",), shown="0 DUKPT"), when=_derives),
        Field("bdk_type", Choice(("1",), shown="1 BDK type 1"), when=_derives),
        Field("bdk", ZMK, when=_derives),
        Field("ksn", Hex(15), when=_derives),
        Option(b";", (Field("zmk_flag", _FLAG),), when=_exports),
        Field(
            "zmk_flag",
            _BareFlag(),
            when=lambda v: _exports(v) and "zmk_flag" not in v,
            starts=b"01",
        ),
        Field("zmk", ZMK, when=_exports),
        Field("scheme_zmk", SCHEME, when=_exports),
    ),
    response=(
        Field("key_lmk", Key()),
        Field("key_zmk", Key(), when=_exports),
        Field("check_value", SHORT_VALUE),
    ),
    idempotent=False,
    attributed=True,
)

A2: Final = Command(
    code="A2",
    title="generate a component and print it in the clear (16: no printer)",
    request=(Field("key_type", KEY_TYPE), Field("scheme_lmk", SCHEME)),
    response=(Field("key_lmk", Key()),),
    idempotent=False,
    attributed=True,
)

COMPONENTS: Final = tuple(f"component_{number}" for number in range(1, 10))


def _component_width(values: Values) -> int:
    return 2 * SCHEME_BYTES.get(values["scheme_lmk"], 8)


def _counts(number: int) -> Field:
    return Field(
        COMPONENTS[number - 1],
        Key(untagged=_component_width),
        when=lambda v: number <= int(v["components"]),
    )


A4: Final = Command(
    code="A4",
    title="form a key from two to nine components under the LMK",
    request=(
        Field("components", Choice(tuple("23456789"), "03", "2 … 9")),
        Field("key_type", KEY_TYPE),
        Field("scheme_lmk", SCHEME),
        *(_counts(number) for number in range(1, 10)),
    ),
    response=(Field("key_lmk", Key()), Field("check_value", SHORT_VALUE)),
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
        *ATALLA,
    ),
    response=(Field("key_lmk", Key()), Field("check_value", SHORT_VALUE)),
    answered=frozenset({"00", "01"}),
    attributed=True,
)

A8: Final = Command(
    code="A8",
    title="export a key under a ZMK",
    request=(
        Field("key_type", KEY_TYPE),
        Field("zmk", ZMK),
        Field("key", Key()),
        Field("scheme_zmk", SCHEME),
        *ATALLA,
    ),
    response=(Field("key_zmk", Key()), Field("check_value", SHORT_VALUE)),
    attributed=True,
)

_PAIRS: Final = tuple(sorted({code[1:] for code in KEY_TYPES if code[0] == "0"}))
_UNTAGGED: Final = {"0": 16, "1": 32, "2": 48, "F": 16}
_VALUE_TYPE: Final = Choice(("0", "1"), shown="0 16H, 1 6H")
_HELD: Final = (
    Field("pair_code", Choice((*_PAIRS, "FF"), "04", "LMK pair code 2, or FF")),
    Field("length_flag", Choice(("0", "1", "2", "F"), "05", "0 1 2, F key block")),
    Field("key", Key(untagged=lambda v: _UNTAGGED[v["length_flag"]])),
)


def _type_named(values: Values) -> bool:
    return bool(values["pair_code"] == "FF")


def _type_needed(values: Values) -> bool:
    return _type_named(values) and values["key"].scheme not in BLOCK_SCHEMES


def _type_open(values: Values) -> bool:
    return _type_named(values) and not _type_needed(values)


_NAMED_TYPE: Final = (
    Option(b";", (Field("key_type", KEY_TYPE),), when=_type_needed, required=True),
    Option(b";", (Field("key_type", KEY_TYPE),), when=_type_open),
)
"""A key block says itself what it is."""


def value_width(values: Values) -> int:
    """16 hex, or the first 6."""
    return 6 if values.get("kcv_form") == "1" else 16


BU: Final = Command(
    code="BU",
    title="check value of a key (code FF: the type follows the key)",
    request=(
        *_HELD,
        *_NAMED_TYPE,
        Option(b";", (Field("kcv_form", Reserved(_VALUE_TYPE, before=2)),)),
    ),
    response=(Field("check_value", Hex(value_width, shown="16H or 6H")),),
)

BW: Final = Command(
    code="BW",
    title="move a key from the LMK before to this one; # attributes: into a key block",
    request=(
        *_HELD,
        *_NAMED_TYPE,
        Option(b";", (Field("scheme_lmk", Reserved(SCHEME, before=1, after=1)),)),
        Option(
            b"!",
            (
                Field("kcv_wanted", Choice(("0", "1"), shown="1 answer the check value")),
                Field("kcv_form", _VALUE_TYPE),
            ),
        ),
    ),
    response=(
        Field("key", Key(untagged=lambda v: _UNTAGGED[v["length_flag"]])),
        Field(
            "check_value",
            Hex(value_width, shown="16H or 6H"),
            when=lambda v: v.get("kcv_wanted") == "1",
        ),
    ),
    attributed=True,
)

RA: Final = Command(code="RA", title="cancel the authorised state", request=())
