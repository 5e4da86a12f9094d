"""Tables of the card and EMV commands. The bodies of KQ and KW are binary."""

from typing import Final

from hsm.codec import Command, Field, Option
from hsm.kinds import Bytes, Choice, Counted, DigitRun, Digits, Key, Values

PAN_MAX: Final = 19

_CVK: Final = Key(untagged=32)
_CARD: Final = (
    Field("pan", DigitRun(PAN_MAX)),
    Option(b";", (Field("expiry", Digits(4)), Field("service_code", Digits(3))), required=True),
)

CW: Final = Command(
    code="CW",
    title="make a CVV",
    request=(Field("cvk", _CVK), *_CARD),
    response=(Field("cvv", Digits(3)),),
)

CY: Final = Command(
    code="CY",
    title="check a CVV (01: it is wrong)",
    request=(Field("cvk", _CVK), Field("cvv", Digits(3)), *_CARD),
)


def _binary(length: int) -> Bytes:
    return Bytes(lambda _values: length, f"{length}B")


CHECKING: Final = ("0", "1", "3")
"""Modes that check the cryptogram: the data it was made of is there."""
METHOD_1: Final = ("1", "2")
METHOD_2: Final = ("3", "4")


def _checks(values: Values) -> bool:
    return values["mode"] in CHECKING


def _answers(values: Values) -> bool:
    return values["mode"] != "0" and "expected" not in values


_MK_AC: Final = Key(untagged=32)
_ARQC: Final = Field("arqc", _binary(8))
_BODY: Final = (
    Field("data", Counted(digits=2), when=_checks),
    Option(b";", (_ARQC,), when=_checks, required=True),
    Field("arqc", _binary(8), when=lambda v: not _checks(v)),
    Field("response_code", _binary(2), when=lambda v: v["mode"] in METHOD_1),
)
_ANSWER: Final = (
    Field("arpc", _binary(8), when=_answers),
    # Only behind 01, and only where policy lets a failed check say what it expected.
    Field("expected", _binary(8), when=lambda v: "expected" in v),
)

KQ: Final = Command(
    code="KQ",
    title="check an ARQC and make an ARPC, card key or M/Chip session key (01: it is wrong)",
    request=(
        Field("mode", Choice(("0", "1", "2"), "04", "0 check, 1 check and ARPC, 2 ARPC")),
        Field("scheme", Choice(("0", "1"), "05", "0 Visa VSDC, 1 M/Chip")),
        Field("mk_ac", _MK_AC),
        Field("pan_psn", _binary(8)),
        Field("atc", _binary(2)),
        Field("number", _binary(4)),
        *_BODY,
    ),
    response=_ANSWER,
)

_TREES: Final = ("0", "1")
"""Schemes whose session keys come from an EMV2000 tree."""
_LONG: Final = ("1", "3")
"""Schemes of option B: PAN and sequence number come with their length."""


_LENGTH_FIRST: Final = Counted(digits=2, base=10)
_TREE: Final = Field("tree", Choice(("0", "1"), "52", "0 b=2 h=16, 1 b=4 h=8"))
_ATC: Final = Field("atc", _binary(2))

KW: Final = Command(
    code="KW",
    title="check an ARQC and make an ARPC, EMV2000 tree or common session key (01: it is wrong)",
    request=(
        Field(
            "mode",
            Choice(
                ("0", "1", "2", "3", "4"), "04", "0 check, 1 3 check and ARPC, 2 4 ARPC; method 1 2"
            ),
        ),
        Field("scheme", Choice(tuple("0123"), "05", "0 1 tree, 2 3 common key; option A B")),
        Field("mk_ac", _MK_AC),
        Field("iv", _binary(16), when=lambda v: v["scheme"] in _TREES),
        Field("pan_psn", _binary(8), when=lambda v: v["scheme"] not in _LONG),
        Field("pan_psn", _LENGTH_FIRST, when=lambda v: v["scheme"] in _LONG),
        # Behind a PAN of any length stands a delimiter.
        Option(b";", (_TREE,), when=lambda v: v["scheme"] == "1", required=True),
        Option(b";", (_ATC,), when=lambda v: v["scheme"] == "3", required=True),
        Field("tree", _TREE.kind, when=lambda v: v["scheme"] == "0"),
        Field("atc", _ATC.kind, when=lambda v: v["scheme"] != "3"),
        *_BODY,
        Field("status_update", _binary(4), when=lambda v: v["mode"] in METHOD_2),
        Field("proprietary", Counted(digits=1, base=10), when=lambda v: v["mode"] in METHOD_2),
    ),
    response=_ANSWER,
)
