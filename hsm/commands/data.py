"""M0, M2: data under an encryption key. The vault of stored card numbers lives on these two."""

from hsm import layouts, primitives, uses
from hsm.commands.bench import Bench, allow, hex_of, performs
from hsm.errors import CommandError
from hsm.kinds import Values
from hsm.uses import Use


@performs(layouts.M0)
def encrypt(values: Values, bench: Bench) -> Values:
    """Whole blocks, ECB or CBC, under a ZEK or DEK."""
    allow(values["key_type"], ("00A", "00B", "30B"))
    key, data = _key_and_data(values, bench, uses.DATA_ENCRYPTS)
    if values["mode"] == "00":
        return _chained(primitives.ecb_encrypt(key, data), b"", values)
    result = primitives.cbc_encrypt(key, bytes.fromhex(values["iv"]), data)
    return _chained(result, result, values)


@performs(layouts.M2)
def decrypt(values: Values, bench: Bench) -> Values:
    """Only under a type that never crosses a ZMK: see Policy.decrypting."""
    allow(values["key_type"], ("00A", "00B", "30B"))
    if values["key_type"] not in bench.policy.decrypting:
        raise CommandError("29", "key_type")
    key, data = _key_and_data(values, bench, uses.DATA_DECRYPTS)
    if values["mode"] == "00":
        return _chained(primitives.ecb_decrypt(key, data), b"", values)
    return _chained(primitives.cbc_decrypt(key, bytes.fromhex(values["iv"]), data), data, values)


def _key_and_data(values: Values, bench: Bench, use: Use) -> tuple[bytes, bytes]:
    key = bench.key(use.under(values["key_type"]), values["key"], "key")
    data = values["data"]
    if not data or len(data) % primitives.BLOCK:
        raise CommandError("80", "data")
    return key, data


def _chained(result: bytes, ciphertext: bytes, values: Values) -> Values:
    """The answer; in CBC with the last block of ciphertext, the IV of what comes next."""
    if values["output_form"] == "2" and not result.isascii():
        # Text output of what is not text would break the answer's framing for text clients.
        raise CommandError("15", "output_form")
    return {"chain": hex_of(ciphertext[-primitives.BLOCK :]), "result": result}
