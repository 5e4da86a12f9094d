"""How writes travel to the database, and how rows come back: exact bytes and a checksum."""

from zlib import crc32

import msgspec
from msgspec import Raw, Struct

from switch.model.payment import Payment
from switch.ports import CommitResult, Identity, Reserve, Write
from switch.store.errors import Corrupt, WriteRejected

_encoder = msgspec.json.Encoder()
_payment_decoder = msgspec.json.Decoder(Payment)


class WriteRow(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One element of the batch that ``journal_apply`` takes, but for its place in it."""

    no: int
    key: str
    version: int
    hospital: str
    business: str
    terminal: str
    bill: str
    original: str
    patient: str
    amount_fen: int
    request_hash: str
    business_date: str
    stage: str
    rest: str | None
    born_at: int
    deadline_at: int
    checksum: int
    state: Raw
    trail: str
    event: Raw
    identities: list[tuple[str, str, str, str, str, str]] | None = None
    reserve: Reserve | None = None
    release: Reserve | None = None


class LateRow(Struct, frozen=True, kw_only=True):
    """The other kind of element: an answer for whoever drives the payment."""

    no: int
    key: str
    late: str


def identity_tuple(identity: Identity) -> tuple[str, str, str, str, str, str]:
    """In the order of the table's primary key."""
    return (
        identity.bank,
        identity.merchant,
        identity.terminal,
        identity.batch,
        identity.stan,
        identity.business_date,
    )


def trail_of(payment: Payment) -> str:
    """Where ``payment`` stands, for its history: ``forward|debit:done|book:doing``."""
    return "|".join(
        [payment.phase, *[f"{leg.kind.value}:{leg.state.value}" for leg in payment.legs]]
    )


def encode_payment(payment: Payment) -> bytes:
    """The state as the journal keeps it."""
    return _encoder.encode(payment)


def encode_write(write: Write, number: int) -> str:
    """``write`` as JSON without the closing brace's company: ready to be joined into a batch.

    Raises WriteRejected for what no database could take (version below 1, NUL in a text, an event
    that is not JSON).
    """
    payment = write.payment
    if payment.version < 1:
        raise WriteRejected(f"payment version {payment.version}: versions start at 1")
    state = _encoder.encode(payment)
    try:
        msgspec.json.decode(write.event, type=Raw)
    except msgspec.DecodeError as error:
        raise WriteRejected(f"the event is not JSON: {error}") from None
    row = WriteRow(
        no=number,
        key=payment.key,
        version=payment.version,
        hospital=payment.hospital,
        business=payment.business,
        terminal=payment.terminal,
        bill=payment.bill,
        original=payment.original,
        patient=payment.patient,
        amount_fen=payment.amount_fen,
        request_hash=payment.request_hash,
        business_date=payment.business_date,
        stage=payment.stage.value,
        rest=payment.rest.value if payment.rest else None,
        born_at=payment.born_at,
        deadline_at=payment.deadline_at,
        checksum=crc32(state),
        state=Raw(state),
        trail=trail_of(payment),
        event=Raw(write.event),
        identities=[identity_tuple(one) for one in write.identities] or None,
        reserve=write.reserve,
        release=write.release,
    )
    return _as_text(_encoder.encode(row))


def encode_late(key: str, what: bytes, number: int) -> str:
    """A late answer as an element of a batch; WriteRejected when ``what`` is not UTF-8."""
    try:
        text = what.decode()
    except UnicodeDecodeError:
        raise WriteRejected("a late answer is kept as UTF-8 text") from None
    return _as_text(_encoder.encode(LateRow(no=number, key=key, late=text)))


def decode_payment(key: str, state: str, checksum: int) -> Payment:
    """Pair of :func:`encode_write`; Corrupt when the bytes are not those that were written."""
    raw = state.encode()
    if crc32(raw) != checksum:
        raise Corrupt(f"I1: payment {key}: its row does not match its checksum; restore or ask")
    try:
        return _payment_decoder.decode(raw)
    except msgspec.DecodeError as error:
        raise Corrupt(f"payment {key} cannot be read by this version: {error}") from None


def lost(verdict: str, existing: Payment | None) -> CommitResult:
    """The result of a write that changed nothing."""
    return CommitResult(committed=False, existing=existing, reason=verdict)


def _as_text(row: bytes) -> str:
    text = row.decode()
    if "\\u0000" in text:
        raise WriteRejected("a NUL character cannot be kept in the journal")
    return text
