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
from hsm.primitives.block_ciphers import BLOCK_CIPHERS, BlockCipherMode, forget
from hsm.primitives.cvv import cvv
from hsm.primitives.des import (
    BLOCK,
    CONTEXTS_MAX,
    cbc_decrypt,
    cbc_encrypt,
    cfb_decrypt,
    cfb_encrypt,
    check_value,
    ecb_context,
    ecb_decrypt,
    ecb_encrypt,
    has_odd_parity,
    is_weak,
    odd_parity,
    pad,
    xor,
)
from hsm.primitives.dukpt import derived_key as dukpt_derived_key
from hsm.primitives.dukpt import mac_key as dukpt_mac_key
from hsm.primitives.dukpt import pin_key as dukpt_pin_key
from hsm.primitives.emv import (
    arpc_1,
    arpc_2,
    card_key_a,
    card_key_b,
    common_session_key,
    mchip_session_key,
    tree_session_key,
)
from hsm.primitives.ff1 import ff1_decrypt, ff1_encrypt
from hsm.primitives.macs import (
    cbc_mac,
    cmac_last,
    folded,
    retail_mac,
)
from hsm.primitives.pboc import AC_INPUT, CardKeys
from hsm.primitives.pin_account import PinAccount
from hsm.primitives.pin_blocks import (
    PIN_LENGTH_MAX,
    PIN_LENGTH_MIN,
    PinBlockError,
    account12,
    pin_block_0,
    pin_from_block_0,
)
from hsm.primitives.pin_checks import (
    add_digits,
    natural_pin,
    pvv,
    subtract_digits,
    table_is_sound,
)
from hsm.primitives.pin_forms import PIN_FORMS, PinForm
from hsm.primitives.sm4 import (
    SM4_BLOCK,
    sm3,
    sm4_check_value,
    sm4_encrypt,
)
from hsm.primitives.tdes_cmac import tdes_cmac

__all__ = [
    "AC_INPUT",
    "AES_BLOCK",
    "BLOCK",
    "BLOCK_CIPHERS",
    "CONTEXTS_MAX",
    "PIN_FORMS",
    "PIN_LENGTH_MAX",
    "PIN_LENGTH_MIN",
    "SM4_BLOCK",
    "BlockCipherMode",
    "CardKeys",
    "PinAccount",
    "PinBlockError",
    "PinForm",
    "account12",
    "add_digits",
    "aes_cbc_decrypt",
    "aes_cbc_encrypt",
    "aes_cmac",
    "aes_context",
    "aes_decrypt",
    "aes_encrypt",
    "arpc_1",
    "arpc_2",
    "card_key_a",
    "card_key_b",
    "cbc_decrypt",
    "cbc_encrypt",
    "cbc_mac",
    "cfb_decrypt",
    "cfb_encrypt",
    "check_value",
    "cmac_last",
    "common_session_key",
    "cvv",
    "dukpt_derived_key",
    "dukpt_mac_key",
    "dukpt_pin_key",
    "ecb_context",
    "ecb_decrypt",
    "ecb_encrypt",
    "ff1_decrypt",
    "ff1_encrypt",
    "folded",
    "forget",
    "has_odd_parity",
    "is_weak",
    "mchip_session_key",
    "natural_pin",
    "odd_parity",
    "pad",
    "pin_block_0",
    "pin_from_block_0",
    "pvv",
    "retail_mac",
    "sm3",
    "sm4_check_value",
    "sm4_encrypt",
    "subtract_digits",
    "table_is_sound",
    "tdes_cmac",
    "tree_session_key",
    "xor",
]
