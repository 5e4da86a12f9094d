"""A key in a PKCS#11 token wraps the data key (level A): the token's key never leaves it.

The LMK itself comes into this process's memory; for a token that keeps it, see hsm.sealing.token.
"""

import os
from typing import Any, Final, Literal, cast

from hsm.primitives.aead import NONCE_BYTES, TAG_BYTES
from hsm.sealing.entries import Entry, TokenGcmEntry, TokenWrapEntry
from hsm.sealing.errors import CannotOpenError, TokenError
from hsm.sealing.names import plain_name
from hsm.sealing.sealer import DATA_KEY_BYTES
from hsm.sealing.secret_buffer import SecretBuffer
from hsm.sealing.token_session import TokenAddress, TokenSession, token_errors

Wrap = Literal["aes-gcm", "aes-key-wrap"]
"""How the token wraps; some offer only one of the two."""

_KEY_BITS: Final = 256


class TokenSealer:
    """The data key under the token's AES-256 key ``key``, which must not be extractable."""

    def __init__(self, address: TokenAddress, key: str, wrap: Wrap = "aes-gcm") -> None:
        """Nothing is opened yet: each use logs in, works, and logs out."""
        self._key = plain_name(key, "key")
        self._token = plain_name(address.token, "token")
        self._address = address
        self._gcm = wrap == "aes-gcm"

    def __repr__(self) -> str:
        return f"<token {self._token} key {self._key}>"

    def wrap(self, data_key: SecretBuffer, bound: bytes) -> TokenGcmEntry | TokenWrapEntry:
        nonce = os.urandom(NONCE_BYTES)
        with TokenSession(self._address) as session, self._errors():
            key = self._found(session)
            if self._gcm:
                wrapped = _gcm(key.encrypt, bytes(data_key.view), nonce, bound)
                return TokenGcmEntry(
                    self._token, self._key, nonce.hex().upper(), wrapped.hex().upper()
                )
            wrapped = _key_wrap(session, key, data_key)
            return TokenWrapEntry(self._token, self._key, wrapped.hex().upper())

    def fits(self, entry: Entry) -> bool:
        kind = TokenGcmEntry if self._gcm else TokenWrapEntry
        return isinstance(entry, kind) and (entry.token, entry.key) == (self._token, self._key)

    def unwrap(self, entry: Entry, bound: bytes) -> SecretBuffer:
        assert isinstance(entry, TokenGcmEntry | TokenWrapEntry)
        wrapped = bytes.fromhex(entry.wrapped)
        with TokenSession(self._address) as session:
            with self._errors():
                key = self._found(session)
            try:
                if isinstance(entry, TokenGcmEntry):
                    clear = _gcm(key.decrypt, wrapped, bytes.fromhex(entry.nonce), bound)
                else:
                    clear = _key_unwrap(key, wrapped)
            except _not_authentic():
                raise CannotOpenError("does_not_open", self) from None
        if len(clear) != DATA_KEY_BYTES:
            raise CannotOpenError("does_not_open", self)
        return SecretBuffer.holding(clear)

    def _errors(self) -> Any:
        return token_errors(f"token {self._token}, key {self._key}")

    def _found(self, session: TokenSession) -> Any:
        # The library gives a key its operations at run time; its types do not know them.
        from pkcs11 import KeyType, ObjectClass

        key = session.raw.get_key(ObjectClass.SECRET_KEY, KeyType.AES, self._key)
        demand_kept(key, self._key)
        return key


def make_token_key(address: TokenAddress, key: str, wrap: Wrap = "aes-gcm") -> None:
    """Have the token generate the AES-256 key of a :class:`TokenSealer`: sensitive, not
    extractable, and good for this one way to wrap. TokenError: a key of this label exists."""
    with (
        TokenSession(address, writable=True) as session,
        token_errors(f"token {address.token}: generating key {key}"),
    ):
        from pkcs11 import Attribute, KeyType, MechanismFlag, ObjectClass

        same = {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.LABEL: key}
        if list(session.raw.get_objects(same)):
            raise TokenError("key_exists", address.token, key)
        # A key that could both wrap and decrypt would open whatever it wrapped.
        good_for = {
            "aes-gcm": MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
            "aes-key-wrap": MechanismFlag.WRAP | MechanismFlag.UNWRAP,
        }
        session.raw.generate_key(
            KeyType.AES,
            _KEY_BITS,
            label=key,
            store=True,
            capabilities=good_for[wrap],
            template={
                Attribute.PRIVATE: True,
                Attribute.SENSITIVE: True,
                Attribute.EXTRACTABLE: False,
                Attribute.MODIFIABLE: False,
            },
        )


def demand_kept(key: Any, label: str) -> None:
    """TokenError unless the token will never show this key's value."""
    from pkcs11 import Attribute

    if not key[Attribute.SENSITIVE] or key[Attribute.EXTRACTABLE]:
        raise TokenError("key_shown", label)


def _not_authentic() -> tuple[type[Exception], ...]:
    """What tokens answer when a tag is wrong: no two makers agree."""
    from pkcs11 import exceptions

    return (
        exceptions.DataInvalid,
        exceptions.DataLenRange,
        exceptions.EncryptedDataInvalid,
        exceptions.EncryptedDataLenRange,
        exceptions.FunctionFailed,
        exceptions.GeneralError,
        exceptions.WrappedKeyInvalid,
        exceptions.WrappedKeyLenRange,
    )


def _gcm(operation: Any, data: bytes, nonce: bytes, bound: bytes) -> bytes:
    from pkcs11 import GCMParams, Mechanism

    parameters = GCMParams(nonce, bound, 8 * TAG_BYTES)
    return cast("bytes", operation(data, mechanism=Mechanism.AES_GCM, mechanism_param=parameters))


def _key_wrap(session: TokenSession, key: Any, data_key: SecretBuffer) -> bytes:
    from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass

    shown = session.raw.create_object(
        {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.AES,
            Attribute.VALUE: bytes(data_key.view),
            **_passing(),
        }
    )
    try:
        return cast("bytes", key.wrap_key(shown, mechanism=Mechanism.AES_KEY_WRAP))
    finally:
        shown.destroy()


def _key_unwrap(key: Any, wrapped: bytes) -> bytes:
    from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass

    shown = key.unwrap_key(
        ObjectClass.SECRET_KEY,
        KeyType.AES,
        wrapped,
        mechanism=Mechanism.AES_KEY_WRAP,
        template=_passing(),
    )
    try:
        return cast("bytes", shown[Attribute.VALUE])
    finally:
        shown.destroy()


def _passing() -> dict[Any, bool]:
    """A data key that passes through the token for one call, never stored in it."""
    from pkcs11 import Attribute

    return {Attribute.TOKEN: False, Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True}
