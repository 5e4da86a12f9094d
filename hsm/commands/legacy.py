"""FA, FC, FE, FK, FM, GC, MG, MI: the older key translations, each for keys of its own type.

GK has no public layout and answers 68.
"""

from typing import Final

from hsm import keys, uses
from hsm.check_values import check_value
from hsm.codec import Command
from hsm.commands.bench import Bench, Warned, hex_of, performs
from hsm.commands.key_moves import received_key, sent_key, wrapping_key
from hsm.keys import Cryptogram
from hsm.kinds import Values
from hsm.layouts import legacy as tables
from hsm.layouts.keys import value_width
from hsm.lmk import HeldKey, NewKey

_BY_KIND: Final = {"0": "00A", "1": "008"}
_INTO: Final = {tables.FA: "001", tables.FC: "002", tables.FK: "", tables.MI: "003"}
_OUT: Final = {tables.GC: "001", tables.FE: "002", tables.FM: "", tables.MG: "003"}
"""Table → key type; empty: the request's flag says ZEK or ZAK."""


def _imports(command: Command, fixed: str) -> None:
    @performs(command)
    def bring_in(values: Values, bench: Bench) -> Values:
        key_type = fixed or _BY_KIND[values["kind"]]
        zmk = wrapping_key(values, bench, uses.ZMK_UNWRAPS)
        key = values["key_zmk"]
        got = received_key(zmk, key, key_type, bench)
        scheme = values.get("scheme_lmk") or _kept_scheme(key, len(got.clear), bench)
        kept = bench.keep(NewKey(key_type, scheme, got.header), got.clear)
        answer = {"key_lmk": kept, "check_value": _value(values, got.clear, got.algorithm)}
        return Warned(answer) if got.corrected else answer


def _exports(command: Command, fixed: str) -> None:
    @performs(command)
    def take_out(values: Values, bench: Bench) -> Values:
        key_type = fixed or _BY_KIND[values["kind"]]
        zmk = wrapping_key(values, bench, uses.ZMK_WRAPS)
        key = bench.held(uses.any_use(key_type), values["key"], "key", "11")
        scheme = values.get("scheme_zmk") or values["key"].scheme
        sent = sent_key(zmk, key, key_type, scheme or keys.scheme_for(len(key.clear)), bench)
        return {"key_zmk": sent, "check_value": _value(values, key.clear, key.algorithm)}


def _kept_scheme(key: Cryptogram, length: int, bench: Bench) -> str:
    """Without ``;`` a key keeps its scheme where the LMK has it."""
    if bench.lmk.scheme != "variant":
        return "S"
    return keys.scheme_for(length) if key.in_block else key.scheme or keys.scheme_for(length)


def _value(values: Values, clear: bytes, algorithm: str) -> str:
    return hex_of(check_value(HeldKey(clear, algorithm)))[: value_width(values)]


for _table, _type in _INTO.items():
    _imports(_table, _type)
for _table, _type in _OUT.items():
    _exports(_table, _type)
