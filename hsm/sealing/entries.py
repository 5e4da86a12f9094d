"""What a sealed file says of each sealer: all that is needed to open it again, but the secret."""

from typing import Annotated

from msgspec import Meta, Struct

from hsm.sealing.names import Name, folded

Salt = Annotated[str, Meta(pattern=r"^[0-9A-F]{32}\Z")]
Nonce = Annotated[str, Meta(pattern=r"^[0-9A-F]{24}\Z")]
Wrapped = Annotated[str, Meta(pattern=r"^[0-9A-F]{96}\Z")]
"""A data key of 32 bytes and the tag of 16."""


class Cost(Struct, frozen=True, forbid_unknown_fields=True):
    """What argon2id takes for one passphrase. The default is RFC 9106's second choice with four
    times its memory; the limits keep a doctored file from taking all there is."""

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
