"""A key in a file: for a daemon that must start with nobody there.

Meant for systemd's LoadCredentialEncrypted: the file on disk is sealed to this host (and its TPM
where there is one), and the clear 32 bytes are in memory only, below $CREDENTIALS_DIRECTORY.
"""

import os
from pathlib import Path
from typing import Final

from hsm.primitives.aead import NONCE_BYTES, NotAuthenticError, gcm_open_into, gcm_seal
from hsm.primitives.kdf import hkdf_sha256_into
from hsm.sealing.entries import CredentialEntry, Entry
from hsm.sealing.errors import BadFileError, CannotOpenError, SealingError
from hsm.sealing.files import read_guarded
from hsm.sealing.names import plain_name
from hsm.sealing.sealer import DATA_KEY_BYTES
from hsm.sealing.secret_buffer import SecretBuffer
from hsm.sealing.texts import text_of

CREDENTIAL_BYTES: Final = 32
_SALT_BYTES: Final = 16
_INFO: Final = b"yinyitong LMK credential sealer 1 "


def credential_path(name: str) -> Path:
    """Where systemd puts the credential ``name``. SealingError outside such a service."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if folder is None:
        raise SealingError("no_credentials")
    if "/" in name or name.startswith("."):
        raise SealingError("name", "credential")
    return Path(folder, plain_name(name, "credential"))


class CredentialSealer:
    """The data key under the 32 bytes of a credential, known by its file's name."""

    def __init__(self, path: Path) -> None:
        """The file is read at each use, and nothing of it is kept between."""
        self._name = plain_name(path.name, "credential")
        self._path = path

    def __repr__(self) -> str:
        return f"<credential {self._name}>"

    def wrap(self, data_key: SecretBuffer, bound: bytes) -> CredentialEntry:
        salt, nonce = os.urandom(_SALT_BYTES), os.urandom(NONCE_BYTES)
        with self._key(salt, bound) as key:
            wrapped = gcm_seal(key.view, nonce, data_key.view, bound)
        return CredentialEntry(
            self._name, salt.hex().upper(), nonce.hex().upper(), wrapped.hex().upper()
        )

    def fits(self, entry: Entry) -> bool:
        return isinstance(entry, CredentialEntry) and entry.name == self._name

    def unwrap(self, entry: Entry, bound: bytes) -> SecretBuffer:
        assert isinstance(entry, CredentialEntry)
        nonce, wrapped = bytes.fromhex(entry.nonce), bytes.fromhex(entry.wrapped)
        with self._key(bytes.fromhex(entry.salt), bound) as key:
            try:
                return SecretBuffer.filled(
                    DATA_KEY_BYTES,
                    lambda clear: gcm_open_into(key.view, nonce, wrapped, bound, clear),
                )
            except NotAuthenticError:
                raise CannotOpenError("does_not_open", self) from None

    def _key(self, salt: bytes, bound: bytes) -> SecretBuffer:
        with read_guarded(self._path, CREDENTIAL_BYTES) as secret:
            if len(secret) != CREDENTIAL_BYTES:
                raise BadFileError(self._name, "size", text_of("size_is", CREDENTIAL_BYTES))
            return SecretBuffer.filled(
                CREDENTIAL_BYTES,
                lambda key: hkdf_sha256_into(secret.view, salt, _INFO + bound, key),
            )
