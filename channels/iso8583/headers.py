"""What stands before the message type: TPDU, the 6 bytes of POS messages, the 46 of hosts.

A dialect file gives the values of what we send; the same types hold what was received. An answer
turns its request's addresses round.
"""

import re

from msgspec import Struct, structs

from channels.iso8583.dialogue import Strict
from channels.iso8583.errors import RemoteError

_DIGITS = re.compile(r"[0-9]*").fullmatch
_TPDU_BYTES = 5
_POS_BYTES = 6
_CUPS_BYTES = 46
_ACCEPTED = "00000"


class Tpdu(Strict, frozen=True, kw_only=True):
    """``60`` + destination + source, BCD. An answer swaps the two addresses."""

    protocol: str
    destination: str
    source: str


class PosHeader(Strict, frozen=True, kw_only=True, tag="pos", tag_field="kind"):
    """The 6-byte header of POS-style messages, 12 BCD digits."""

    application: str
    """应用类别 n2: 60 magnetic stripe, 61 IC."""
    version: str
    """软件总版本号 n2."""
    terminal_state: str
    """终端状态 n1."""
    demand: str
    """处理要求 n1: in an answer, what the bank wants of us (see ``header_demands``)."""
    minor_version: str
    """软件分版本号 n6."""


class CupsHeader(Strict, frozen=True, kw_only=True, tag="cups", tag_field="kind"):
    """The 46-byte header of host-to-host messages. Its length (2E) and that of the whole message
    are made and checked, not written down."""

    version: str
    """头标识和版本号, 1 byte in hex: 02, or 82 for tests."""
    destination: str
    """目的 ID, up to 11 characters."""
    source: str
    """源 ID, up to 11 characters."""
    reserved: str = "000000"
    """保留使用, 3 bytes in hex."""
    batch: str = "00"
    """批次号, 1 byte in hex."""
    trade: str = "00000000"
    """交易信息, 8 characters."""
    user: str = "00"
    """用户信息, 1 byte in hex."""
    reject_code: str = _ACCEPTED
    """拒绝码, 5 digits: other than zeros, the centre sends our own message back unread."""


Header = PosHeader | CupsHeader


class Lead(Struct, frozen=True):
    """Everything before the message type."""

    tpdu: Tpdu | None
    header: Header | None

    @property
    def answering(self) -> "Lead":
        """The same with the addresses turned round."""
        tpdu, header = self.tpdu, self.header
        if tpdu is not None:
            tpdu = structs.replace(tpdu, destination=tpdu.source, source=tpdu.destination)
        if isinstance(header, CupsHeader):
            header = structs.replace(
                header,
                destination=header.source,
                source=header.destination,
                reject_code=_ACCEPTED,
            )
        return Lead(tpdu, header)

    @property
    def rejected(self) -> str:
        """The code with which a centre refused our message unread; empty: it did not."""
        header = self.header
        if isinstance(header, CupsHeader) and header.reject_code != _ACCEPTED:
            return header.reject_code
        return ""


class LeadWriter:
    """A lead made ready: the bytes before a body of a given size."""

    def __init__(self, lead: Lead) -> None:
        header = lead.header
        self._before = _tpdu_bytes(lead.tpdu)
        self._after = b""
        self._counted = isinstance(header, CupsHeader)
        if isinstance(header, CupsHeader):
            self._before += bytes([_CUPS_BYTES]) + bytes.fromhex(header.version)
            self._after = _cups_rest(header)
        elif header is not None:
            self._before += bytes.fromhex(_pos_digits(header))

    def bytes_before(self, body_bytes: int) -> bytes:
        """What to write before a body of so many bytes (message type … last field)."""
        if not self._counted:
            return self._before
        return self._before + b"%04d" % (_CUPS_BYTES + body_bytes) + self._after


def read_lead(frame: bytes, like: Lead) -> tuple[Lead, int]:
    """What stands before the message type, by the kinds that ``like`` has, and where it ends.

    Raises RemoteError."""
    tpdu: Tpdu | None = None
    header: Header | None = None
    at = 0
    if like.tpdu is not None:
        digits = _bcd(frame, 0, _TPDU_BYTES, "tpdu")
        tpdu = Tpdu(protocol=digits[:2], destination=digits[2:6], source=digits[6:])
        at = _TPDU_BYTES
    if isinstance(like.header, CupsHeader):
        header = _read_cups(frame[at:])
        at += _CUPS_BYTES
    elif like.header is not None:
        digits = _bcd(frame, at, _POS_BYTES, "header")
        header = PosHeader(
            application=digits[:2],
            version=digits[2:4],
            terminal_state=digits[4],
            demand=digits[5],
            minor_version=digits[6:],
        )
        at += _POS_BYTES
    return Lead(tpdu, header), at


def lead_bytes(like: Lead) -> int:
    """How many bytes stand before the message type."""
    header = like.header
    size = _TPDU_BYTES if like.tpdu is not None else 0
    if header is None:
        return size
    return size + (_CUPS_BYTES if isinstance(header, CupsHeader) else _POS_BYTES)


def header_problem(lead: Lead) -> str:
    """Why a dialect's values do not fit their places; empty when they do."""
    try:
        written = LeadWriter(lead).bytes_before(0)
        again, _ = read_lead(written, lead)
    except (ValueError, RemoteError) as error:
        return f"a value does not fit its place ({type(error).__name__})"
    return "" if again == lead else "a value does not fit its place"


def _tpdu_bytes(tpdu: Tpdu | None) -> bytes:
    if tpdu is None:
        return b""
    return bytes.fromhex(tpdu.protocol + tpdu.destination + tpdu.source)


def _pos_digits(header: PosHeader) -> str:
    return (
        header.application
        + header.version
        + header.terminal_state
        + header.demand
        + header.minor_version
    )


def _cups_rest(header: CupsHeader) -> bytes:
    """From 目的 ID to 拒绝码."""
    return b"".join(
        [
            header.destination.ljust(11).encode("ascii"),
            header.source.ljust(11).encode("ascii"),
            bytes.fromhex(header.reserved),
            bytes.fromhex(header.batch),
            header.trade.encode("ascii"),
            bytes.fromhex(header.user),
            header.reject_code.encode("ascii"),
        ]
    )


def _read_cups(frame: bytes) -> CupsHeader:
    part = frame[:_CUPS_BYTES]
    if len(part) != _CUPS_BYTES:
        raise RemoteError("header", f"has {len(part)} bytes, expecting {_CUPS_BYTES}")
    if part[0] != _CUPS_BYTES:
        raise RemoteError("header", "its first byte is not 2E: not a header of 46 bytes")
    if part[2:6] != b"%04d" % len(frame):
        raise RemoteError("header", f"says another length than the {len(frame)} bytes that came")
    try:
        texts = [part[a:b].decode("ascii") for a, b in ((6, 17), (17, 28), (32, 40), (41, 46))]
    except UnicodeDecodeError:
        raise RemoteError("header", "holds characters that are not ASCII") from None
    if not all(text.isprintable() for text in texts) or not _DIGITS(texts[3]):
        raise RemoteError("header", "holds characters that do not fit their place")
    return CupsHeader(
        version=part[1:2].hex().upper(),
        destination=texts[0].rstrip(),
        source=texts[1].rstrip(),
        reserved=part[28:31].hex().upper(),
        batch=part[31:32].hex().upper(),
        trade=texts[2],
        user=part[40:41].hex().upper(),
        reject_code=texts[3],
    )


def _bcd(frame: bytes, start: int, size: int, path: str) -> str:
    part = frame[start : start + size]
    digits = part.hex()
    if len(part) != size:
        raise RemoteError(path, f"has {len(part)} bytes, expecting {size}")
    if not _DIGITS(digits):
        raise RemoteError(path, "not BCD digits")
    return digits
