"""One field of a dialect, compiled: text to bytes and back.

The four axes of an encoding (content, data, length prefix, padding) become two closures; the length
prefixes of a field are a table, so that only their plain form is taken. A field that does not fit
is an error with its number and the rule, never with its value (I12).
"""

from binascii import unhexlify
from collections.abc import Callable, Mapping
from re import compile as pattern

from msgspec import Struct

from channels.iso8583.dialect import Content, Encoding, Field
from channels.iso8583.errors import LocalError, RemoteError

Encode = Callable[[str], bytes]
"""Text → length prefix and data. Raises LocalError."""
Decode = Callable[[bytes, int], tuple[str, int]]
"""Body and where the field begins → its text and where it ends. Raises RemoteError."""
_Check = Callable[[str], object]

_HEX = "0123456789ABCDEF"
_MISFIT = "content does not fit the field's type"


def _is_digits(value: str) -> bool:
    return not value or (value.isdigit() and value.isascii())


CHECKS: Mapping[Content, _Check] = {
    Content.DIGITS: _is_digits,
    Content.TRACK: lambda value: not value.strip("0123456789D="),
    Content.ASCII: lambda value: value.isascii() and value.isprintable(),
    Content.TEXT: pattern(r"[^\x00-\x1f\x7f]*").fullmatch,
    Content.BINARY: lambda value: not value.strip(_HEX) and not len(value) & 1,
}
"""What a decoded field may hold."""


class FieldCodec(Struct, frozen=True):
    """Both directions of one field."""

    encode: Encode
    decode: Decode


class _Lengths(Struct, frozen=True):
    """How long a field may be and how its length is written."""

    number: str
    width: int
    """Bytes of the prefix; 0 = fixed."""
    largest: int
    prefixes: tuple[bytes, ...]
    """The prefix of each allowed length; of a fixed field nothing but empty ones."""
    unit: str

    def misfit(self, size: int) -> LocalError:
        """Why a value of this length cannot be sent."""
        allowed = f"at most {self.largest}" if self.width else f"expecting {self.largest}"
        return LocalError(self.number, f"has {size} {self.unit}, {allowed}")

    def unread(self, body: bytes, start: int) -> RemoteError:
        """Why a value cannot be taken from where its length ends."""
        if self.width and len(body) < start:
            return RemoteError(self.number, "its length is cut short")
        return RemoteError(self.number, f"cut short: {max(len(body) - start, 0)} bytes are left")

    def no_length(self) -> RemoteError:
        """A prefix that is not in the table."""
        return RemoteError(
            self.number, f"its length is no number, cut short, or above {self.largest}"
        )


def field_codec(number: str, field: Field, encoding: Encoding) -> FieldCodec:
    """The closures of one field."""
    nibbles = encoding.len_count == "nibbles"
    lengths = _Lengths(
        number,
        encoding.len_type,
        field.max,
        _prefixes(encoding, field.max),
        "digits" if nibbles else "bytes",
    )
    sizes = _sizes(lengths)
    if encoding.data_enc != "b":
        check = CHECKS[encoding.content]
        return FieldCodec(
            _text_encoder(lengths, check, encoding.data_enc),
            _text_decoder(lengths, sizes, check, encoding.data_enc),
        )
    if nibbles:
        return FieldCodec(
            _nibble_encoder(lengths, encoding), _nibble_decoder(lengths, sizes, encoding)
        )
    return FieldCodec(_binary_encoder(lengths), _binary_decoder(lengths, sizes))


def prefix_fits(encoding: Encoding, largest: int) -> bool:
    """Whether a length prefix can say the field's largest length."""
    if not encoding.len_type:
        return True
    base = {"bcd": 100, "b": 256}.get(encoding.len_enc, 10)
    return largest < int(base**encoding.len_type)


def _prefixes(encoding: Encoding, largest: int) -> tuple[bytes, ...]:
    width = encoding.len_type
    if not width:
        return ()
    if encoding.len_enc == "bcd":
        return tuple(unhexlify(f"{size:0{2 * width}d}") for size in range(largest + 1))
    if encoding.len_enc == "b":
        return tuple(size.to_bytes(width, "big") for size in range(largest + 1))
    return tuple(f"{size:0{width}d}".encode(encoding.len_enc) for size in range(largest + 1))


def _sizes(lengths: _Lengths) -> dict[bytes, int]:
    """Prefix → length; what a fixed field has for its prefix is nothing, and means its length."""
    if not lengths.width:
        return {b"": lengths.largest}
    return {prefix: size for size, prefix in enumerate(lengths.prefixes)}


def _prefix_by_size(lengths: _Lengths) -> dict[int, bytes]:
    return {size: prefix for prefix, size in _sizes(lengths).items()}


def _nibble_encoder(lengths: _Lengths, encoding: Encoding) -> Encode:
    number, prefixes, check = lengths.number, _prefix_by_size(lengths), CHECKS[encoding.content]
    left, right = encoding.left_pad, "" if encoding.left_pad else encoding.right_pad

    def encode(value: str) -> bytes:
        size = len(value)
        if not check(value):
            raise LocalError(number, _MISFIT)
        prefix = prefixes.get(size)
        if prefix is None:
            raise lengths.misfit(size)
        try:
            return prefix + unhexlify(left + value + right if size & 1 else value)
        except ValueError:
            raise LocalError(number, "not BCD, or an odd number of digits without a pad") from None

    return encode


def _nibble_decoder(lengths: _Lengths, sizes: dict[bytes, int], encoding: Encoding) -> Decode:
    number, width, check = lengths.number, lengths.width, CHECKS[encoding.content]
    left, right = encoding.left_pad, encoding.right_pad

    def decode(body: bytes, at: int) -> tuple[str, int]:
        start = at + width
        size = sizes.get(body[at:start])
        if size is None:
            raise lengths.no_length()
        end = start + (size + 1 >> 1)
        if len(body) < end:
            raise lengths.unread(body, start)
        value = body[start:end].hex().upper()
        if size & 1:
            if left and value[0] == left:
                value = value[1:]
            elif right and value[-1] == right:
                value = value[:-1]
            else:
                raise RemoteError(number, f"{size} digits are padded with another nibble")
        if not check(value):
            raise RemoteError(number, _MISFIT)
        return value, end

    return decode


def _binary_encoder(lengths: _Lengths) -> Encode:
    number, prefixes = lengths.number, _prefix_by_size(lengths)

    def encode(value: str) -> bytes:
        if value.strip(_HEX):
            raise LocalError(number, _MISFIT)
        try:
            data = unhexlify(value)
        except ValueError:
            raise LocalError(number, "odd number of hexadecimal digits") from None
        prefix = prefixes.get(len(data))
        if prefix is None:
            raise lengths.misfit(len(data))
        return prefix + data

    return encode


def _binary_decoder(lengths: _Lengths, sizes: dict[bytes, int]) -> Decode:
    width = lengths.width

    def decode(body: bytes, at: int) -> tuple[str, int]:
        start = at + width
        size = sizes.get(body[at:start])
        if size is None:
            raise lengths.no_length()
        end = start + size
        if len(body) < end:
            raise lengths.unread(body, start)
        return body[start:end].hex().upper(), end

    return decode


def _text_encoder(lengths: _Lengths, check: _Check, data_enc: str) -> Encode:
    number, prefixes = lengths.number, _prefix_by_size(lengths)

    def encode(value: str) -> bytes:
        if not check(value):
            raise LocalError(number, _MISFIT)
        try:
            data = value.encode(data_enc)
        except UnicodeEncodeError:
            raise LocalError(number, f"a character is not in {data_enc}") from None
        prefix = prefixes.get(len(data))
        if prefix is None:
            raise lengths.misfit(len(data))
        return prefix + data

    return encode


def _text_decoder(
    lengths: _Lengths, sizes: dict[bytes, int], check: _Check, data_enc: str
) -> Decode:
    number, width = lengths.number, lengths.width

    def decode(body: bytes, at: int) -> tuple[str, int]:
        start = at + width
        size = sizes.get(body[at:start])
        if size is None:
            raise lengths.no_length()
        end = start + size
        if len(body) < end:
            raise lengths.unread(body, start)
        try:
            value = body[start:end].decode(data_enc)
        except UnicodeDecodeError:
            raise RemoteError(number, f"is not {data_enc}") from None
        if not check(value):
            raise RemoteError(number, _MISFIT)
        return value, end

    return decode
