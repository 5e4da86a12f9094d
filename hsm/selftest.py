"""Known answers computed at start-up; a wrong one blocks the service."""

from collections.abc import Callable

from hsm import primitives
from hsm.lmk import published_test_lmk

_KEY = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
_AES_256 = bytes(range(32))
_AES_128 = bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C")


def failures(entropy: Callable[[int], bytes]) -> list[str]:
    """Names of the checks that fail: none on a sound machine. Sources: ANSI X9.19's example,
    FIPS 81's text, a published UnionPay MAC, a ZPK under the published test LMK, FIPS 197 C.3,
    RFC 4493, FF1's first sample, GB/T 32907 A.1 and GB/T 32905 A.1."""
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
        **_of_longer_blocks(),
        "lmk_wrap": str(zpk) == "U063A0E7C0F2124E56192A4510F395ED7",
        "random": first != second and len(set(first + second)) > 8,
    }
    return [name for name, passed in checks.items() if not passed]


def _of_longer_blocks() -> dict[str, bool]:
    clear = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
    sealed = bytes.fromhex("8EA2B7CA516745BFEAFC49904B496089")
    cmac = primitives.aes_cmac(_AES_128, bytes.fromhex("6BC1BEE22E409F96E93D7E117393172A"))
    return {
        "aes": primitives.aes_encrypt(_AES_256, clear) == sealed,
        "aes_inverse": primitives.aes_decrypt(_AES_256, sealed) == clear,
        "aes_cmac": cmac.hex() == "070a16b46b4d4144f79bdd9dd04a287c",
        "ff1": primitives.ff1_encrypt(_AES_128, b"", "0123456789") == "2433477484",
        "ff1_inverse": primitives.ff1_decrypt(_AES_128, b"", "2433477484") == "0123456789",
        "sm4": primitives.sm4_encrypt(_KEY, _KEY).hex() == "681edf34d206965e86b3e94f536e4246",
        "sm3": primitives.sm3(b"abc").hex()
        == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0",
    }


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
