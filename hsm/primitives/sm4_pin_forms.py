"""PIN blocks under SM4 (国密): what Chinese banks say they use; no public standard gives them."""

from hsm.primitives import pin_blocks
from hsm.primitives.des import BLOCK, xor
from hsm.primitives.pin_account import PinAccount
from hsm.primitives.pin_blocks import Entropy, PinBlockError
from hsm.primitives.sm4 import SM4_BLOCK, sm4_decrypt, sm4_encrypt


class Sm4Form:
    """SM4 (国密): 16 bytes of length, PIN and F, XOR zeros and the 12 account digits."""

    algorithms = "4"
    width = SM4_BLOCK

    def seal(self, key: bytes, pin: str, account: PinAccount, entropy: Entropy) -> bytes:
        """The encrypted PIN block."""
        plain = bytes.fromhex(f"0{len(pin_blocks.checked_pin(pin)):X}{pin:F<30}")
        return sm4_encrypt(key, xor(plain, bytes.fromhex(account.rightmost.zfill(32))))

    def open(self, key: bytes, block: bytes, account: PinAccount) -> str:
        """The PIN of an encrypted block."""
        plain = xor(sm4_decrypt(key, block), bytes.fromhex(account.rightmost.zfill(32)))
        return pin_blocks.read_counted(plain.hex(), "0", "f")


class Sm4PaddedForm:
    """What some banks send under SM4: the eight bytes of ISO format 0, then eight zero bytes."""

    algorithms = "4"
    width = SM4_BLOCK

    def seal(self, key: bytes, pin: str, account: PinAccount, entropy: Entropy) -> bytes:
        """The encrypted PIN block."""
        return sm4_encrypt(key, pin_blocks.pin_block_0(pin, account.rightmost) + bytes(BLOCK))

    def open(self, key: bytes, block: bytes, account: PinAccount) -> str:
        """The PIN of an encrypted block."""
        plain = sm4_decrypt(key, block)
        if any(plain[BLOCK:]):
            raise PinBlockError("block")
        return pin_blocks.pin_from_block_0(plain[:BLOCK], account.rightmost)
