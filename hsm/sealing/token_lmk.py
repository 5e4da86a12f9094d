"""An LMK in a token behind the interface of :class:`hsm.lmk.Lmk`, as the slots take it."""

from collections.abc import Callable
from functools import lru_cache
from typing import cast

from hsm import keys, primitives
from hsm.block_header import DES_LETTERS
from hsm.errors import CommandError
from hsm.keys import Cryptogram
from hsm.lmk import UNWRAPPED_MAX, BlockLmk, HeldKey, Lmk, NewKey, ParityError
from hsm.lmk_material import LmkMaterial
from hsm.sealing.token import TokenBlockLmk, TokenVariantLmk
from hsm.sealing.wrapping import PIN_LABEL, Wrapping, wrapping_label
from hsm.uses import Use


class WrappingLmk:
    """A variant LMK whose keys are asked for by label. TokenError when the token fails."""

    scheme = "variant"

    def __init__(self, lmk_id: str, test: bool, check_value: str, wrapping: Wrapping) -> None:
        self.lmk_id, self.test, self.check_value = lmk_id, test, check_value
        self._wrapping = wrapping
        # Pair 02-03 stays in the token, and a PIN is worked on by its bytes: so a key made by the
        # pair. PINs under the LMK of a daemon that has the pair itself do not open under this one.
        self.pin_key = wrapping.encrypt(PIN_LABEL, b"PIN under LMK 1 ")
        self._unwrapped = lru_cache(maxsize=UNWRAPPED_MAX)(self._unwrap)

    def __repr__(self) -> str:
        return f"<variant LMK {self.lmk_id}, {'test' if self.test else 'live'}, in a token>"

    def keep(self, new: NewKey, clear: bytes, entropy: Callable[[int], bytes]) -> Cryptogram:
        """The key under this LMK. CommandError 26, 28, 04."""
        if keys.SCHEME_BYTES.get(new.scheme) != len(clear):
            raise CommandError("26", "scheme")
        body = self._each(self._wrapping.encrypt, new.key_type, new.scheme, clear)
        return Cryptogram("" if new.scheme in "Z0" else new.scheme, body.hex().upper())

    def hold(self, use: Use, key: Cryptogram, where: str = "key") -> HeldKey:
        """The clear key, remembered while there is room. ParityError; CommandError A1, 28, 04."""
        return self._unwrapped(use.key_type, key)

    def forget(self) -> None:
        """Drop the remembered clear keys (best effort: Python cannot wipe ``bytes``)."""
        self._unwrapped.cache_clear()

    def _unwrap(self, key_type: str, key: Cryptogram) -> HeldKey:
        if key.in_block:
            raise CommandError("A1", "key")
        clear = self._each(self._wrapping.decrypt, key_type, key.scheme, bytes.fromhex(key.body))
        if not primitives.has_odd_parity(clear):
            raise ParityError
        return HeldKey(clear, DES_LETTERS[len(clear)])

    def _each(
        self, operation: Callable[[str, bytes], bytes], key_type: str, scheme: str, data: bytes
    ) -> bytes:
        if key_type == keys.BLOCK_TYPE:
            raise CommandError("28", "key_type")
        if key_type not in keys.KEY_TYPES:
            raise CommandError("04", "key_type")
        return b"".join(
            operation(wrapping_label(key_type, scheme, block), data[at : at + primitives.BLOCK])
            for block, at in enumerate(range(0, len(data), primitives.BLOCK))
        )


def lmk_in_token(held: TokenVariantLmk | TokenBlockLmk) -> Lmk:
    """What a slot takes, of an LMK that :func:`hsm.sealing.token.open_token_lmk` opened.

    Close ``held`` when the slot is emptied: until then the token is unlocked.
    """
    if isinstance(held, TokenVariantLmk):
        return WrappingLmk(held.lmk_id, held.test, held.check_value, held)
    # Of the material it reads what a token's LMK also says; the secret is not there to be read.
    return BlockLmk(cast("LmkMaterial", held), held)
