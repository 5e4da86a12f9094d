"""Bytes to messages and back, by a dialect: pyiso8583 does the fields, we do the headers.

pyiso8583 accepts much that no bank means (of 60,000 mutated frames 1,705 decoded), so a decoded
message has passed the content check of every field as well; which fields must be there and what
must be echoed is :mod:`channels.iso8583.rules`.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import iso8583

from channels.iso8583.dialect import Content, Dialect, PosHeader, Tpdu
from channels.iso8583.errors import LocalError, RemoteError
from channels.iso8583.message import Message

_TPDU_BYTES = 5
_HEADER_BYTES = 6

_CONTENT: Mapping[Content, Callable[[str], object]] = {
    Content.DIGITS: re.compile(r"[0-9]*").fullmatch,
    Content.TRACK: re.compile(r"[0-9D]*").fullmatch,
    Content.ASCII: re.compile(r"[ -~]*").fullmatch,
    Content.TEXT: re.compile(r"[^\x00-\x1f\x7f]*").fullmatch,
    Content.BINARY: re.compile(r"(?:[0-9A-F]{2})*").fullmatch,
}
_DIGITS = re.compile(r"[0-9]*").fullmatch


class Codec:
    """A dialect made ready: pyiso8583's specification, the headers, the checks."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._mac_field = dialect.mac.field
        self._spec = _specification(dialect)
        self._checks = {
            number: _CONTENT[dialect.encodings[field.like].content]
            for number, field in dialect.fields.items()
        }
        self._lead = _lead_bytes(dialect.tpdu, dialect.header)
        self._mti_known = frozenset(dialect.mtis)

    def encode(self, mti: str, fields: Mapping[str, str]) -> bytes:
        """A whole message without length prefix. Raises LocalError (path and rule, no value)."""
        return self._lead + self._body(mti, fields)

    def answer(self, to: Message, mti: str, fields: Mapping[str, str]) -> bytes:
        """As :meth:`encode`, with the request's headers and its TPDU turned round."""
        tpdu = to.tpdu and Tpdu(
            protocol=to.tpdu.protocol, destination=to.tpdu.source, source=to.tpdu.destination
        )
        return _lead_bytes(tpdu, to.header) + self._body(mti, fields)

    def mab(self, encoded: bytes, mac_chars: int) -> bytes:
        """What the MAC of an encoded message is made over; its MAC is the last ``mac_chars``."""
        return encoded[len(self._lead) : -mac_chars]

    def decode(self, frame: bytes) -> Message:
        """One frame without its length prefix. Raises RemoteError and nothing else."""
        tpdu, header, start = self._headers(frame)
        body = frame[start:]
        try:
            decoded, encoded = iso8583.decode(body, self._spec)
        except iso8583.DecodeError as error:
            # The original carries the whole clear message: it must not be chained (I12).
            raise RemoteError(_path(error.field), error.msg) from None
        except KeyError as error:
            raise RemoteError(str(error.args[0]), "field is not in the dialect") from None
        mti = decoded.pop("t")
        del decoded["p"]
        if mti not in self._mti_known:
            raise RemoteError("mti", "message type is not in the dialect")
        for number, value in decoded.items():
            if not self._checks[number](value):
                raise RemoteError(number, "content does not fit the field's type")
        mab = b""
        if self._mac_field in decoded:
            mab = body[: -len(encoded[self._mac_field]["data"])]
        return Message(mti=mti, fields=decoded, tpdu=tpdu, header=header, mab=mab)

    def _body(self, mti: str, fields: Mapping[str, str]) -> bytes:
        for number, value in fields.items():
            check = self._checks.get(number)
            if check is None:
                raise LocalError(number, "field is not in the dialect")
            if not check(value):
                raise LocalError(number, "content does not fit the field's type")
        try:
            raw, _ = iso8583.encode({"t": mti, **fields}, self._spec)
        except iso8583.EncodeError as error:
            raise LocalError(_path(error.field), error.msg) from None
        return bytes(raw)

    def _headers(self, frame: bytes) -> tuple[Tpdu | None, PosHeader | None, int]:
        tpdu, header, start = None, None, 0
        if self.dialect.tpdu is not None:
            digits = _bcd(frame, 0, _TPDU_BYTES, "tpdu")
            tpdu = Tpdu(protocol=digits[:2], destination=digits[2:6], source=digits[6:])
            start = _TPDU_BYTES
        if self.dialect.header is not None:
            digits = _bcd(frame, start, _HEADER_BYTES, "header")
            header = PosHeader(
                application=digits[:2],
                version=digits[2:4],
                terminal_state=digits[4],
                demand=digits[5],
                minor_version=digits[6:],
            )
            start += _HEADER_BYTES
        return tpdu, header, start


def _bcd(frame: bytes, start: int, size: int, path: str) -> str:
    part = frame[start : start + size]
    digits = part.hex()
    if len(part) != size:
        raise RemoteError(path, f"has {len(part)} bytes, expecting {size}")
    if not _DIGITS(digits):
        raise RemoteError(path, "not BCD digits")
    return digits


def _lead_bytes(tpdu: Tpdu | None, header: PosHeader | None) -> bytes:
    digits = ""
    if tpdu is not None:
        digits += tpdu.protocol + tpdu.destination + tpdu.source
    if header is not None:
        digits += header.application + header.version + header.terminal_state
        digits += header.demand + header.minor_version
    return bytes.fromhex(digits)


def _path(field: str) -> str:
    return {"t": "mti", "p": "bitmap", "1": "bitmap"}.get(field, field)


def _specification(dialect: Dialect) -> dict[str, dict[str, Any]]:
    """The dialect in pyiso8583's terms."""
    spec: dict[str, dict[str, Any]] = {
        "h": {"data_enc": "b", "len_enc": "b", "len_type": 0, "max_len": 0},
        "t": {"data_enc": dialect.mti_encoding, "len_enc": "ascii", "len_type": 0, "max_len": 4},
        "p": {"data_enc": dialect.bitmap_encoding, "len_enc": "b", "len_type": 0, "max_len": 16},
    }
    if dialect.mti_encoding == "b":
        spec["t"]["len_count"] = "nibbles"
    spec["p"]["max_len"] = 8 if dialect.bitmap_encoding == "b" else 16
    if any(int(number) > 64 for number in dialect.fields):
        spec["1"] = spec["p"]
    for number, field in dialect.fields.items():
        encoding = dialect.encodings[field.like]
        spec[number] = {
            "data_enc": encoding.data_enc,
            "len_enc": encoding.len_enc,
            "len_type": encoding.len_type,
            "len_count": encoding.len_count,
            "max_len": field.max,
        }
        if encoding.left_pad:
            spec[number]["left_pad"] = encoding.left_pad
        if encoding.right_pad:
            spec[number]["right_pad"] = encoding.right_pad
    return spec
