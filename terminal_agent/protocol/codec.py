"""Text to values and back. Every error names field and rule, never the value (I12)."""

import re
from typing import TypeVar

import msgspec
from msgspec import Struct

from terminal_agent.protocol.messages import (
    KEYED,
    MESSAGE_BYTES_MAX,
    OLDEST_VERSION,
    REQUESTS,
    VERSION,
    Envelope,
    Fault,
    Outgoing,
)
from terminal_agent.protocol.secrets import Opaque


class ProtocolError(ValueError):
    """The peer broke the protocol; carries the :class:`Fault` to answer with."""

    def __init__(self, code: str, text: str, field: str = "", request_id: str = "") -> None:
        super().__init__(f"{code}: {field + ': ' if field else ''}{text}")
        self.fault = Fault(code=code, text=text, field=field)
        self.request_id = request_id


def _dec_hook(kind: type, value: object) -> object:
    if issubclass(kind, Opaque):
        if not isinstance(value, str):
            raise ValueError(kind.RULE)  # noqa: TRY004 - msgspec reports ValueError with its path
        return kind(value)
    raise NotImplementedError(kind.__name__)


def _enc_hook(value: object) -> object:
    if isinstance(value, Opaque):
        return value.reveal()
    raise NotImplementedError(type(value).__name__)


class _Tomorrows(Envelope, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """An envelope with fields that this version does not know."""


_ENVELOPE = msgspec.json.Decoder(Envelope)
_TOLD = msgspec.json.Decoder(_Tomorrows)
_ENCODER = msgspec.json.Encoder(enc_hook=_enc_hook)
_REQUESTS = {
    name: msgspec.json.Decoder(kind, dec_hook=_dec_hook) for name, kind in REQUESTS.items()
}
_AT = re.compile(r"^(?P<rule>.*?)(?: - at `\$\.?(?P<path>.*)`)?$", re.DOTALL)
_QUOTED = re.compile(r"Invalid enum value .*|Object contains unknown field .*", re.DOTALL)
_SAFE_PATH = re.compile(r"[a-z0-9_.\[\]]{0,64}")

S = TypeVar("S", bound=Struct)
E = TypeVar("E", bound=Envelope)


def fault_of(error: msgspec.DecodeError, whole: str) -> tuple[str, str]:
    """(rule, field path) of a decoding error, without anything the peer wrote (I12)."""
    match = _AT.match(str(error))
    rule = match["rule"] if match else "not readable"
    path = (match["path"] or "") if match else ""
    if not isinstance(error, msgspec.ValidationError):
        return "not JSON", whole
    if _QUOTED.match(rule):
        rule = "an unknown field or value"
    if _SAFE_PATH.fullmatch(path) is None:
        path = whole
    return rule, path or whole


def decode_envelope(message: str | bytes, bytes_max: int = MESSAGE_BYTES_MAX) -> Envelope:
    """Read the envelope of one message. Raises ProtocolError for anything else.

    >>> decode_envelope('{"v":1,"id":"1","type":"req","name":"Services","ts":0,"terminal":"K1"}').id
    '1'
    >>> decode_envelope("[]")
    Traceback (most recent call last):
    terminal_agent.protocol.ProtocolError: bad_message: envelope: Expected `object`, got `array`
    """
    return _envelope(_ENVELOPE, message, bytes_max)


def decode_told(message: str | bytes, bytes_max: int = MESSAGE_BYTES_MAX) -> Envelope:
    """The same at the terminal, where fields that a newer switch adds are tolerated."""
    return _envelope(_TOLD, message, bytes_max)


def _envelope(decoder: "msgspec.json.Decoder[E]", message: str | bytes, bytes_max: int) -> E:
    if len(message) > bytes_max:
        raise ProtocolError("bad_message", f"larger than {bytes_max} bytes", "envelope")
    try:
        return decoder.decode(message)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        if not isinstance(error, msgspec.DecodeError):
            raise ProtocolError("bad_message", "not JSON", "envelope") from None
        rule, path = fault_of(error, "envelope")
        raise ProtocolError("bad_message", rule, path) from None


def decode_request(envelope: Envelope, terminal: str) -> Struct:
    """The typed body of a request from ``terminal``, whom its certificate names.

    Raises ProtocolError naming field and rule."""
    if envelope.terminal != terminal:
        rule = "is not the certificate's terminal"
        raise ProtocolError("terminal", rule, "terminal", envelope.id)
    if not OLDEST_VERSION <= envelope.v <= VERSION:
        rule = f"must be from {OLDEST_VERSION} to {VERSION}"
        raise ProtocolError("version", rule, "v", envelope.id)
    decoder = _REQUESTS.get(envelope.name)
    if envelope.type != "req" or decoder is None:
        raise ProtocolError("unknown_name", "not a request this side knows", "name", envelope.id)
    if envelope.name in KEYED and not envelope.idem.startswith(envelope.terminal + "-"):
        rule = "must be the terminal's id, the business date and a counter"
        raise ProtocolError("idem", rule, "idem", envelope.id)
    try:
        return decoder.decode(envelope.body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        rule, path = "not JSON", "body"
        if isinstance(error, msgspec.DecodeError):
            rule, path = fault_of(error, "body")
        raise ProtocolError("bad_field", rule, path, envelope.id) from None


def decode_reply(envelope: Envelope, kind: type[S]) -> S:
    """The typed body of an answer or event. Raises ProtocolError."""
    try:
        return msgspec.json.decode(envelope.body, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        rule, path = "not JSON", "body"
        if isinstance(error, msgspec.DecodeError):
            rule, path = fault_of(error, "body")
        raise ProtocolError("bad_field", rule, path, envelope.id) from None


def encode(message: Outgoing) -> str:
    """One message as text, card secrets in the clear: it goes into the TLS link, nowhere else."""
    return _ENCODER.encode(message).decode()


def payment_key(terminal: str, business_date: str, counter: int) -> str:
    """The key of a payment: unique for ever, made by its terminal.

    >>> payment_key("KIOSK001", "20260301", 42)
    'KIOSK001-20260301-000042'
    """
    return f"{terminal}-{business_date}-{counter:06d}"
