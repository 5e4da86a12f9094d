"""Tables of the key commands."""

from dataclasses import dataclass
from typing import Final

from hsm.codec import Command, Field, Option
from hsm.errors import CommandError
from hsm.keys import BLOCK_TYPE, KEY_TYPES, SCHEME_BYTES, Cryptogram
from hsm.kinds import Choice, Hex, Key, Values
from hsm.layouts.common import KEY_TYPE, SCHEME, ZMK, ZMK_BEFORE_KEY

SHORT_VALUE: Final = Hex(6)
_FLAG: Final = Choice(("0", "1"), shown="0 ZMK, 1 TMK")


@dataclass(frozen=True, slots=True)
class FewDigits:
    """One decimal digit, or two where two stand there."""

    notation: str = "1N or 2N"

    def read(self, data: bytes, at: int, seen: Values) -> tuple[str, int]:
        end = at + 1 + data[at + 1 : at + 2].isdigit()
        if not data[at:end].isdigit():
            raise CommandError("15")
        return data[at:end].decode("ascii"), end

    def write(self, value: str, seen: Values) -> bytes:
        return value.encode("ascii")


@dataclass(frozen=True, slots=True)
class Said:
    """A value that its delimiter already says."""

    value: str
    notation: str = "said"

    def read(self, data: bytes, at: int, seen: Values) -> tuple[str, int]:
        return self.value, at

    def write(self, value: str, seen: Values) -> bytes:
        return b""


ATALLA: Final = Field("atalla_variant", FewDigits(), starts=b"0123456789")


def _exports(values: Values) -> bool:
    return values["mode"] in ("1", "B")


def _derives(values: Values) -> bool:
    return values["mode"] in ("A", "B")


_TAGS: Final = frozenset("UTXYSR")


@dataclass(frozen=True, slots=True)
class FlaggedKey(Key):
    """A key that some clients send with the ZMK/TMK flag before it but without the flag's ``;``.

    Only a tag behind the digit tells: an untagged key may begin with the same one. The flag is then
    found where the one behind ``;`` would be.
    """

    def read(self, data: bytes, at: int, seen: Values) -> tuple[Cryptogram, int]:
        head = data[at : at + 2].decode("latin-1")
        if head[:1] in _FLAG.words and head[1:] in _TAGS and "zmk_flag" not in seen:
            seen["zmk_flag"], at = head[0], at + 1
        return Key.read(self, data, at, seen)


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
        Field("zmk", FlaggedKey(untagged=32), when=_exports),
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
        Field("zmk", ZMK_BEFORE_KEY),
        Field("key_zmk", Key()),
        Field("scheme_lmk", SCHEME),
        ATALLA,
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
        Field("zmk", ZMK_BEFORE_KEY),
        Field("key", Key()),
        Field("scheme_zmk", SCHEME),
        ATALLA,
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
    return bool(values["pair_code"] == "FF" and not values["key"].in_block)


def _type_in_block(values: Values) -> bool:
    return bool(values["pair_code"] == "FF" and values["key"].in_block)


_NAMED_TYPE: Final = (
    Option(b";", (Field("key_type", KEY_TYPE),), when=_type_named, required=True),
    Option(b";FFF", (Field("key_type", Said(BLOCK_TYPE)),), when=_type_in_block),
)
"""A key block says its type itself: naming it once more, ``;FFF``, is left to the client."""


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
