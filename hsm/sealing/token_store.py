"""What of an LMK lies in a token: its keys, and a head that says whose they are."""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from hsm.sealing.errors import TokenError
from hsm.sealing.token_keys import AES_LABELS, MAC_LABEL
from hsm.sealing.token_session import TokenSession

_TDES_BYTES: Final = 24


class TokenHead(Struct, frozen=True, forbid_unknown_fields=True):
    """What the token says of the LMK it holds; written last, so without it there is none."""

    version: Literal[1]
    lmk_id: Annotated[str, Meta(pattern=r"^[0-9]{2}\Z")]
    scheme: Literal["variant", "aes-block"]
    check_value: Annotated[str, Meta(pattern=r"^[0-9A-F]{16}\Z")]
    fingerprint: Annotated[str, Meta(pattern=r"^[0-9A-F]{64}\Z")]
    """SHA-256 over labels and check values of all its keys: a missing or foreign key shows."""


class TokenStore:
    """The objects of one LMK in the token of a session, found by the prefix of their labels."""

    def __init__(self, session: TokenSession, lmk_id: str) -> None:
        self._session = session.raw
        self.lmk_id = lmk_id
        self._prefix = f"lmk.{lmk_id}/"

    def head(self) -> TokenHead | None:
        """None: the token holds no such LMK. TokenError: the head cannot be read."""
        from pkcs11 import Attribute

        found = self._heads()
        if not found:
            return None
        try:
            head = msgspec.json.decode(bytes(found[0][Attribute.VALUE]), type=TokenHead)
        except msgspec.DecodeError:
            raise TokenError("token_head", self.lmk_id) from None
        if len(found) > 1 or head.lmk_id != self.lmk_id:
            raise TokenError("token_head", self.lmk_id)
        return head

    def keys(self) -> dict[str, Any]:
        """Label → key object."""
        from pkcs11 import Attribute, ObjectClass

        every: Any = self._session.get_objects({Attribute.CLASS: ObjectClass.SECRET_KEY})
        labelled = ((str(found[Attribute.LABEL]), found) for found in every)
        return {
            label.removeprefix(self._prefix): found
            for label, found in labelled
            if label.startswith(self._prefix)
        }

    def write(self, head: TokenHead, keys: dict[str, bytes]) -> None:
        """The keys, and last the head; what a write that was cut short left behind goes first."""
        for left in self.keys().values():
            left.destroy()
        for label, key in keys.items():
            self._session.create_object(self._key_template(label, key))
        self._session.create_object(self._head_template(head))

    def destroy(self) -> None:
        """The head first: without it the rest is nothing."""
        for gone in (*self._heads(), *self.keys().values()):
            gone.destroy()

    def _heads(self) -> list[Any]:
        from pkcs11 import Attribute, ObjectClass

        head = {Attribute.CLASS: ObjectClass.DATA, Attribute.LABEL: self._prefix}
        return list(self._session.get_objects(head))

    def _head_template(self, head: TokenHead) -> dict[Any, Any]:
        from pkcs11 import Attribute, ObjectClass

        return {
            Attribute.CLASS: ObjectClass.DATA,
            Attribute.TOKEN: True,
            Attribute.PRIVATE: True,
            Attribute.MODIFIABLE: False,
            Attribute.LABEL: self._prefix,
            Attribute.VALUE: msgspec.json.encode(head),
        }

    def _key_template(self, label: str, key: bytes) -> dict[Any, Any]:
        from pkcs11 import Attribute, KeyType, ObjectClass

        aes = label in AES_LABELS
        mac = label == MAC_LABEL
        return {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.AES if aes else KeyType.DES3,
            Attribute.LABEL: self._prefix + label,
            Attribute.TOKEN: True,
            Attribute.PRIVATE: True,
            Attribute.SENSITIVE: True,
            Attribute.EXTRACTABLE: False,
            Attribute.MODIFIABLE: False,
            Attribute.ENCRYPT: not mac,
            Attribute.DECRYPT: not mac,
            Attribute.SIGN: mac,
            Attribute.VERIFY: mac,
            # Every token knows triple DES with three keys; the third is the first again.
            Attribute.VALUE: key if aes else (key + key)[:_TDES_BYTES],
        }
