"""The keys that an LMK works by, as a token must hold them: masked or derived beforehand."""

from hashlib import sha256
from typing import Final

import msgspec

from hsm import keys, lmk, primitives
from hsm.lmk_material import PAIR_NAMES, LmkMaterial
from hsm.sealing.errors import TokenError
from hsm.sealing.wrapping import MASKED_BLOCKS, PIN_LABEL, wrapping_label

CIPHER_LABEL: Final = "block-encryption"
MAC_LABEL: Final = "block-authentication"
AES_LABELS: Final = frozenset((CIPHER_LABEL, MAC_LABEL))
"""The two keys of an AES key-block LMK; every other label is a triple-DES key of 16 bytes."""

_PAIR_BYTES: Final = 16


def working_keys(material: LmkMaterial) -> dict[str, bytes]:
    """Label → key. TokenError: a scheme that tokens are not used for, or single DES in disguise."""
    if material.scheme == "aes-block":
        from hsm.keyblock import derive_block_keys

        cipher_key, mac_key = derive_block_keys(material.secret)
        return {CIPHER_LABEL: cipher_key, MAC_LABEL: mac_key}
    if material.scheme != "variant":
        raise TokenError("token_scheme", material.scheme)
    made = {PIN_LABEL: _pair(material, PIN_LABEL)}
    for key_type in keys.KEY_TYPES:
        masked = bytearray(_pair(material, lmk.PAIR_OF[key_type[1:]]))
        masked[0] ^= lmk.VARIANTS[int(key_type[0])]
        made[wrapping_label(key_type, "", 0)] = bytes(masked)
        for scheme, blocks in MASKED_BLOCKS.items():
            for block in range(blocks):
                label = wrapping_label(key_type, scheme, block)
                made[label] = keys.masked(bytes(masked), scheme, block)
    # DES ignores parity, tokens may insist on it.
    made = {label: primitives.odd_parity(key) for label, key in made.items()}
    if any(key[:8] == key[8:] for key in made.values()):
        raise TokenError("token_weak")
    return made


def check_value(label: str, key: bytes) -> bytes:
    """A block of zeros under the key: what the token must answer too."""
    if label == CIPHER_LABEL:
        return primitives.aes_cbc_encrypt(key, bytes(16), bytes(16))
    if label == MAC_LABEL:
        return primitives.aes_cmac(key, bytes(16))
    return primitives.ecb_encrypt(key, bytes(8))


def fingerprint(lmk_id: str, check_value: str, check_values: dict[str, bytes]) -> str:
    """64 hex over the LMK's id and check value and those of all its keys."""
    listed = sorted((label, value.hex()) for label, value in check_values.items())
    return sha256(msgspec.json.encode((lmk_id, check_value, listed))).hexdigest().upper()


def _pair(material: LmkMaterial, name: str) -> bytes:
    at = _PAIR_BYTES * PAIR_NAMES.index(name)
    return material.secret[at : at + _PAIR_BYTES]
