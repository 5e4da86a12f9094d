"""A token that holds the LMK itself (level B): every wrap and unwrap is an operation of the token.

What comes into this process are the working keys, never the LMK. A token keeps no mask and no
derivation of ours, so what is put into it are the keys that the LMK works by. For live LMKs only:
the published test sets have pairs whose halves are equal, which many tokens refuse as triple DES,
and a test LMK is no secret worth a token.
"""

from hmac import compare_digest
from types import TracebackType
from typing import Any, Final, Self, cast

from hsm.lmk_material import LmkMaterial
from hsm.sealing.errors import TokenError
from hsm.sealing.pkcs11 import demand_kept
from hsm.sealing.token_keys import (
    CIPHER_LABEL,
    MAC_LABEL,
    check_value,
    fingerprint,
    working_keys,
)
from hsm.sealing.token_session import TokenAddress, TokenSession, token_errors
from hsm.sealing.token_store import TokenHead, TokenStore

TOKEN_SCHEMES: Final = ("variant", "aes-block")
"""Styles of LMK that a token can hold."""


class _TokenLmk:
    """What both styles share: one session, for one thread at a time. ``test`` and ``published``
    are never true here."""

    test: Final = False
    published: Final = False

    def __init__(self, head: TokenHead, session: TokenSession, held: dict[str, Any]) -> None:
        self.lmk_id = head.lmk_id
        self.scheme: str = head.scheme
        self.check_value = head.check_value
        self._session = session
        self._held = held

    def __repr__(self) -> str:
        return f"<{self.scheme} LMK {self.lmk_id}, live, in a token>"

    def close(self) -> None:
        """Leave the token: locked again. Once only."""
        self._held = {}
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _operate(self, label: str, operation: str, data: bytes, **mechanism: Any) -> bytes:
        key = self._held.get(label)
        if key is None:
            raise TokenError("token_key_absent", self.lmk_id, label)
        with token_errors(f"LMK {self.lmk_id}, key {label}"):
            return cast("bytes", getattr(key, operation)(data, **mechanism))


class TokenVariantLmk(_TokenLmk):
    """A variant LMK in a token: :class:`hsm.sealing.wrapping.Wrapping`."""

    def __init__(self, head: TokenHead, session: TokenSession, held: dict[str, Any]) -> None:
        from pkcs11 import Mechanism

        super().__init__(head, session, held)
        self._ecb = Mechanism.DES3_ECB

    def encrypt(self, label: str, data: bytes) -> bytes:
        """Triple DES, whole blocks of 8 bytes."""
        return self._operate(label, "encrypt", data, mechanism=self._ecb)

    def decrypt(self, label: str, data: bytes) -> bytes:
        """Undo :meth:`encrypt`."""
        return self._operate(label, "decrypt", data, mechanism=self._ecb)

    def check_values(self) -> dict[str, bytes]:
        """Label → a block of zeros under its key."""
        return {label: self.encrypt(label, bytes(8)) for label in self._held}


class TokenBlockLmk(_TokenLmk):
    """An AES key-block LMK in a token: :class:`hsm.keyblock.BlockCipher`."""

    version = "1"
    unit = 16
    mac_length = 8

    def __init__(self, head: TokenHead, session: TokenSession, held: dict[str, Any]) -> None:
        from pkcs11 import Mechanism

        super().__init__(head, session, held)
        self._cbc, self._cmac = Mechanism.AES_CBC, Mechanism.AES_CMAC

    def encrypt(self, iv: bytes, data: bytes) -> bytes:
        """AES-CBC, whole blocks of 16 bytes, under the block-encryption key."""
        return self._operate(CIPHER_LABEL, "encrypt", data, mechanism=self._cbc, mechanism_param=iv)

    def decrypt(self, iv: bytes, data: bytes) -> bytes:
        """Undo :meth:`encrypt`."""
        return self._operate(CIPHER_LABEL, "decrypt", data, mechanism=self._cbc, mechanism_param=iv)

    def mac(self, data: bytes) -> bytes:
        """AES-CMAC, 16 bytes, under the block-authentication key."""
        return self._operate(MAC_LABEL, "sign", data, mechanism=self._cmac)

    def check_values(self) -> dict[str, bytes]:
        """Label → a block of zeros under its key."""
        zeros = bytes(16)
        return {CIPHER_LABEL: self.encrypt(zeros, zeros), MAC_LABEL: self.mac(zeros)}


def provision(material: LmkMaterial, address: TokenAddress) -> None:
    """Put a live LMK into the token, then open it once. TokenError: a test LMK, a scheme a token
    is not used for, weak keys, or an LMK of this id that is there already."""
    demand_suited(material.scheme, test=material.test or material.published)
    keys = working_keys(material)
    check_values = {label: check_value(label, key) for label, key in keys.items()}
    head = TokenHead(
        1,
        material.lmk_id,
        "variant" if material.scheme == "variant" else "aes-block",
        material.check_value,
        fingerprint(material.lmk_id, material.check_value, check_values),
    )
    with TokenSession(address, writable=True) as session, token_errors("provisioning"):
        store = TokenStore(session, material.lmk_id)
        if store.head() is not None:
            raise TokenError("token_lmk_exists", address.token, material.lmk_id)
        store.write(head, keys)
    open_token_lmk(material.lmk_id, address).close()


def demand_suited(scheme: str, *, test: bool) -> None:
    """TokenError: tokens are not used for an LMK like this; known before any of it is typed."""
    if test:
        raise TokenError("token_live_only")
    if scheme not in TOKEN_SCHEMES:
        raise TokenError("token_scheme", scheme)


def token_head(lmk_id: str, address: TokenAddress) -> TokenHead | None:
    """What the token says of the LMK it holds under this id, None: it holds none. TokenError."""
    with TokenSession(address) as session, token_errors(f"token {address.token}, LMK {lmk_id}"):
        return TokenStore(session, lmk_id).head()


def open_token_lmk(lmk_id: str, address: TokenAddress) -> TokenVariantLmk | TokenBlockLmk:
    """The LMK at work, until it is closed. TokenError: there is none, a key of it is missing, is
    not the one that was put there, or could be read out."""
    session = TokenSession(address)
    try:
        with token_errors(f"token {address.token}, LMK {lmk_id}"):
            return _open(lmk_id, address, session)
    except TokenError:
        session.close()
        raise


def remove_token_lmk(lmk_id: str, address: TokenAddress) -> None:
    """Destroy the LMK in the token. TokenError: there is none."""
    with TokenSession(address, writable=True) as session, token_errors("destroying"):
        store = TokenStore(session, lmk_id)
        if store.head() is None:
            raise TokenError("token_lmk_absent", address.token, lmk_id)
        store.destroy()


def _open(
    lmk_id: str, address: TokenAddress, session: TokenSession
) -> TokenVariantLmk | TokenBlockLmk:
    store = TokenStore(session, lmk_id)
    head = store.head()
    if head is None:
        raise TokenError("token_lmk_absent", address.token, lmk_id)
    held = store.keys()
    for label, key in held.items():
        demand_kept(key, label)
    kind = TokenVariantLmk if head.scheme == "variant" else TokenBlockLmk
    opened = kind(head, session, held)
    found = fingerprint(head.lmk_id, head.check_value, opened.check_values())
    if not compare_digest(found, head.fingerprint):
        raise TokenError("token_keys_changed", head.lmk_id)
    return opened
