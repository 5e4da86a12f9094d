"""What the acceptance vectors are computed with: TDES, AES, MACs, LMK wrapping, PIN blocks, DUKPT.

Written from docs, public standards and published values only; nothing here comes from hsm/.
"""

import re

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

ZEROS = bytes(8)


def xor(left: bytes, right: bytes) -> bytes:
    """Byte by byte."""
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def odd(key: bytes) -> bytes:
    """The key with odd parity in every byte."""
    return bytes(b ^ 1 if bin(b).count("1") % 2 == 0 else b for b in key)


KEY_A = odd(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))
KEY_B = odd(bytes.fromhex("1C1F1613E51CCDA7A8F26E9E2389B3C1"))
KEY_C = odd(bytes.fromhex("D3DCC7EA9BCB755D254620B376B3D007"))
TRIPLE = odd(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210C2FEDC89A7B5E3F1"))
SINGLE = odd(bytes.fromhex("0123456789ABCDEF"))
SINGLE_B = odd(bytes.fromhex("C2FEDC89A7B5E3F1"))
AES_128 = bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C")
AES_256 = bytes.fromhex("603DEB1015CA71BE2B73AEF0857D77811F352C073B6108D72D9810A30914DFF4")


def spread(key: bytes) -> bytes:
    """8, 16 or 24 bytes as the 24 of three-key 3DES."""
    return {8: key * 3, 16: key + key[:8], 24: key}[len(key)]


def tdes(key: bytes, data: bytes, decrypt: bool = False, iv: bytes | None = None) -> bytes:
    """3DES (DES for an 8-byte key): ECB, or CBC when there is an IV."""
    mode = modes.ECB() if iv is None else modes.CBC(iv)
    cipher = Cipher(TripleDES(spread(key)), mode)
    step = cipher.decryptor() if decrypt else cipher.encryptor()
    return step.update(data) + step.finalize()


def aes(key: bytes, data: bytes, decrypt: bool = False, iv: bytes | None = None) -> bytes:
    """AES: ECB, or CBC when there is an IV."""
    cipher = Cipher(algorithms.AES(key), modes.ECB() if iv is None else modes.CBC(iv))
    step = cipher.decryptor() if decrypt else cipher.encryptor()
    return step.update(data) + step.finalize()


def cmac(key: bytes, data: bytes, algorithm: str = "aes") -> bytes:
    """CMAC over AES or 3DES."""
    mac = CMAC(algorithms.AES(key) if algorithm == "aes" else TripleDES(spread(key)))
    mac.update(data)
    return mac.finalize()


def kcv(key: bytes, digits: int = 6) -> str:
    """Check value of a DES key: E(zeros)."""
    return tdes(key, ZEROS).hex().upper()[:digits]


# --- MACs -----------------------------------------------------------------------------------


def padded(data: bytes, method: int, block: int = 8) -> bytes:
    """ISO 9797-1 padding 1, 2 or 3; 0 = none."""
    if method == 2:
        data += b"\x80"
    if method == 3:
        body = data + bytes(-len(data) % block) if data else bytes(block)
        return (len(data) * 8).to_bytes(block, "big") + body
    if method == 0:
        return data
    return data + bytes(-len(data) % block)


def cbc_mac(key: bytes, data: bytes, iv: bytes = ZEROS) -> bytes:
    """ISO 9797-1 algorithm 1 over padded data."""
    return tdes(key, data, iv=iv)[-8:]


def retail_mac(key: bytes, data: bytes, iv: bytes = ZEROS) -> bytes:
    """ISO 9797-1 algorithm 3 (X9.19) over padded data; one key length more: single DES inside."""
    chain = tdes(key[:8], data, iv=iv)[-8:]
    if len(key) == 8:
        return chain
    last = key[16:24] if len(key) == 24 else key[:8]
    return tdes(last, tdes(key[8:16], chain, decrypt=True))


# --- LMK 00: the variant test set -------------------------------------------------------------

PAIRS = {
    "00": "40404040404040405151515151515151",
    "01": "61616161616161617070707070707070",
    "02": "E0E0010101010101F1F1010101010101",
    "03": "1C587F1C13924FEF0101010101010101",
    "04": "01010101010101010101010101010101",
    "05": "02020202020202020404040404040404",
    "06": "07070707070707071010101010101010",
    "07": "13131313131313131515151515151515",
    "08": "16161616161616161919191919191919",
    "09": "1A1A1A1A1A1A1A1A1C1C1C1C1C1C1C1C",
    "0A": "23232323232323232525252525252525",
    "0B": "26262626262626262929292929292929",
}
VARIANTS = bytes.fromhex("00A65A6ADE2B50749CFA")
SCHEMES = {"U": bytes.fromhex("A65A"), "T": bytes.fromhex("6ADE2B")}
ATALLA = bytes.fromhex("0008101820 28".replace(" ", ""))


def block_key(base: bytes, scheme: str, index: int) -> bytes:
    """The double-length key that wraps block ``index`` of a key of this scheme."""
    if scheme not in SCHEMES:
        return base
    return base[:8] + bytes([base[8] ^ SCHEMES[scheme][index]]) + base[9:]


def under(base: bytes, scheme: str, key: bytes, decrypt: bool = False) -> bytes:
    """A key under a wrapping key: each block one 3DES operation, U and T with their masks."""
    return b"".join(
        tdes(block_key(base, scheme, i), key[i * 8 : i * 8 + 8], decrypt)
        for i in range(len(key) // 8)
    )


def written(scheme: str, body: bytes) -> str:
    """Tag and hex; scheme Z is written untagged."""
    return ("" if scheme in {"Z", ""} else scheme) + body.hex().upper()


def pair_of(key_type: str) -> bytes:
    """The LMK pair of a type code, its variant applied."""
    base = bytes.fromhex(PAIRS[key_type[1:]])
    return bytes([base[0] ^ VARIANTS[int(key_type[0])]]) + base[1:]


def natural(key: bytes) -> str:
    """Z, U or T by length."""
    return {8: "Z", 16: "U", 24: "T"}[len(key)]


def lmk(key_type: str, key: bytes, scheme: str = "") -> str:
    """A clear key as it stands in a command under LMK 00."""
    scheme = scheme or natural(key)
    return written(scheme, under(pair_of(key_type), scheme, key))


def from_lmk(key_type: str, text: str) -> bytes:
    """A key field under LMK 00 in the clear."""
    scheme, body = (text[0], text[1:]) if text[0] in "UTXYZ" else ("", text)
    return under(pair_of(key_type), scheme, bytes.fromhex(body), decrypt=True)


def zmk(wrapping: bytes, key: bytes, scheme: str = "", atalla: int = 0) -> str:
    """A clear key under a ZMK."""
    scheme = scheme or natural(key)
    base = bytearray(spread(wrapping) if len(wrapping) == 8 else wrapping)
    base[0] ^= ATALLA[atalla]
    base[8] ^= ATALLA[atalla]
    return written(scheme, under(bytes(base), scheme, key))


def from_zmk(wrapping: bytes, text: str, atalla: int = 0) -> bytes:
    """A key field under a ZMK in the clear."""
    scheme, body = (text[0], text[1:]) if text[0] in "UTXYZ" else ("", text)
    base = bytearray(wrapping)
    base[0] ^= ATALLA[atalla]
    base[8] ^= ATALLA[atalla]
    return under(bytes(base), scheme, bytes.fromhex(body), decrypt=True)


# --- LMKs 01 and 02: key blocks ----------------------------------------------------------------

LMK_01 = bytes.fromhex("0123456789ABCDEF8080808080808080FEDCBA9876543210")
LMK_02 = bytes.fromhex("9B71333A13F9FAE72F9D0E2DAB4AD6784718012F9244033F3F26A2DE0C8AA11A")


def aes_kdf(base: bytes, usage: int) -> bytes:
    """The CMAC counter KDF of TR-31 version D: usage 0 encrypts, 1 authenticates."""
    code, length = {16: (2, 128), 24: (3, 192), 32: (4, 256)}[len(base)]
    parts = b"".join(
        cmac(
            base,
            bytes([i])
            + usage.to_bytes(2, "big")
            + b"\0"
            + code.to_bytes(2, "big")
            + length.to_bytes(2, "big"),
        )
        for i in range(1, (len(base) + 15) // 16 + 1)
    )
    return parts[: len(base)]


def s_block(
    key: bytes,
    attributes: str,
    lmk_id: str = "01",
    wrapping: bytes = b"",
    aes_wrap: bool | None = None,
    length_bytes: int = 0,
) -> str:
    """A scheme-S block; ``attributes`` = usage 2, algorithm, mode, version 2, export, blocks 2."""
    use_aes = (lmk_id == "02") if aes_wrap is None else aes_wrap
    base = wrapping or (LMK_02 if use_aes else LMK_01)
    block = 16 if use_aes else 8
    plain = (len(key) * 8).to_bytes(2, "big") + key
    plain += bytes(range(-len(plain) % block))
    plain += bytes(max(0, length_bytes - len(plain)))
    mac_chars = 16 if use_aes else 8
    total = 16 + 2 * len(plain) + mac_chars
    header = f"{int(use_aes)}{total:04d}{attributes}{lmk_id}".encode()
    assert len(header) == 16
    if use_aes:
        secret = aes(aes_kdf(base, 0), plain, iv=header)
        mac = cmac(aes_kdf(base, 1), header + secret)[:8]
    else:
        secret = tdes(xor(base, b"\x45" * len(base)), plain, iv=header[:8])
        mac = cbc_mac(xor(base, b"\x4d" * len(base)), header + secret)[:4]
    return "S" + header.decode() + (secret + mac).hex().upper()


def from_s_block(text: str, wrapping: bytes = b"") -> tuple[str, bytes]:
    """Header and clear key of a scheme-S block whose MAC holds."""
    assert text[0] == "S"
    assert re.fullmatch(
        r"S[01]\d{4}[0-9A-Za-z]{2}[0-9A-Z][0-9A-Z][0-9A-Za-z]{2}[NES]\d{2}"
        r"[0-9F]{2}.*",
        text,
    ), text[:17]
    assert int(text[2:6]) == len(text) - 1
    optional = int(text[13:15])
    at = 17
    for _ in range(optional):
        at += int(text[at + 2 : at + 4], 16)
    head, use_aes = text[1:at].encode(), text[1] == "1"
    mac_chars = 16 if use_aes else 8
    secret, mac = bytes.fromhex(text[at:-mac_chars]), bytes.fromhex(text[-mac_chars:])
    if use_aes:
        base = wrapping or LMK_02
        assert cmac(aes_kdf(base, 1), head + secret)[:8] == mac
        plain = aes(aes_kdf(base, 0), secret, decrypt=True, iv=head[:16])
    else:
        base = wrapping or LMK_01
        assert cbc_mac(xor(base, b"\x4d" * len(base)), head + secret)[:4] == mac
        plain = tdes(xor(base, b"\x45" * len(base)), secret, decrypt=True, iv=head[:8])
    bits = int.from_bytes(plain[:2], "big")
    return text[1:at], plain[2 : 2 + bits // 8]


# --- PIN blocks --------------------------------------------------------------------------------


def pan_field(account: str) -> bytes:
    """Account part of formats 0 and 3."""
    return bytes.fromhex("0000" + account)


def pin_block(code: str, pin: str, account: str) -> bytes:
    """A clear 8-byte PIN block of a payShield format code."""
    length = f"{len(pin):X}"
    if code == "01":
        return xor(bytes.fromhex(f"0{length}{pin}".ljust(16, "F")), pan_field(account))
    if code == "02":
        return bytes.fromhex(f"{length}{pin.ljust(6, '0')}".ljust(16, "0"))
    if code == "03":
        return bytes.fromhex(pin.ljust(16, "F"))
    if code == "05":
        return bytes.fromhex(f"1{length}{pin}" + "13579BDF02468A"[: 14 - len(pin)])
    if code == "34":
        return bytes.fromhex(f"2{length}{pin}".ljust(16, "F"))
    if code == "47":
        fill = "ABCDEFABCDEFAB"[: 14 - len(pin)]
        return xor(bytes.fromhex(f"3{length}{pin}{fill}"), pan_field(account))
    raise ValueError(code)


def read_pin(code: str, block: bytes, account: str) -> str:
    """The PIN in a clear block, after its control and fill digits have been checked."""
    if code in {"01", "47"}:
        block = xor(block, pan_field(account))
    text = block.hex().upper()
    if code == "03":
        pin = text.rstrip("F")
    elif code == "02":
        pin = text[1 : 1 + int(text[0], 16)]
    else:
        control = {"01": "0", "05": "1", "34": "2", "47": "3"}[code]
        assert text[0] == control, text
        pin = text[2 : 2 + int(text[1], 16)]
        fill = text[2 + len(pin) :]
        if code in {"01", "34"}:
            assert set(fill) <= {"F"}, text
        if code == "47":
            assert set(fill) <= set("ABCDEF"), text
    assert pin.isdigit(), text
    return pin


def iso4(key: bytes, pin: str, pan: str) -> bytes:
    """ISO 9564-1 format 4 under an AES key."""
    plain = bytes.fromhex(f"4{len(pin):X}{pin}".ljust(16, "A") + "0123456789ABCDEF")
    digits = max(len(pan), 12)
    field = bytes.fromhex(f"{digits - 12}{pan.rjust(12, '0')}".ljust(32, "0"))
    return aes(key, xor(aes(key, plain), field))


def from_iso4(key: bytes, block: bytes, pan: str) -> str:
    """The PIN of a format-4 block, its control and fill checked."""
    digits = max(len(pan), 12)
    field = bytes.fromhex(f"{digits - 12}{pan.rjust(12, '0')}".ljust(32, "0"))
    text = aes(key, xor(aes(key, block, decrypt=True), field), decrypt=True).hex().upper()
    assert text[0] == "4"
    pin = text[2 : 2 + int(text[1], 16)]
    assert set(text[2 + len(pin) : 16]) <= {"A"}
    return pin


# --- DUKPT, X9.24-1 ------------------------------------------------------------------------------

MASK = bytes.fromhex("C0C0C0C000000000C0C0C0C000000000")


def _next(key: bytes, register: bytes) -> bytes:
    """The non-reversible key generation process."""
    halves = []
    for side in (key, xor(key, MASK)):
        halves.append(xor(tdes(side[:8], xor(register, side[8:])), side[8:]))
    return halves[1] + halves[0]


def ipek(bdk: bytes, ksn: bytes) -> bytes:
    """The initial key of a terminal (10-byte KSN)."""
    first = (int.from_bytes(ksn, "big") >> 21 << 21).to_bytes(10, "big")[:8]
    return tdes(bdk, first) + tdes(xor(bdk, MASK), first)


def dukpt(bdk: bytes, ksn_hex: str) -> bytes:
    """The unvaried key of one exchange."""
    ksn = bytes.fromhex(ksn_hex.rjust(20, "F"))
    counter = int.from_bytes(ksn[-3:], "big") & 0x1FFFFF
    key, register = ipek(bdk, ksn), int.from_bytes(ksn[-8:], "big") >> 21 << 21
    for bit in range(20, -1, -1):
        if counter >> bit & 1:
            register |= 1 << bit
            key = _next(key, register.to_bytes(8, "big"))
    return key


def dukpt_variant(bdk: bytes, ksn_hex: str, which: str) -> bytes:
    """PIN, MAC request or MAC response key of one exchange."""
    mask = {
        "pin": "00000000000000FF",
        "mac": "000000000000FF00",
        "mac-response": "00000000FF000000",
    }
    return xor(dukpt(bdk, ksn_hex), bytes.fromhex(mask[which] * 2))
