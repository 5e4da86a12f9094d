"""PINs are checked against what the issuer stores: PVV and IBM offset."""

import re
from hmac import compare_digest
from typing import Final

from hsm import pin_codes, primitives, uses
from hsm.commands.bench import Bench, Warned, performs
from hsm.commands.pins import TPK_OPENS, block_pin, derived_pin_key
from hsm.errors import CommandError
from hsm.keys import BLOCK_TYPE
from hsm.kinds import Values
from hsm.layouts import pin_checks as tables
from hsm.lmk import BlockLmk, HeldKey
from hsm.pin_under_lmk import open_pin, seal_pin
from hsm.primitives import PIN_LENGTH_MAX, PIN_LENGTH_MIN

_OFFSET: Final = re.compile(r"([0-9]{4,12})F*")
_FIVE: Final = 5
"""Digits of the account that take the place of N."""

_PVV_CHECKS: Final = uses.PVK_VERIFIES._replace(usages=frozenset({"V0", "V2"}))
_PVV_MAKES: Final = uses.PVK_MAKES._replace(usages=frozenset({"V0", "V2"}))
_OFFSET_CHECKS: Final = uses.PVK_VERIFIES._replace(usages=frozenset({"V0", "V1"}))
_OFFSET_MAKES: Final = uses.PVK_MAKES._replace(usages=frozenset({"V0", "V1"}))
_ANY_PIN_KEY: Final = uses.TPK_OPENS.of("DTA4")._replace(usages=frozenset({"P0", "71", "72"}))


class _LongPvk(Warned):
    """Done, with a PVK longer than one DES key."""

    code = "02"


# ---- keys and PINs ------------------------------------------------------------------------------


def _tpk(values: Values, bench: Bench) -> HeldKey:
    return bench.held(TPK_OPENS[bench.policy.tpk_type], values["tpk"], "tpk")


def _zpk(values: Values, bench: Bench) -> HeldKey:
    return bench.held(uses.ZPK_OPENS, values["zpk"], "zpk")


def _typed(values: Values, bench: Bench) -> HeldKey:
    """The TPK or ZPK that the key type announces. CommandError 28: it is neither here."""
    kind = values["key_type"]
    if kind == "001":
        return bench.held(uses.ZPK_OPENS, values["key"], "key")
    if kind == BLOCK_TYPE:
        return bench.held(_ANY_PIN_KEY, values["key"], "key")
    if kind != bench.policy.tpk_type:
        raise CommandError("28", "key_type")
    return bench.held(TPK_OPENS[kind], values["key"], "key")


def _of_ksn(values: Values, bench: Bench) -> HeldKey:
    return derived_pin_key(bench, values["bdk"], values["ksn"], "bdk", "10")


def _pvk_pair(values: Values, bench: Bench, use: uses.Use, parity: str) -> bytes:
    clear = bench.key(use, values["pvk"], "pvk", parity)
    if len(clear) != 2 * primitives.BLOCK:
        raise CommandError("27", "pvk")
    return clear


def _same_account(values: Values) -> str:
    """12 digits. CommandError 22: the PIN would be checked against another account's value."""
    account = pin_codes.account_of(values["account"], values.get("format", "01")).rightmost
    if values.get("verification_account", account) != account:
        raise CommandError("22", "verification_account")
    return account


# ---- PVV ----------------------------------------------------------------------------------------


def _check_pvv(values: Values, bench: Bench, key: HeldKey, where: str) -> str:
    """Compare, and note the end with the judge: the account. CommandError 01, 39."""
    pvk = _pvk_pair(values, bench, _PVV_CHECKS, "11")
    account = _same_account(values)
    pin = block_pin({"format": "01", **values}, bench, key, where)
    made = primitives.pvv(pvk, account, values["pvk_index"], pin)
    bench.verdict(pvk, compare_digest(made, values["pvv"]), account)
    return account


@performs(tables.DC)
def verify_terminal_pvv(values: Values, bench: Bench) -> Values:
    """The cardholder's PIN of a terminal."""
    _check_pvv(values, bench, _tpk(values, bench), "tpk")
    return {}


@performs(tables.EC)
def verify_interchange_pvv(values: Values, bench: Bench) -> Values:
    """The cardholder's PIN of another bank."""
    _check_pvv(values, bench, _zpk(values, bench), "zpk")
    return {}


def _verify_dukpt_pvv(values: Values, bench: Bench) -> Values:
    _check_pvv(values, bench, _of_ksn(values, bench), "bdk")
    return {}


performs(tables.CM)(_verify_dukpt_pvv)
performs(tables.GQ)(_verify_dukpt_pvv)


@performs(tables.CU)
def change_pvv(values: Values, bench: Bench) -> Values:
    """The PVV of the new PIN of who knows the old one."""
    key = _typed(values, bench)
    account = _check_pvv(values, bench, key, "key")
    pin = block_pin(values, bench, key, "key", "new_pin_block")
    pvk = _pvk_pair(values, bench, _PVV_MAKES, "11")
    return {"new_pvv": primitives.pvv(pvk, account, values["pvk_index"], pin)}


@performs(tables.FW)
def make_pvv(values: Values, bench: Bench) -> Values:
    """What the issuer stores for a PIN the cardholder chose."""
    key = _typed(values, bench)
    pvk = _pvk_pair(values, bench, _PVV_MAKES, "11")
    pin = block_pin(values, bench, key, "key")
    return {"new_pvv": primitives.pvv(pvk, _same_account(values), values["pvk_index"], pin)}


@performs(tables.DG)
def make_pvv_of_kept(values: Values, bench: Bench) -> Values:
    """What the issuer stores for a PIN kept under the LMK."""
    pvk = _pvk_pair(values, bench, _PVV_MAKES, "10")
    pin = open_pin(bench.lmk.pin_key, values["pin"], values["account"])
    return {"new_pvv": primitives.pvv(pvk, values["account"], values["pvk_index"], pin)}


# ---- IBM offset ---------------------------------------------------------------------------------


def _natural(values: Values, bench: Bench, pvk: bytes, account: str) -> str:
    """As many digits as the check length says. CommandError 24, 25."""
    length = int(values["check_length"])
    if not PIN_LENGTH_MIN <= length <= PIN_LENGTH_MAX:
        raise CommandError("24", "check_length")
    data = values["validation_data"].replace("N", account[-_FIVE:])
    return primitives.natural_pin(pvk, _table(values["table"], bench), data)[:length]


def _table(given: str, bench: Bench) -> str:
    """The decimalisation table, clear as it is or from under the LMK. CommandError 25."""
    table = given
    if not table.isdecimal() and isinstance(bench.lmk, BlockLmk) and bench.lmk.table_key:
        table = primitives.ecb_decrypt(bench.lmk.table_key, bytes.fromhex(given)).hex()
    if not table.isdecimal() or not primitives.table_is_sound(table):
        raise CommandError("25", "table")
    return table


def _done(values: Values, bench: Bench, pvk: bytes) -> Values:
    """The answer, as the profile wants it under a long PVK."""
    warns = bench.policy.profile.ibm_long_pvk == _LongPvk.code
    return _LongPvk(values) if warns and len(pvk) > primitives.BLOCK else values


def _offset_digits(values: Values) -> str:
    """As many digits as the check length says, behind them only F. CommandError 15."""
    match = _OFFSET.fullmatch(values["offset"])
    if match is None or len(match[1]) < int(values["check_length"]):
        raise CommandError("15", "offset")
    return match[1]


def _offset(pin: str, natural: str) -> str:
    """The offset field of a PIN. CommandError 81: the PIN is shorter than the check length."""
    if len(pin) < len(natural):
        raise CommandError("81", "check_length")
    return primitives.subtract_digits(pin, natural).ljust(PIN_LENGTH_MAX, "F")


def _check_offset(values: Values, bench: Bench, key: HeldKey, where: str) -> tuple[str, bytes]:
    """Compare, and note the end with the judge: natural PIN and PVK. CommandError 01, 39."""
    pvk = bench.key(_OFFSET_CHECKS, values["pvk"], "pvk", "11")
    account = _same_account(values)
    longest = int(values.get("pin_length_max", PIN_LENGTH_MAX))
    if not PIN_LENGTH_MIN <= longest <= PIN_LENGTH_MAX:
        raise CommandError("24", "pin_length_max")
    natural = _natural(values, bench, pvk, account)
    wanted = primitives.add_digits(natural, _offset_digits(values))
    pin = block_pin({"format": "01", **values}, bench, key, where)
    if len(pin) > longest:
        raise CommandError("24")
    bench.verdict(pvk, compare_digest(pin[: len(natural)], wanted), account)
    return natural, pvk


@performs(tables.DA)
def verify_terminal_offset(values: Values, bench: Bench) -> Values:
    """The cardholder's PIN of a terminal."""
    _, pvk = _check_offset(values, bench, _tpk(values, bench), "tpk")
    return _done({}, bench, pvk)


@performs(tables.EA)
def verify_interchange_offset(values: Values, bench: Bench) -> Values:
    """The cardholder's PIN of another bank."""
    _, pvk = _check_offset(values, bench, _zpk(values, bench), "zpk")
    return _done({}, bench, pvk)


def _verify_dukpt_offset(values: Values, bench: Bench) -> Values:
    _, pvk = _check_offset(values, bench, _of_ksn(values, bench), "bdk")
    return _done({}, bench, pvk)


performs(tables.CK)(_verify_dukpt_offset)
performs(tables.GO)(_verify_dukpt_offset)


@performs(tables.DU)
def change_offset(values: Values, bench: Bench) -> Values:
    """The offset of the new PIN of who knows the old one."""
    key = _typed(values, bench)
    natural, pvk = _check_offset(values, bench, key, "key")
    bench.key(_OFFSET_MAKES, values["pvk"], "pvk", "11")
    pin = block_pin(values, bench, key, "key", "new_pin_block")
    return _done({"new_offset": _offset(pin, natural)}, bench, pvk)


@performs(tables.BK)
def make_offset(values: Values, bench: Bench) -> Values:
    """What the issuer stores for a PIN the cardholder chose."""
    key = _typed(values, bench)
    pvk = bench.key(_OFFSET_MAKES, values["pvk"], "pvk", "11")
    natural = _natural(values, bench, pvk, _same_account(values))
    pin = block_pin(values, bench, key, "key")
    return _done({"new_offset": _offset(pin, natural)}, bench, pvk)


@performs(tables.DE)
def make_offset_of_kept(values: Values, bench: Bench) -> Values:
    """What the issuer stores for a PIN kept under the LMK."""
    pvk = bench.key(_OFFSET_MAKES, values["pvk"], "pvk")
    natural = _natural(values, bench, pvk, values["account"])
    pin = open_pin(bench.lmk.pin_key, values["pin"], values["account"])
    return _done({"new_offset": _offset(pin, natural)}, bench, pvk)


@performs(tables.EE)
def derive_pin(values: Values, bench: Bench) -> Values:
    """The PIN that an offset stands for."""
    pvk = bench.key(_OFFSET_MAKES, values["pvk"], "pvk")
    natural = _natural(values, bench, pvk, values["account"])
    pin = primitives.add_digits(natural, _offset_digits(values))
    return _done({"pin": seal_pin(bench.lmk.pin_key, pin, values["account"])}, bench, pvk)
