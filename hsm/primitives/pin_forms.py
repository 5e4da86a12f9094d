"""Forms of an encrypted PIN block, each with its cipher: ISO 0-4, the older ones, SM4."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from hsm.primitives import pin_blocks
from hsm.primitives.aes import AES_BLOCK, aes_decrypt, aes_encrypt
from hsm.primitives.des import BLOCK, ecb_decrypt, ecb_encrypt, xor
from hsm.primitives.pin_account import PinAccount
from hsm.primitives.pin_blocks import Entropy
from hsm.primitives.sm4_pin_forms import Sm4Form, Sm4PaddedForm


class PinForm(Protocol):
    """One form: a PIN and an account to an encrypted block, and back. PinBlockError."""

    @property
    def algorithms(self) -> str:
        """Letters of the algorithms whose keys may carry it: D, T, A, 4."""
        ...

    @property
    def width(self) -> int:
        """Bytes of the block."""
        ...

    def seal(self, key: bytes, pin: str, account: PinAccount, entropy: Entropy) -> bytes:
        """The encrypted PIN block."""
        ...

    def open(self, key: bytes, block: bytes, account: PinAccount) -> str:
        """The PIN of an encrypted block."""
        ...


@dataclass(frozen=True, slots=True)
class DesForm:
    """A clear block of eight bytes under DES or triple DES."""

    build: Callable[[str, str, Entropy], bytes]
    read: Callable[[bytes, str], str]
    from_left: bool = False
    """The leftmost 12 digits of the account instead of the rightmost."""

    algorithms = "DT"
    width = BLOCK

    def seal(self, key: bytes, pin: str, account: PinAccount, entropy: Entropy) -> bytes:
        """The encrypted PIN block."""
        part = account.leftmost if self.from_left else account.rightmost
        return ecb_encrypt(key, self.build(pin, part, entropy))

    def open(self, key: bytes, block: bytes, account: PinAccount) -> str:
        """The PIN of an encrypted block."""
        part = account.leftmost if self.from_left else account.rightmost
        return self.read(ecb_decrypt(key, block), part)


class Iso4Form:
    """ISO format 4: the PIN field under AES, XOR the account field, under AES again."""

    algorithms = "A"
    width = AES_BLOCK

    def seal(self, key: bytes, pin: str, account: PinAccount, entropy: Entropy) -> bytes:
        """The encrypted PIN block."""
        field = f"4{len(pin_blocks.checked_pin(pin)):X}{pin:A<14}{entropy(8).hex()}"
        inner = aes_encrypt(key, bytes.fromhex(field))
        return aes_encrypt(key, xor(inner, _pan_field(account.pan)))

    def open(self, key: bytes, block: bytes, account: PinAccount) -> str:
        """The PIN of an encrypted block."""
        inner = xor(aes_decrypt(key, block), _pan_field(account.pan))
        return pin_blocks.read_counted(aes_decrypt(key, inner).hex()[:16], "4", "a")


def _pan_field(pan: str) -> bytes:
    """Digits above 12, the digits, zeros: 16 bytes (ISO 9564-1, format 4)."""
    return bytes.fromhex(f"{len(pan) - 12}{pan}".ljust(2 * AES_BLOCK, "0"))


def _build_0(pin: str, account: str, _entropy: Entropy) -> bytes:
    return pin_blocks.pin_block_0(pin, account)


_FORMAT_0: Final = (_build_0, pin_blocks.pin_from_block_0)

PIN_FORMS: Final[dict[str, PinForm]] = {
    "iso-0": DesForm(*_FORMAT_0),
    "docutel": DesForm(pin_blocks.docutel_block, pin_blocks.pin_from_docutel_block),
    "diebold": DesForm(pin_blocks.diebold_block, pin_blocks.pin_from_diebold_block),
    "plus": DesForm(*_FORMAT_0, from_left=True),
    "iso-1": DesForm(pin_blocks.pin_block_1, pin_blocks.pin_from_block_1),
    "iso-2": DesForm(pin_blocks.pin_block_2, pin_blocks.pin_from_block_2),
    "iso-3": DesForm(pin_blocks.pin_block_3, pin_blocks.pin_from_block_3),
    "iso-4": Iso4Form(),
    "no-account": DesForm(pin_blocks.counted_block, pin_blocks.pin_from_counted_block),
    "sm4": Sm4Form(),
    "sm4-padded": Sm4PaddedForm(),
}
"""Every form by its name in this project."""
