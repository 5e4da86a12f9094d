"""M0, M2: data under an encryption key. The vault of stored card numbers lives on these two."""

from hsm import layouts, primitives
from hsm.commands.bench import Bench, allow, hex_of, performs
from hsm.errors import CommandError
from hsm.kinds import Values


@performs(layouts.M0)
def encrypt(values: Values, bench: Bench) -> Values:
    """Whole blocks, ECB or CBC, under a ZEK or DEK."""
    allow(values["key_type"], ("00A", "00B"))
    key, data = _key_and_data(values, bench)
    if values["mode"] == "00":
        return _chained(primitives.ecb_encrypt(key, data), b"", values)
    result = primitives.cbc_encrypt(key, bytes.fromhex(values["iv"]), data)
    return _chained(result, result, values)


@performs(layouts.M2)
def decrypt(values: Values, bench: Bench) -> Values:
    """Only under a type that never crosses a ZMK: see Policy.kept_home."""
    allow(values["key_type"], ("00A", "00B"))
    if values["key_type"] not in bench.policy.kept_home:
        raise CommandError("29", "key_type")
    key, data = _key_and_data(values, bench)
    if values["mode"] == "00":
        return _chained(primitives.ecb_decrypt(key, data), b"", values)
    return _chained(primitives.cbc_decrypt(key, bytes.fromhex(values["iv"]), data), data, values)


def _key_and_data(values: Values, bench: Bench) -> tuple[bytes, bytes]:
    key, data = bench.key(values["key_type"], values["key"]), values["data"]
    if not data or len(data) % primitives.BLOCK:
        raise CommandError("80", "data")
    return key, data


def _chained(result: bytes, ciphertext: bytes, values: Values) -> Values:
    """The answer; in CBC with the last block of ciphertext, the IV of what comes next."""
    if values["output_form"] == "2" and not result.isascii():
        # Text output of what is not text would break the answer's framing for text clients.
        raise CommandError("15", "output_form")
    return {"chain": hex_of(ciphertext[-primitives.BLOCK :]), "result": result}
