"""Keys from passphrases (argon2id, RFC 9106) and from keys (HKDF over SHA-256, RFC 5869)."""

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.utils import Buffer


def argon2id_into(
    passphrase: bytes, salt: bytes, derived: Buffer, *, memory_kib: int, passes: int, lanes: int
) -> None:
    """Fill ``derived`` (4 bytes or more) from a passphrase; ``salt`` has 8 bytes or more.

    The cost is ``memory_kib`` (8 per lane or more), touched ``passes`` times by ``lanes`` lanes.
    """
    length = memoryview(derived).nbytes
    Argon2id(
        salt=salt, length=length, iterations=passes, lanes=lanes, memory_cost=memory_kib
    ).derive_into(passphrase, derived)


def hkdf_sha256_into(secret: Buffer, salt: bytes, info: bytes, derived: Buffer) -> None:
    """Fill ``derived`` (up to 8160 bytes) from a secret that is already a good key."""
    HKDF(SHA256(), memoryview(derived).nbytes, salt, info).derive_into(secret, derived)
