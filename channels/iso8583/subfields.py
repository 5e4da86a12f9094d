"""What is inside a field: named parts of fixed length, or TLV. Unknown tags are kept.

Declared as data under ``subfields`` of a dialect, for ``yyt describe`` and for keys in a TLV. A
field that is not as declared is shown whole: nothing depends on it but the reader.
"""

from msgspec import Struct, field

from channels.iso8583 import tlv
from channels.iso8583.dialogue import Strict


class NamedPart(Strict, frozen=True, kw_only=True):
    """The next ``size`` characters; 0 = all that is left."""

    name: str
    size: int = 0


class Parts(Strict, frozen=True, kw_only=True, tag="parts", tag_field="kind"):
    """Parts one behind the other; the last ones may be absent."""

    parts: tuple[NamedPart, ...]
    repeats: bool = False
    """All of them again, until the field ends (several balances in field 54)."""


class Ber(Strict, frozen=True, kw_only=True, tag="ber", tag_field="kind"):
    """BER-TLV in a binary field; ``names`` are for people."""

    names: dict[str, str] = field(default_factory=dict)


class FixedTlv(Strict, frozen=True, kw_only=True, tag="tlv", tag_field="kind"):
    """TLV with tags and lengths of fixed size: in characters of a text field (length in decimal
    digits), in bytes of a binary one (binary length)."""

    tag: int
    length: int
    names: dict[str, str] = field(default_factory=dict)


Subfields = Parts | Ber | FixedTlv


class Piece(Struct, frozen=True):
    """One part of a field: tag (or number from 1), name, and content in the field's own form."""

    label: str
    name: str
    value: str


def pieces(subfields: Subfields, value: str, *, binary: bool) -> list[Piece]:
    """A field's value in its parts. Raises TlvError when it is not as declared."""
    if isinstance(subfields, Parts):
        return _parts(subfields, value)
    if not binary:
        if isinstance(subfields, Ber):
            raise tlv.TlvError("BER-TLV in a text field")
        found = tlv.parse_text(value, subfields.tag, subfields.length)
        return [Piece(tag, subfields.names.get(tag, ""), text) for tag, text in found]
    data = bytes.fromhex(value)
    if isinstance(subfields, Ber):
        objects = tlv.parse(data)
    else:
        objects = tlv.parse_fixed(data, subfields.tag, subfields.length)
    return [
        Piece(tag, subfields.names.get(tag, ""), content.hex().upper()) for tag, content in objects
    ]


def _parts(subfields: Parts, value: str) -> list[Piece]:
    found: list[Piece] = []
    at = 0
    while at < len(value):
        for part in subfields.parts:
            end = at + part.size if part.size else len(value)
            if at < len(value):
                found.append(Piece(str(len(found) + 1), part.name, value[at:end]))
            at = end
        if not subfields.repeats:
            break
    if at < len(value):
        found.append(Piece(str(len(found) + 1), "", value[at:]))
    return found
