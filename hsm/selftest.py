"""Known answers computed at start-up; a wrong one blocks the service."""

from collections.abc import Callable

from hsm import primitives
from hsm.lmk import published_test_lmk

_KEY = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")


def failures(entropy: Callable[[int], bytes]) -> list[str]:
    """Names of the checks that fail: none on a sound machine. Sources: ANSI X9.19's example,
    FIPS 81's text, a published UnionPay MAC, and a ZPK under the published test LMK."""
    zpk = published_test_lmk().wrap("001", "U", _KEY)
    first, second = entropy(32), entropy(32)
    checks = {
        "3des": primitives.check_value(_KEY).hex() == "08d7b4fb629d0885",
        "3des_inverse": primitives.ecb_decrypt(_KEY, primitives.check_value(_KEY)) == bytes(8),
        "des": primitives.check_value(bytes.fromhex("5BB5C72CD00B7338")).hex()[:8] == "ab7153ca",
        "cbc": _cbc_agrees_with_ecb(),
        "x919": primitives.retail_mac(_KEY, b"Now is the time for all ").hex()
        == "a1c72e74ea3fa9b6",
        "cup_mac": primitives.cbc_mac(bytes.fromhex("C24A8FB57AA20123"), b"4D08F434464FE7BF").hex()
        == "8a9e91b88d839ac5",
        "pin_block": primitives.pin_block_0("1234", "987654321098").hex() == "0412ac89abcdef67",
        "lmk_wrap": str(zpk) == "U063A0E7C0F2124E56192A4510F395ED7",
        "random": first != second and len(set(first + second)) > 8,
    }
    return [name for name, passed in checks.items() if not passed]


def _cbc_agrees_with_ecb() -> bool:
    data = bytes(range(64))
    chain = bytes(8)
    for at in range(0, len(data), 8):
        chain = primitives.ecb_encrypt(_KEY, primitives.xor(chain, data[at : at + 8]))
    return (
        primitives.cbc_mac(_KEY, data) == chain
        and primitives.cbc_decrypt(_KEY, bytes(8), primitives.cbc_encrypt(_KEY, bytes(8), data))
        == data
    )
