"""Bytes to messages and back, compiled from a dialect.

pyiso8583 is the oracle in the tests: the same bytes, the same frames taken, except that we also
refuse what no bank means (a content that does not fit its field, a third bitmap, lengths such as
``+19``). Which fields must be there and what must be echoed is :mod:`channels.iso8583.rules`.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache

from channels.iso8583.dialect import Dialect
from channels.iso8583.errors import LocalError, RemoteError
from channels.iso8583.field_codec import Decode, Encode, FieldCodec, field_codec
from channels.iso8583.headers import CupsHeader, Lead, LeadWriter, lead_bytes, read_lead
from channels.iso8583.message import Message

_PLANS_MAX = 512
"""Sets of fields, and headers, that are remembered; a hostile peer fills no memory (I11)."""
_BITMAP_BITS = 64
_DOUBLE = 1 << 127
_EXTRA = "extra data after the last field"


class Codec:
    """A dialect made ready: headers, bitmaps, fields."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._lead = Lead(dialect.tpdu, dialect.header)
        self._writer = LeadWriter(self._lead)
        self._lead_bytes = lead_bytes(self._lead)
        self._mti_bytes = {mti: _mti_bytes(mti, dialect.mti_encoding) for mti in dialect.mtis}
        self._mtis = {written: mti for mti, written in self._mti_bytes.items()}
        self._mti_size = 2 if dialect.mti_encoding == "b" else 4
        self._bitmap_size = 8 if dialect.bitmap_encoding == "b" else 16
        self._codecs = {
            int(number): field_codec(number, field, dialect.encodings[field.like])
            for number, field in dialect.fields.items()
        }
        self._has_double = dialect.bitmap_always_double or max(self._codecs) > _BITMAP_BITS
        self._mac_field = dialect.mac.field
        self._mac_bytes = _mac_bytes(dialect)
        self._static = not isinstance(dialect.header, CupsHeader)
        self._known_lead = lru_cache(_PLANS_MAX)(self._read_lead)
        self._encoding_plan = lru_cache(_PLANS_MAX)(self._plan_encoding)
        self._decoding_plan = lru_cache(_PLANS_MAX)(self._plan_decoding)

    def encode(self, mti: str, fields: Mapping[str, str]) -> bytes:
        """A whole message without length prefix. Raises LocalError (path and rule, no value)."""
        body = self.body(mti, fields)
        return self._writer.bytes_before(len(body)) + body

    def answer(self, to: Message, mti: str, fields: Mapping[str, str]) -> bytes:
        """As :meth:`encode`, with the request's headers and their addresses turned round."""
        body = self.body(mti, fields)
        return LeadWriter(Lead(to.tpdu, to.header).answering).bytes_before(len(body)) + body

    def body(self, mti: str, fields: Mapping[str, str]) -> bytes:
        """Message type, bitmap and fields. Raises LocalError."""
        written = self._mti_bytes.get(mti)
        if written is None:
            raise LocalError("mti", "message type is not in the dialect")
        bitmap, steps = self._encoding_plan(tuple(fields))
        return b"".join([written, bitmap, *(encode(fields[number]) for number, encode in steps)])

    def mab(self, encoded: bytes) -> bytes:
        """What the MAC of an encoded message that ends with its MAC is made over."""
        return encoded[self._lead_bytes : -self._mac_bytes]

    def decode(self, frame: bytes) -> Message:
        """One frame without its length prefix. Raises RemoteError and nothing else."""
        start = self._lead_bytes
        lead = self._known_lead(frame[:start]) if self._static else self._read_lead(frame)
        return self.decode_body(frame[start:], lead)

    def decode_body(self, body: bytes, lead: Lead) -> Message:
        """As :meth:`decode`, of a frame that begins at its message type. Raises RemoteError."""
        mti, bitmap, at = self._read_beginning(body)
        fields: dict[str, str] = {}
        number = "bitmap"
        for number, decode in self._decoding_plan(bitmap):
            fields[number], at = decode(body, at)
        if at != len(body):
            raise RemoteError(number, _EXTRA)
        mab = body[: -self._mac_bytes] if self._mac_field in fields else b""
        return Message(mti=mti, fields=fields, tpdu=lead.tpdu, header=lead.header, mab=mab)

    def as_far(self, frame: bytes) -> tuple[Message, list[RemoteError]]:
        """What stands before the first mistake of a frame, and its mistakes, for people alone: a
        message that is not whole proves nothing. Raises RemoteError: not even its beginning can be
        read."""
        start = self._lead_bytes
        lead, errors = Lead(None, None), []
        try:
            lead = self._read_lead(frame)
        except RemoteError as error:
            errors.append(error)
        try:
            message, more = self.body_as_far(frame[start:], lead)
        except RemoteError:
            if errors:
                raise errors[0] from None
            raise
        return message, [*errors, *more]

    def body_as_far(self, body: bytes, lead: Lead) -> tuple[Message, list[RemoteError]]:
        """As :meth:`as_far`, of a frame that begins at its message type. Raises RemoteError."""
        mti, bitmap, at = self._read_beginning(body)
        message = Message(mti=mti, fields={}, tpdu=lead.tpdu, header=lead.header)
        number = "bitmap"
        try:
            for number, decode in self._steps(bitmap):
                message.fields[number], at = decode(body, at)
        except RemoteError as error:
            return message, [error]
        rest = [RemoteError(number, _EXTRA)] if at != len(body) else []
        return message, rest

    def _read_lead(self, frame: bytes) -> Lead:
        return read_lead(frame, self._lead)[0]

    def _read_beginning(self, body: bytes) -> tuple[str, int, int]:
        """Message type, bitmap, and where the fields begin."""
        mti = self._mtis.get(body[: self._mti_size])
        if mti is None:
            raise RemoteError("mti", "message type is cut short or not in the dialect")
        bitmap, at = self._read_bitmap(body, self._mti_size)
        return mti, bitmap, at

    # ---- bitmaps ---------------------------------------------------------------------------------

    def _read_bitmap(self, body: bytes, at: int) -> tuple[int, int]:
        """128 bits, the second half empty when there is none, and where the fields begin."""
        first = self._bits(body, at)
        at += self._bitmap_size
        if not first >> (_BITMAP_BITS - 1):
            return first << _BITMAP_BITS, at
        if not self._has_double:
            raise RemoteError("1", "field is not in the dialect")
        return (first << _BITMAP_BITS) | self._bits(body, at), at + self._bitmap_size

    def _bits(self, body: bytes, at: int) -> int:
        part = body[at : at + self._bitmap_size]
        if len(part) != self._bitmap_size:
            raise RemoteError("bitmap", f"has {len(part)} bytes, expecting {self._bitmap_size}")
        if self.dialect.bitmap_encoding == "b":
            return int.from_bytes(part, "big")
        if part.strip(b"0123456789ABCDEF"):
            raise RemoteError("bitmap", "is not hexadecimal")
        return int(part, 16)

    def _plan_decoding(self, bitmap: int) -> tuple[tuple[str, Decode], ...]:
        return tuple(self._steps(bitmap))

    def _steps(self, bitmap: int) -> Iterator[tuple[str, Decode]]:
        for number in range(2, 2 * _BITMAP_BITS + 1):
            if bitmap >> (2 * _BITMAP_BITS - number) & 1:
                codec = self._codecs.get(number)
                if codec is None:
                    raise RemoteError(str(number), "field is not in the dialect")
                yield str(number), codec.decode

    def _plan_encoding(
        self, numbers: tuple[str, ...]
    ) -> tuple[bytes, tuple[tuple[str, Encode], ...]]:
        steps: list[tuple[int, FieldCodec]] = []
        bits = _DOUBLE if self.dialect.bitmap_always_double else 0
        for text in numbers:
            codec = self._codecs.get(int(text)) if text.isdecimal() else None
            if codec is None:
                raise LocalError(text, "field is not in the dialect")
            number = int(text)
            bits |= 1 << (2 * _BITMAP_BITS - number)
            if number > _BITMAP_BITS:
                bits |= _DOUBLE
            steps.append((number, codec))
        steps.sort(key=lambda step: step[0])
        written = bits.to_bytes(16, "big")[: 16 if bits & _DOUBLE else 8]
        if self.dialect.bitmap_encoding != "b":
            written = written.hex().upper().encode("ascii")
        return written, tuple((str(number), codec.encode) for number, codec in steps)


def _mti_bytes(mti: str, encoding: str) -> bytes:
    return bytes.fromhex(mti) if encoding == "b" else mti.encode("ascii")


def _mac_bytes(dialect: Dialect) -> int:
    """Bytes of the MAC field on the wire; it is fixed and the last one (checked when loaded)."""
    return dialect.fields[dialect.mac.field].max
