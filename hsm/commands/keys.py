"""A0, A2, A4, A6, A8, BU, BW, RA: make, form, import, export, check and move keys.

None of them ever answers with a clear key.
"""

from dataclasses import replace
from typing import Final

from hsm import keys, primitives, uses
from hsm.block_header import KEY_BYTES, Attributes, BlockHeader
from hsm.check_values import SHORT, check_value
from hsm.commands.bench import Bench, Warned, hex_of, performs
from hsm.commands.key_moves import (
    header_for,
    received_key,
    require_free,
    require_usable,
    sent_key,
    wrapping_key,
)
from hsm.errors import CommandError
from hsm.keys import BLOCK_TYPE, Cryptogram
from hsm.kinds import Values
from hsm.layouts import keys as tables
from hsm.lmk import HeldKey, Lmk, NewKey, ParityError
from hsm.primitives.dukpt import initial_key
from hsm.slots import DEFAULT

_FLAG_LENGTHS: Final = {"0": 8, "1": 16, "2": 24}
_INITIAL_TYPE: Final = "302"
_INITIAL_USAGE: Final = "B1"


@performs(tables.A0)
def generate(values: Values, bench: Bench) -> Values:
    """A random key, or a DUKPT initial key, under the LMK; with modes 1 and B the same under a ZMK
    or TMK of at least its strength."""
    key_type, scheme = values["key_type"], values["scheme_lmk"]
    exported = values["mode"] in "1B"
    if exported and key_type in bench.policy.kept_home:
        raise CommandError("29", "key_type")
    length = _length(scheme, bench)
    scheme_zmk = values.get("scheme_zmk", "")
    if exported and keys.SCHEME_BYTES.get(scheme_zmk, length) != length:
        raise CommandError("26", "scheme_zmk")
    zmk = None
    if exported:
        tmk = uses.TMK_WRAPS._replace(key_type=bench.policy.tmk_type)
        zmk_use = tmk if values.get("zmk_flag") == "1" else uses.ZMK_WRAPS
        zmk = bench.held(zmk_use, values["zmk"], "zmk")
    key = _derived(values, bench) if values["mode"] in "AB" else _random(length, bench)
    answer: Values = {
        "key_lmk": bench.keep(NewKey(key_type, scheme, bench.attributes), key.clear),
        "check_value": _short(key),
    }
    if zmk is not None:
        answer["key_zmk"] = sent_key(zmk, key, key_type, scheme_zmk, bench)
    return answer


def _length(scheme: str, bench: Bench) -> int:
    """Bytes of the key to make."""
    if scheme != "S":
        if scheme not in keys.SCHEME_BYTES:
            raise CommandError("26", "scheme_lmk")
        return keys.SCHEME_BYTES[scheme]
    if bench.lmk.scheme == "variant":
        raise CommandError("26", "scheme_lmk")
    if bench.attributes is None:
        raise CommandError("A6", "attributes")
    length = KEY_BYTES.get(bench.attributes.algorithm)
    if length is None:
        raise CommandError("A7", "attributes")
    return length


def _random(length: int, bench: Bench) -> HeldKey:
    header = _header_of(bench, length)
    letter = header.algorithm if header else _des_letter(length)
    clear = bench.new_key(length) if letter in "DT" else bench.entropy(length)
    return HeldKey(clear, letter, header)


def _header_of(bench: Bench, length: int) -> BlockHeader | None:
    """The header that a new key will have; a variant LMK keeps none."""
    if bench.attributes is None or bench.lmk.scheme == "variant":
        return None
    return bench.attributes.header("0", length=length)


def _des_letter(length: int) -> str:
    return "D" if length == primitives.BLOCK else "T"


def _derived(values: Values, bench: Bench) -> HeldKey:
    """The DUKPT initial key (IKEY) of a device: 15 hex of its KSN say which, the counter is 0."""
    named = values["key_type"]
    if named not in (_INITIAL_TYPE, BLOCK_TYPE):
        raise CommandError("28", "key_type")
    header = _header_of(bench, 2 * primitives.BLOCK)
    if header is not None and header.usage != _INITIAL_USAGE:
        raise CommandError("A6", "attributes")
    bdk = bench.key(uses.BDK_DERIVES, values["bdk"], "bdk")
    if len(bdk) != 2 * primitives.BLOCK or _length(values["scheme_lmk"], bench) != len(bdk):
        raise CommandError("27", "bdk")
    clear = initial_key(bdk, bytes.fromhex(values["ksn"] + "0" * 5))
    return HeldKey(primitives.odd_parity(clear), "T", header)


@performs(tables.A2)
def component(values: Values, bench: Bench) -> Values:
    """A random component under the LMK; its clear value goes to the printer, never into an answer.

    This daemon has no printer, so 16; on test LMKs the slip is thrown away, so that a host's own
    tests can go on to A4.
    """
    if not bench.policy.test:
        raise CommandError("16")
    key = _random(_length(values["scheme_lmk"], bench), bench)
    new = NewKey(values["key_type"], values["scheme_lmk"], bench.attributes)
    return {"key_lmk": bench.keep(new, key.clear)}


@performs(tables.A4)
def form(values: Values, bench: Bench) -> Values:
    """The XOR of full-length components, set to odd parity."""
    use = uses.any_use(values["key_type"])
    names = tables.COMPONENTS[: int(values["components"])]
    parts = [bench.held(use, values[name], name) for name in names]
    first = parts[0]
    clear = first.clear
    for name, part in zip(names[1:], parts[1:], strict=True):
        if len(part.clear) != len(clear):
            raise CommandError("27", name)
        if _nature(part.header) != _nature(first.header):
            raise CommandError("A6", name)
        clear = primitives.xor(clear, part.clear)
    made = require_usable(clear, first.algorithm, "components")
    attributes = _formed(first.header, bench.attributes)
    new = NewKey(values["key_type"], values["scheme_lmk"], attributes)
    key = HeldKey(made, first.algorithm)
    return {"key_lmk": bench.keep(new, made), "check_value": _short(key)}


def _nature(header: BlockHeader | None) -> tuple[str, ...]:
    if header is None:
        return ()
    return header.usage, header.algorithm, header.mode, header.export


def _formed(
    header: BlockHeader | None, attributes: Attributes | None
) -> BlockHeader | Attributes | None:
    """The key's header: its components', with the version and optional blocks that ``#`` names."""
    if header is None:
        return attributes
    version = attributes.key_version if attributes else "00"
    blocks = attributes.blocks if attributes else ()
    return BlockHeader(
        header.version, header.usage, header.algorithm, header.mode, version, header.export, blocks
    )


@performs(tables.A6)
def import_key(values: Values, bench: Bench) -> Values:
    """A key from under a ZMK to under the LMK. Wrong parity is set right and told (01)."""
    zmk = wrapping_key(values, bench, uses.ZMK_UNWRAPS)
    got = received_key(zmk, values["key_zmk"], values["key_type"], bench)
    new = NewKey(values["key_type"], values["scheme_lmk"], got.header)
    kept = bench.keep(new, got.clear)
    answer = {"key_lmk": kept, "check_value": _short(HeldKey(got.clear, got.algorithm))}
    return Warned(answer) if got.corrected else answer


@performs(tables.A8)
def export_key(values: Values, bench: Bench) -> Values:
    """A key from under the LMK to under a ZMK of at least its strength."""
    key_type = values["key_type"]
    if key_type in bench.policy.kept_home:
        raise CommandError("29", "key_type")
    zmk = wrapping_key(values, bench, uses.ZMK_WRAPS)
    key = bench.held(uses.any_use(key_type), values["key"], "key", "11")
    sent = sent_key(zmk, key, key_type, values["scheme_zmk"], bench)
    return {"key_zmk": sent, "check_value": _short(key)}


@performs(tables.BU)
def check(values: Values, bench: Bench) -> Values:
    """The check value of a key under the LMK: 16 hex, or the first 6."""
    key = bench.held(uses.any_use(_typed(values)), values["key"], "key")
    _require_length(values, key)
    found = hex_of(check_value(key))
    return {"check_value": found[: tables.value_width(values)]}


@performs(tables.BW)
def move(values: Values, bench: Bench) -> Values:
    """A key from the LMK that this one replaces to this one, in the same scheme or another."""
    key, key_type = values["key"], _typed(values)
    old = _old_lmk(bench, key)
    try:
        held = old.hold(uses.any_use(key_type), key, "key")
    except ParityError:
        raise CommandError("10", "key") from None
    _require_length(values, held)
    scheme = values.get("scheme_lmk", "0")
    if scheme == "0":
        scheme = "S" if bench.lmk.scheme != "variant" else key.scheme
        scheme = scheme or keys.scheme_for(len(held.clear))
    if held.header is not None and bench.lmk.scheme == "variant":
        # A header is not thrown away: outside its block nothing keeps the key to its use.
        raise CommandError("A1", "key")
    header = held.header
    if header is None and bench.lmk.scheme != "variant":
        header = _bound(held, key_type, bench)
    kept = bench.keep(NewKey(key_type, scheme, header), held.clear)
    found = hex_of(check_value(held))[: tables.value_width(values)]
    return {"key": kept, "check_value": found}


def _bound(key: HeldKey, key_type: str, bench: Bench) -> BlockHeader:
    """The header of a key that had none: what its type means. CommandError A6: ``#`` asks for
    another use; 29: a key that may travel would become one that decrypts; AA: the other way."""
    header, home = header_for(key, key_type, bench), bench.policy.kept_home
    if not (bench.attributes and bench.attributes.usage):
        usage = uses.APART.get(key_type, header.usage) if home else header.usage
        stays = key_type in uses.AT_HOME or key_type in home
        header = replace(header, usage=usage, export="N" if stays else header.export)
    if key_type not in home:
        require_free(header.usage, bench)
    elif header.export != "N":
        raise CommandError("AA", "attributes")
    return header


def _old_lmk(bench: Bench, key: Cryptogram) -> Lmk:
    """Test LMKs replace nothing: there a key comes from the LMK its block names, or from 00."""
    slots = bench.service.slots
    try:
        return slots.before(bench.lmk.lmk_id)
    except CommandError:
        if not bench.policy.test:
            raise
        return slots.get(key.owner or DEFAULT)


def _typed(values: Values) -> str:
    if values["pair_code"] != "FF":
        return "0" + str(values["pair_code"])
    return str(values.get("key_type", BLOCK_TYPE))


def _require_length(values: Values, key: HeldKey) -> None:
    """CommandError 05 when the length flag says otherwise."""
    flag = values["length_flag"]
    fits = values["key"].in_block if flag == "F" else len(key.clear) == _FLAG_LENGTHS[flag]
    if not fits:
        raise CommandError("05", "length_flag")


@performs(tables.RA)
def cancel_authority(_values: Values, bench: Bench) -> Values:
    """End the authorised state; nothing to end is no error."""
    bench.service.cancel_authority()
    return {}


def _short(key: HeldKey) -> str:
    return hex_of(check_value(key)[:SHORT])
