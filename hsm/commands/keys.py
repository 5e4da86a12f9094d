"""A0, A6, BU: make, import and check keys. None of them ever answers with a clear one."""

from typing import Final

from hsm import keys, layouts, primitives, uses
from hsm.commands.bench import Bench, Warned, hex_of, performs
from hsm.errors import CommandError
from hsm.kinds import Values
from hsm.lmk import NewKey

_FLAG_LENGTHS: Final = {"0": 8, "1": 16, "2": 24}


@performs(layouts.A0)
def generate(values: Values, bench: Bench) -> Values:
    """A random key under the LMK, and with mode 1 the same under a ZMK of at least its strength."""
    key_type, scheme = values["key_type"], values["scheme_lmk"]
    length = keys.SCHEME_BYTES[scheme]
    exported = values["mode"] == "1"
    if exported and key_type in bench.policy.kept_home:
        raise CommandError("29", "key_type")
    if exported and keys.SCHEME_BYTES[values["scheme_zmk"]] != length:
        raise CommandError("26", "scheme_zmk")
    zmk = b""
    if exported:
        tmk = uses.TMK_WRAPS.under(bench.policy.tmk_type)
        zmk_use = tmk if values.get("zmk_flag") == "1" else uses.ZMK_WRAPS
        zmk = bench.key(zmk_use, values["zmk"], "zmk")
        if len(zmk) < length:
            raise CommandError("27", "zmk")
    clear = bench.new_key(length)
    answer: Values = {
        "key_lmk": bench.keep(NewKey(key_type, scheme, bench.attributes), clear),
        "check_value": hex_of(primitives.check_value(clear)[:3]),
    }
    if exported:
        answer["key_zmk"] = keys.wrap(zmk, values["scheme_zmk"], clear)
    return answer


@performs(layouts.A6)
def import_key(values: Values, bench: Bench) -> Values:
    """A key from under a ZMK to under the LMK. Wrong parity is set right and told (01)."""
    key_type = values["key_type"]
    if key_type in bench.policy.kept_home:
        raise CommandError("29", "key_type")
    zmk = bench.key(uses.ZMK_UNWRAPS, values["zmk"], "zmk")
    if "atalla_variant" in values:
        zmk = keys.atalla(zmk, int(values["atalla_variant"]))
    received = keys.unwrap(zmk, values["key_zmk"])
    if not any(received):
        raise CommandError("11", "key_zmk")
    clear = primitives.odd_parity(received)
    answer = {
        "key_lmk": bench.keep(NewKey(key_type, values["scheme_lmk"], bench.attributes), clear),
        "check_value": hex_of(primitives.check_value(clear)[:3]),
    }
    return answer if clear == received else Warned(answer)


@performs(layouts.BU)
def check_value(values: Values, bench: Bench) -> Values:
    """Eight zero bytes under the key: 16 hex, or the first 6."""
    key = values["key"]
    if len(key.body) != 2 * _FLAG_LENGTHS[values["length_flag"]]:
        raise CommandError("05", "length_flag")
    key_type = values.get("key_type") or "0" + values["pair_code"]
    check = hex_of(primitives.check_value(bench.key(uses.any_use(key_type), key, "key")))
    return {"check_value": check[:6] if values.get("kcv_form") == "1" else check}
