"""Working keys as a sign-on answer or a key reset carries them, cut out by the dialect's layouts.

Nothing here decrypts: the cryptograms go to the HSM (A6) as they came, and the check values (KCV)
are compared with what the HSM computed.
"""

from collections.abc import Mapping

from msgspec import Struct

from channels.iso8583.dialect import Content, Dialect, KeyField, KeyName, Span
from channels.iso8583.errors import RemoteError
from channels.iso8583.subfields import pieces

_HALF_BYTES = 8


class KeyBlock(Struct, frozen=True, kw_only=True):
    """Cryptograms under the TMK as A6 takes them (``X`` + 32 hex, or 16 hex), KCVs as hex.

    A key reset may bring one key only, and a bank may send no check value: empty then.
    """

    pik: str = ""
    pik_kcv: str = ""
    mak: str = ""
    mak_kcv: str = ""

    def __repr__(self) -> str:
        return "<KeyBlock>"


def cut_keys(dialect: Dialect, fields: Mapping[str, str]) -> KeyBlock:
    """The working keys that a message's fields carry, by the layout of the block's length.

    Raises RemoteError when there is no key field, or no layout of this length: the old keys stay.
    """
    for key_field in dialect.keys:
        value = _value(dialect, key_field, fields)
        if value and value.startswith(key_field.marker):
            return _cut_field(key_field, value.removeprefix(key_field.marker), fields)
    raise RemoteError(dialect.keys[0].field, "no working keys in the message")


def same_kcv(ours: str, theirs: str) -> bool:
    """Whether two check values agree in the digits both have (the HSM's 6, field 62's 8).

    >>> same_kcv("8D0A74", "8D0A74B8")
    True
    """
    digits = min(len(ours), len(theirs))
    return digits >= 6 and ours[:digits].upper() == theirs[:digits].upper()


def _value(dialect: Dialect, key_field: KeyField, fields: Mapping[str, str]) -> str:
    value = fields.get(key_field.field, "")
    if not key_field.tag or not value:
        return value
    field = dialect.fields[key_field.field]
    binary = dialect.encodings[field.like].content is Content.BINARY
    try:
        found = pieces(dialect.subfields[key_field.field], value, binary=binary)
        return next((one.value for one in found if one.label == key_field.tag), "")
    except ValueError:
        raise RemoteError(key_field.field, "no TLV") from None


def _cut_field(key_field: KeyField, block: str, fields: Mapping[str, str]) -> KeyBlock:
    for layout in key_field.layouts:
        if len(block) == 2 * layout.length:
            break
    else:
        known = ", ".join(str(layout.length) for layout in key_field.layouts)
        raise RemoteError(key_field.field, f"{len(block) // 2} bytes of keys; known are {known}")
    if layout.key is None:
        return KeyBlock(
            pik=_key(block, layout.pik),
            pik_kcv=_part(block, layout.pik_kcv),
            mak=_key(block, layout.mak),
            mak_kcv=_part(block, layout.mak_kcv),
        )
    key, kcv = _key(block, layout.key), _part(block, layout.key_kcv)
    if _which(key_field, fields) is KeyName.PIK:
        return KeyBlock(pik=key, pik_kcv=kcv)
    return KeyBlock(mak=key, mak_kcv=kcv)


def _which(key_field: KeyField, fields: Mapping[str, str]) -> KeyName:
    part = key_field.which
    assert part is not None  # the dialect's check
    said = fields.get(part.field, "")[part.at : part.at + part.size]
    name = key_field.names.get(said)
    if name is None:
        raise RemoteError(part.field, "does not say which key it brings")
    return name


def _part(block: str, span: Span | None) -> str:
    return block[2 * span.at : 2 * (span.at + span.size)] if span is not None else ""


def _key(block: str, span: Span | None) -> str:
    """A single-length MAK travels in 16 bytes of which the second half is zero ciphertext:
    decrypting all 16 would give a key whose second half is garbage."""
    cryptogram = _part(block, span)
    half = 2 * _HALF_BYTES
    if len(cryptogram) == half or not cryptogram[half:].strip("0"):
        return cryptogram[:half]
    return "X" + cryptogram
