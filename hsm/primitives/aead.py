"""AES-256-GCM, the authenticated cipher of everything this project keeps sealed on a disk.

It works into buffers of the caller, so that a clear text need never become Python ``bytes``.
"""

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.utils import Buffer

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
"""A random nonce serves 2**32 messages of one key; a sealed file writes a handful."""
TAG_BYTES: Final = 16


class NotAuthenticError(ValueError):
    """The tag does not fit: another key, another nonce, or a change in text or associated data."""


def gcm_seal(key: Buffer, nonce: bytes, clear: Buffer, associated: bytes) -> bytes:
    """The cipher text of ``clear`` followed by the 16-byte tag. A nonce serves a key only once."""
    _check(key, nonce)
    return AESGCM(key).encrypt(nonce, clear, associated)


def gcm_open_into(
    key: Buffer, nonce: bytes, sealed: bytes, associated: bytes, clear: Buffer
) -> None:
    """Undo :func:`gcm_seal` into ``clear``, which is 16 bytes shorter. Raises NotAuthenticError."""
    _check(key, nonce)
    if len(sealed) - TAG_BYTES != memoryview(clear).nbytes:
        raise ValueError("the buffer for the clear text must be 16 bytes shorter than the sealed")
    try:
        AESGCM(key).decrypt_into(nonce, sealed, associated, clear)
    except InvalidTag:
        raise NotAuthenticError("not authentic") from None


def _check(key: Buffer, nonce: bytes) -> None:
    if memoryview(key).nbytes != KEY_BYTES or len(nonce) != NONCE_BYTES:
        raise ValueError(f"AES-256-GCM takes {KEY_BYTES} bytes of key and {NONCE_BYTES} of nonce")
