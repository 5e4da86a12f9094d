"""CW, CY, KQ, KW: card verification values and EMV cryptograms, the issuer's side."""

from hmac import compare_digest
from typing import Final

from hsm import primitives, uses
from hsm.commands.bench import Bench, Warned, performs
from hsm.errors import CommandError
from hsm.kinds import Values
from hsm.layouts import cards as tables
from hsm.uses import Use

_DOUBLE: Final = 16
_TREES: Final = {"0": (2, 16), "1": (4, 8)}
"""Flag of KW → branch and height. Flag 1 is seen in a public answer, flag 0 is from memory."""


@performs(tables.CW)
def make_cvv(values: Values, bench: Bench) -> Values:
    """Three digits from card number, expiry (as the caller orders it) and service code."""
    return {"cvv": _cvv(values, bench, uses.CVK_MAKES)}


@performs(tables.CY)
def check_cvv(values: Values, bench: Bench) -> Values:
    """00 or 01."""
    made = _cvv(values, bench, uses.CVK_VERIFIES)
    cvk = _double(values, bench, uses.CVK_VERIFIES, "cvk")
    bench.verdict(cvk, compare_digest(made, values["cvv"]))
    return {}


def _cvv(values: Values, bench: Bench, use: Use) -> str:
    cvk = _double(values, bench, use, "cvk")
    return primitives.cvv(cvk, values["pan"], values["expiry"], values["service_code"])


def _double(values: Values, bench: Bench, use: Use, name: str) -> bytes:
    clear = bench.key(use, values[name], name)
    if len(clear) != _DOUBLE:
        raise CommandError("27", name)
    return clear


@performs(tables.KQ)
def cryptogram(values: Values, bench: Bench) -> Values:
    """Visa VSDC: under the card's own key. M/Chip: under a session key of counter and number,
    and the ARPC under the card's own key."""
    issuer_key = _double(values, bench, uses.MKAC_DERIVES, "mk_ac")
    card_key = primitives.card_key_a(issuer_key, values["pan_psn"])
    if values["scheme"] == "0":
        return _settled(values, bench, issuer_key, card_key, card_key)
    session = primitives.mchip_session_key(card_key, values["atc"], values["number"])
    return _settled(values, bench, issuer_key, session, card_key)


@performs(tables.KW)
def cryptogram_emv(values: Values, bench: Bench) -> Values:
    """Under a session key of the EMV2000 tree, or the EMV common session key."""
    issuer_key = _double(values, bench, uses.MKAC_DERIVES, "mk_ac")
    option_b = values["scheme"] in ("1", "3")
    derive = primitives.card_key_b if option_b else primitives.card_key_a
    card_key = derive(issuer_key, values["pan_psn"])
    if "tree" in values:
        branch, height = _TREES[values["tree"]]
        session = primitives.tree_session_key(card_key, values["atc"], values["iv"], branch, height)
    else:
        session = primitives.common_session_key(card_key, values["atc"])
    return _settled(values, bench, issuer_key, session, session)


def _settled(
    values: Values, bench: Bench, issuer_key: bytes, session: bytes, arpc_key: bytes
) -> Values:
    """Check the cryptogram where the mode says so, then answer it where the mode says so."""
    if values["mode"] in tables.CHECKING:
        if not values["data"]:
            raise CommandError("81", "data")
        # Who needs another padding than zeros sends the data padded.
        expected = primitives.retail_mac(session, primitives.pad(values["data"], 1))
        passed = compare_digest(expected, values["arqc"])
        if not passed and bench.policy.diagnostics:
            bench.service.judge.note(issuer_key, passed)
            return Warned(expected=expected)
        bench.verdict(issuer_key, passed)
    return {"arpc": _arpc(values, arpc_key)}


def _arpc(values: Values, key: bytes) -> bytes:
    if values["mode"] in tables.METHOD_1:
        return primitives.arpc_1(key, values["arqc"], values["response_code"])
    if values["mode"] in tables.METHOD_2:
        more = values["proprietary"]
        if len(more) > primitives.BLOCK:
            raise CommandError("80", "proprietary")
        return primitives.arpc_2(key, values["arqc"], values["status_update"], more) + bytes(4)
    return b""
