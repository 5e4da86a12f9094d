"""One decoded message: typed headers, type, fields, and the bytes its MAC was made over."""

from msgspec import Struct

from channels.iso8583.headers import Header, Lead, Tpdu


class Message(Struct, kw_only=True):
    """``fields`` maps a field's number to text: BCD and binary fields as upper-case hexadecimal.

    Its repr shows the type and the numbers of its fields, never a value (I12).
    """

    mti: str
    fields: dict[str, str]
    tpdu: Tpdu | None = None
    header: Header | None = None
    mab: bytes = b""
    """Message type … last byte before the MAC field; empty without a MAC."""

    def __repr__(self) -> str:
        return f"<Message {self.mti} {' '.join(self.fields)}>"

    @property
    def lead(self) -> Lead:
        """Its headers together."""
        return Lead(self.tpdu, self.header)

    @property
    def code(self) -> str:
        """Field 39, as text; never through an integer."""
        return self.fields.get("39", "")
