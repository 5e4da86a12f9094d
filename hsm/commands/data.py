"""M0, M2, M4: data under an encryption key. The vault of stored card numbers lives on M0 and M2."""

from typing import Final

from hsm import primitives, uses
from hsm.commands.bench import Bench, allow, hex_of, performs
from hsm.errors import CommandError
from hsm.kinds import Values
from hsm.layouts import data as tables
from hsm.lmk import HeldKey
from hsm.uses import Use

_TYPES: Final = ("00A", "00B", "30B")
_USAGES: Final = frozenset[str]().union(*(uses.USAGES[kind] for kind in _TYPES))
"""What a key block that encrypts data may call itself."""
_CFB_BITS: Final = {"02": 8, "03": 64}
"""Mode → bits of a step. From memory: public clients only show that both carry an IV."""


@performs(tables.M0)
def encrypt(values: Values, bench: Bench) -> Values:
    """Under a ZEK, DEK or TEK. In CBC and CFB the answer says the IV of what comes next."""
    key = _key(values, bench, uses.DATA_ENCRYPTS)
    data, iv = values["data"], _iv(values, "iv")
    result = _encrypted(key, values["mode"], iv, data)
    return {"chain": _next_iv(iv, result), "result": _shown(result, values)}


@performs(tables.M2)
def decrypt(values: Values, bench: Bench) -> Values:
    """Only under a type that never crosses a ZMK: see Policy.decrypting."""
    key = _key(values, bench, uses.DATA_DECRYPTS)
    data, iv = values["data"], _iv(values, "iv")
    result = _decrypted(key, values["mode"], iv, data)
    return {"chain": _next_iv(iv, data), "result": _shown(result, values)}


@performs(tables.M4)
def translate(values: Values, bench: Bench) -> Values:
    """What the first key opens goes under the second. The clear data must be whole blocks for the
    second mode as it stands."""
    key = _key(values, bench, uses.DATA_DECRYPTS)
    target_type = values["target_key_type"]
    allow(target_type, _TYPES)
    use = _under(uses.DATA_ENCRYPTS, target_type)
    target = bench.held(use, values["target_key"], "target_key", "11")
    iv, target_iv = _iv(values, "iv"), _iv(values, "target_iv")
    clear = _decrypted(key, values["mode"], iv, values["data"])
    result = _encrypted(target, values["target_mode"], target_iv, clear)
    return {
        "chain": _next_iv(iv, values["data"]),
        "target_chain": _next_iv(target_iv, result),
        "result": _shown(result, values),
    }


def _key(values: Values, bench: Bench, use: Use) -> HeldKey:
    key_type = values["key_type"]
    allow(key_type, _TYPES)
    held = bench.held(_under(use, key_type), values["key"], "key")
    opens = use.modes == uses.DATA_DECRYPTS.modes
    if opens and not _may_decrypt(key_type, held, bench):
        raise CommandError("29", "key_type")
    return held


def _under(use: Use, key_type: str) -> Use:
    return use._replace(key_type=key_type, usages=_USAGES)


def _may_decrypt(key_type: str, held: HeldKey, bench: Bench) -> bool:
    """By type, or for a key block by the usage that stands for the type."""
    allowed = bench.policy.decrypting
    if held.header is None:
        return key_type in allowed
    return any(held.header.usage in uses.USAGES[kind] for kind in allowed)


def _iv(values: Values, name: str) -> bytes:
    return bytes.fromhex(values[name]) if name in values else b""


def _encrypted(key: HeldKey, mode: str, iv: bytes, data: bytes) -> bytes:
    cipher = primitives.BLOCK_CIPHERS[key.algorithm]
    if mode in _CFB_BITS:
        _must_fit(key, mode, data)
        return primitives.cfb_encrypt(key.clear, _CFB_BITS[mode], iv, data)
    _must_be_whole(data, cipher.unit)
    if mode == "00":
        return cipher.encrypt(key.clear, data)
    return cipher.cbc_encrypt(key.clear, iv, data)


def _decrypted(key: HeldKey, mode: str, iv: bytes, data: bytes) -> bytes:
    cipher = primitives.BLOCK_CIPHERS[key.algorithm]
    if mode in _CFB_BITS:
        _must_fit(key, mode, data)
        return primitives.cfb_decrypt(key.clear, _CFB_BITS[mode], iv, data)
    _must_be_whole(data, cipher.unit)
    if mode == "00":
        return cipher.decrypt(key.clear, data)
    return cipher.cbc_decrypt(key.clear, iv, data)


def _must_fit(key: HeldKey, mode: str, data: bytes) -> None:
    """CFB is done with DES and triple DES: no source says what it is with a longer block."""
    if key.algorithm not in "DT":
        raise CommandError("A7", "key")
    _must_be_whole(data, _CFB_BITS[mode] // 8)


def _must_be_whole(data: bytes, unit: int) -> None:
    if not data or len(data) % unit:
        raise CommandError("80", "data")


def _next_iv(iv: bytes, ciphertext: bytes) -> str:
    """The last block of what was chained: the IV of what comes next; nothing in ECB."""
    return hex_of((iv + ciphertext)[-len(iv) :]) if iv else ""


def _shown(result: bytes, values: Values) -> bytes:
    if values["output_form"] == "2" and not result.isascii():
        # Text output of what is not text would break the answer's framing for text clients.
        raise CommandError("15", "output_form")
    return result
