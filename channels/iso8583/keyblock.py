"""Working keys as a sign-on answer carries them (field 62), cut out by the dialect's layouts.

Nothing here decrypts: the cryptograms go to the HSM (A6) as they came, and the check values (KCV)
are compared with what the HSM computed.
"""

from msgspec import Struct

from channels.iso8583.dialect import KeyLayout, SignOn, Span
from channels.iso8583.errors import RemoteError

_HALF_BYTES = 8


class KeyBlock(Struct, frozen=True, kw_only=True):
    """Cryptograms under the TMK as A6 takes them (``X`` + 32 hex, or 16 hex), KCVs as hex."""

    pik: str
    pik_kcv: str
    mak: str
    mak_kcv: str

    def __repr__(self) -> str:
        return "<KeyBlock>"


def cut_keys(sign_on: SignOn, field: str) -> KeyBlock:
    """Cut a key block (upper-case hex) by the layout of its length.

    Raises RemoteError when no layout has this length: the old keys stay.
    """
    for layout in sign_on.layouts:
        if len(field) == 2 * layout.length:
            return _cut(layout, field)
    known = ", ".join(str(layout.length) for layout in sign_on.layouts)
    raise RemoteError(sign_on.keys_field, f"{len(field) // 2} bytes of keys; known are {known}")


def same_kcv(ours: str, theirs: str) -> bool:
    """Whether two check values agree in the digits both have (the HSM's 6, field 62's 8).

    >>> same_kcv("8D0A74", "8D0A74B8")
    True
    """
    digits = min(len(ours), len(theirs))
    return digits >= 6 and ours[:digits].upper() == theirs[:digits].upper()


def _cut(layout: KeyLayout, field: str) -> KeyBlock:
    return KeyBlock(
        pik=_key(field, layout.pik),
        pik_kcv=_part(field, layout.pik_kcv),
        mak=_key(field, layout.mak),
        mak_kcv=_part(field, layout.mak_kcv),
    )


def _part(field: str, span: Span) -> str:
    return field[2 * span.at : 2 * (span.at + span.size)]


def _key(field: str, span: Span) -> str:
    """A single-length MAK travels in 16 bytes of which the second half is zero ciphertext:
    decrypting all 16 would give a key whose second half is garbage."""
    cryptogram = _part(field, span)
    half = 2 * _HALF_BYTES
    if len(cryptogram) == half or not cryptogram[half:].strip("0"):
        return cryptogram[:half]
    return "X" + cryptogram
