"""The ciphers of the payment trade. Pure functions over ``bytes``; no module here holds a key.

Nothing else in the project imports a cipher library (import rules). Errors are ``ValueError`` and
name lengths, never values.
"""

from hsm.primitives.aes import (
    AES_BLOCK,
    aes_cbc_decrypt,
    aes_cbc_encrypt,
    aes_cmac,
    aes_context,
    aes_decrypt,
    aes_encrypt,
)
from hsm.primitives.des import (
    BLOCK,
    CONTEXTS_MAX,
    cbc_decrypt,
    cbc_encrypt,
    check_value,
    ecb_context,
    ecb_decrypt,
    ecb_encrypt,
    forget,
    has_odd_parity,
    is_weak,
    odd_parity,
    pad,
    xor,
)
from hsm.primitives.macs import (
    cbc_mac,
    retail_mac,
)
from hsm.primitives.pin_blocks import (
    PinBlockError,
    account12,
    pin_block_0,
    pin_from_block_0,
)
from hsm.primitives.tdes_cmac import tdes_cmac

__all__ = [
    "AES_BLOCK",
    "BLOCK",
    "CONTEXTS_MAX",
    "PinBlockError",
    "account12",
    "aes_cbc_decrypt",
    "aes_cbc_encrypt",
    "aes_cmac",
    "aes_context",
    "aes_decrypt",
    "aes_encrypt",
    "cbc_decrypt",
    "cbc_encrypt",
    "cbc_mac",
    "check_value",
    "ecb_context",
    "ecb_decrypt",
    "ecb_encrypt",
    "forget",
    "has_odd_parity",
    "is_weak",
    "odd_parity",
    "pad",
    "pin_block_0",
    "pin_from_block_0",
    "retail_mac",
    "tdes_cmac",
    "xor",
]
