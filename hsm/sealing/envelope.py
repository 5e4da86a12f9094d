"""The sealed file of one LMK, ``lmk.NN.sealed``: a readable head, and the LMK under a data key.

AES-256-GCM under a random data key, which each sealer wraps in its own way; any one of them opens.
The cipher text authenticates every other byte: head, sealers, and (the file must be written
exactly as we write it) even the blanks.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from hmac import compare_digest
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from hsm.lmk_material import SCHEMES, LmkMaterial
from hsm.primitives.aead import (
    NONCE_BYTES,
    TAG_BYTES,
    NotAuthenticError,
    gcm_open_into,
    gcm_seal,
)
from hsm.sealing.entries import Entry, Nonce
from hsm.sealing.errors import BadFileError, CannotOpenError, SealingError
from hsm.sealing.files import read_guarded, replace, write_new
from hsm.sealing.sealer import DATA_KEY_BYTES, Sealer
from hsm.sealing.secret_buffer import SecretBuffer
from hsm.sealing.texts import text_of

FILE_BYTES_MAX: Final = 32 * 1024
SEALERS_MAX: Final = 8


class Head(Struct, frozen=True, forbid_unknown_fields=True):
    """What anyone may read of an LMK; every wrapped data key is bound to it."""

    version: Literal[1]
    lmk_id: Annotated[str, Meta(pattern=r"^[0-9]{2}\Z")]
    scheme: Literal["variant", "tdes-block", "aes-block"]
    status: Literal["test", "live"]
    check_value: Annotated[str, Meta(pattern=r"^[0-9A-F]{16}\Z")]


class Content(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    lmk: Head
    sealers: Annotated[tuple[Entry, ...], Meta(min_length=1, max_length=SEALERS_MAX)]
    nonce: Nonce
    ciphertext: Annotated[str, Meta(pattern=r"^([0-9A-F]{2}){16,512}\Z")]


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed file as it was read: well formed, and not yet proven authentic."""

    path: Path
    content: Content

    @property
    def lmk_id(self) -> str:
        """Two digits."""
        return self.content.lmk.lmk_id

    @property
    def scheme(self) -> str:
        """``variant``, ``tdes-block`` or ``aes-block``."""
        return self.content.lmk.scheme

    @property
    def test(self) -> bool:
        """Test status."""
        return self.content.lmk.status == "test"

    @property
    def check_value(self) -> str:
        """16 hex, as of :class:`LmkMaterial`."""
        return self.content.lmk.check_value

    @property
    def sealers(self) -> tuple[str, ...]:
        """What opens it, in words: ``officers a and b``, ``credential c``, ``token t key k``."""
        return tuple(entry.identity for entry in self.content.sealers)

    def open(self, opener: Sealer) -> LmkMaterial:
        """The LMK. CannotOpenError: no sealer fits, a wrong secret, or a byte was changed.

        Its ``secret`` is ``bytes``, which Python cannot wipe: forget it as soon as possible.
        """
        with _data_key(self.content, opener) as data_key:
            return _unsealed(self.content, data_key)

    def add_sealer(self, opener: Sealer, sealer: Sealer) -> "Sealed":
        """The same file, which ``sealer`` opens as well. CannotOpenError, or SealingError when it
        is there already or there are eight."""
        with _data_key(self.content, opener) as data_key:
            material = _unsealed(self.content, data_key)
            entry = sealer.wrap(data_key, _bound(self.content.lmk))
            content = _sealed(material, (*self.content.sealers, entry), data_key)
            _prove(content, material, (sealer,))
        replace(self.path, _written(content))
        return Sealed(self.path, content)

    def reseal(self, opener: Sealer, sealers: Sequence[Sealer]) -> "Sealed":
        """The same LMK under a new data key and these sealers only: for an officer who left.

        Whoever kept an old copy of the file opens that copy as before.
        """
        material = self.open(opener)
        content = _fresh(material, sealers)
        replace(self.path, _written(content))
        return Sealed(self.path, content)


def seal(material: LmkMaterial, sealers: Sequence[Sealer], folder: Path) -> Path:
    """Write ``folder/lmk.NN.sealed`` (0600; the folder is made, 0700, when it is missing).

    Each sealer has opened it once before it is written. BadFileError when the file exists,
    SealingError for no sealer, more than eight, one twice, or a published LMK marked live.
    """
    content = _fresh(material, sealers)
    path = folder / _file_name(material.lmk_id)
    write_new(path, _written(content))
    return path


def load_sealed(path: Path) -> Sealed:
    """Read a sealed file without opening it. BadFileError names the field and its rule."""
    with read_guarded(path, FILE_BYTES_MAX) as buffer:
        raw = bytes(buffer.view)
    try:
        content = msgspec.json.decode(raw, type=Content)
    except msgspec.ValidationError as error:
        rule, _, where = str(error).partition(" - at ")
        raise BadFileError(path.name, where.strip("`$.") or "top level", rule) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadFileError(path.name, "text", text_of("json")) from None
    if raw != _written(content):
        raise BadFileError(path.name, "text", text_of("as_written"))
    _check(path, content)
    return Sealed(path, content)


def _check(path: Path, content: Content) -> None:
    head = content.lmk
    if path.name != _file_name(head.lmk_id):
        raise BadFileError(path.name, "lmk.lmk_id", text_of("belongs", _file_name(head.lmk_id)))
    if len(content.ciphertext) != 2 * (SCHEMES[head.scheme] + TAG_BYTES):
        rule = text_of("size_is", SCHEMES[head.scheme] + TAG_BYTES)
        raise BadFileError(path.name, "ciphertext", rule)
    if len({entry.identity for entry in content.sealers}) < len(content.sealers):
        raise BadFileError(path.name, "sealers", text_of("entry_twice"))


def _fresh(material: LmkMaterial, sealers: Sequence[Sealer]) -> Content:
    if material.published and not material.test:
        raise SealingError("published_live")
    bound = _bound(_head(material))
    with SecretBuffer.random(DATA_KEY_BYTES) as data_key:
        entries = tuple(sealer.wrap(data_key, bound) for sealer in sealers)
        content = _sealed(material, entries, data_key)
    _prove(content, material, sealers)
    return content


def _prove(content: Content, material: LmkMaterial, sealers: Sequence[Sealer]) -> None:
    """A sealer that cannot open what it sealed is found out while the LMK is still at hand."""
    for sealer in sealers:
        with _data_key(content, sealer) as data_key:
            if not compare_digest(_unsealed(content, data_key).secret, material.secret):
                raise SealingError("not_given_back", sealer)


def _sealed(material: LmkMaterial, entries: tuple[Entry, ...], data_key: SecretBuffer) -> Content:
    if not 1 <= len(entries) <= SEALERS_MAX:
        raise SealingError("sealer_count", SEALERS_MAX)
    if len({entry.identity for entry in entries}) < len(entries):
        raise SealingError("sealer_twice")
    nonce = os.urandom(NONCE_BYTES)
    head = _head(material)
    ciphertext = gcm_seal(data_key.view, nonce, material.secret, _associated(head, entries))
    return Content(head, entries, nonce.hex().upper(), ciphertext.hex().upper())


def _data_key(content: Content, opener: Sealer) -> SecretBuffer:
    for entry in content.sealers:
        if opener.fits(entry):
            return opener.unwrap(entry, _bound(content.lmk))
    fitting = ", ".join(entry.identity for entry in content.sealers)
    raise CannotOpenError("no_sealer_fits", opener, fitting)


def _unsealed(content: Content, data_key: SecretBuffer) -> LmkMaterial:
    head = content.lmk
    ciphertext = bytes.fromhex(content.ciphertext)
    with SecretBuffer(SCHEMES[head.scheme]) as clear:
        try:
            gcm_open_into(
                data_key.view,
                bytes.fromhex(content.nonce),
                ciphertext,
                _associated(head, content.sealers),
                clear.view,
            )
        except NotAuthenticError:
            raise CannotOpenError("changed") from None
        secret = bytes(clear.view)
    material = LmkMaterial(head.lmk_id, head.scheme, head.status == "test", secret)
    if not compare_digest(material.check_value, head.check_value):
        raise CannotOpenError("other_check_value")
    return material


def _head(material: LmkMaterial) -> Head:
    # The constructors of LmkMaterial and this head admit the same schemes.
    return msgspec.convert(
        {
            "version": 1,
            "lmk_id": material.lmk_id,
            "scheme": material.scheme,
            "status": "test" if material.test else "live",
            "check_value": material.check_value,
        },
        Head,
    )


def _bound(head: Head) -> bytes:
    return msgspec.json.encode(head)


def _associated(head: Head, entries: tuple[Entry, ...]) -> bytes:
    return msgspec.json.encode((head, entries))


def _written(content: Content) -> bytes:
    return msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"


def _file_name(lmk_id: str) -> str:
    return f"lmk.{lmk_id}.sealed"
