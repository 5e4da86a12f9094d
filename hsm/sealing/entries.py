"""What a sealed file says of each sealer: all that is needed to open it again, but the secret."""

import unicodedata
from typing import Annotated, Final

from msgspec import Meta, Struct

OFFICERS: Final = 2
"""Dual control: two, no more and no fewer."""

Salt = Annotated[str, Meta(pattern=r"^[0-9A-F]{32}\Z")]
Nonce = Annotated[str, Meta(pattern=r"^[0-9A-F]{24}\Z")]
Wrapped = Annotated[str, Meta(pattern=r"^[0-9A-F]{96}\Z")]
"""A data key of 32 bytes and the tag of 16."""
Name = Annotated[str, Meta(pattern=r"^[^\s\x00-\x1f\x7f](.{0,30}[^\s\x00-\x1f\x7f])?\Z")]
"""1 … 32 characters on one line, no blank at either end."""


class Cost(Struct, frozen=True, forbid_unknown_fields=True):
    """What argon2id takes for one passphrase; the default needs some 0.5 s on one machine of
    2024. The limits keep a doctored file from taking all memory."""

    memory_kib: Annotated[int, Meta(ge=64, le=1024 * 1024)] = 256 * 1024
    passes: Annotated[int, Meta(ge=1, le=16)] = 3
    lanes: Annotated[int, Meta(ge=1, le=8)] = 4


class OfficerEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """One of the two officers, by name."""

    name: Name
    salt: Salt


class PassphraseEntry(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="passphrase"
):
    """Opened by two officers' passphrases together."""

    cost: Cost
    officers: tuple[OfficerEntry, OfficerEntry]
    nonce: Nonce
    wrapped: Wrapped

    @property
    def identity(self) -> str:
        """Two entries of one identity would open by the same thing."""
        names = sorted(folded(officer.name) for officer in self.officers)
        return f"officers {' and '.join(names)}"


class CredentialEntry(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="credential"
):
    """Opened by the 32 bytes of a credential, by name."""

    name: Name
    salt: Salt
    nonce: Nonce
    wrapped: Wrapped

    @property
    def identity(self) -> str:
        """As of :class:`PassphraseEntry`."""
        return f"credential {self.name}"


class TokenGcmEntry(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="pkcs11-gcm"
):
    """Opened by a key in a token, by AES-GCM."""

    token: Name
    key: Name
    nonce: Nonce
    wrapped: Wrapped

    @property
    def identity(self) -> str:
        """As of :class:`PassphraseEntry`."""
        return f"token {self.token} key {self.key}"


class TokenWrapEntry(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="pkcs11-key-wrap"
):
    """Opened by a key in a token, by the AES key wrap of RFC 3394."""

    token: Name
    key: Name
    wrapped: Annotated[str, Meta(pattern=r"^[0-9A-F]{80}\Z")]

    @property
    def identity(self) -> str:
        """As of :class:`PassphraseEntry`."""
        return f"token {self.token} key {self.key}"


Entry = PassphraseEntry | CredentialEntry | TokenGcmEntry | TokenWrapEntry


def folded(name: str) -> str:
    """A name as a person is known by it: letter case, width and accents' spelling do not matter."""
    return unicodedata.normalize("NFKC", name).casefold()
