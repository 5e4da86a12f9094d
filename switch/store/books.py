"""The journal as an auditor reads it: every payment's end, and where it may be at a bank."""

from collections import defaultdict

import psycopg2

from switch.audit.compare import BankKey, BookedPayment
from switch.model.operation import Operation
from switch.model.payment import Leg, LegKind, LegState
from switch.store.rows import decode_payment

_PAYMENTS = "SELECT key, state::text, checksum FROM payment ORDER BY born_at"
_IDENTITIES = "SELECT payment_key, merchant, terminal, batch, stan FROM exchange_identity"


def read_books(dsn: str) -> list[BookedPayment]:
    """All payments, oldest first, from one snapshot. Raises ConnectionError when the database is
    away, Corrupt (I1) for a row that is not what was written."""
    try:
        connection = psycopg2.connect(dsn)
    except psycopg2.OperationalError as error:
        raise ConnectionError(str(error).strip()) from None
    try:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with connection.cursor() as cursor:
            cursor.execute(_IDENTITIES)
            at_bank: dict[str, list[BankKey]] = defaultdict(list)
            for key, *identity in cursor:
                at_bank[key].append((identity[0], identity[1], identity[2], identity[3]))
            cursor.execute(_PAYMENTS)
            return [booked(key, text, crc, at_bank) for key, text, crc in cursor]
    except psycopg2.OperationalError as error:
        raise ConnectionError(str(error).strip()) from None
    finally:
        connection.close()


def booked(key: str, state: str, checksum: int, at_bank: dict[str, list[BankKey]]) -> BookedPayment:
    """A row of the journal as the auditor judges it. Raises Corrupt (I1)."""
    payment = decode_payment(key, state, checksum)
    kinds = {leg.kind for leg in payment.legs}
    unbooking = {leg.state for leg in payment.legs if leg.kind is LegKind.UNBOOK}
    return BookedPayment(
        key=key,
        amount_fen=payment.amount_fen,
        rest=str(payment.rest or ""),
        unproven=payment.unproven,
        at_bank=tuple(at_bank.get(key, ())),
        bank_fen=sum(_bank_fen(leg) for leg in payment.legs),
        books=LegKind.BOOK in kinds,
        asks={LegKind.DEBIT, LegKind.BOOK} <= kinds,
        original=payment.original,
        unbooked=LegState.DONE in unbooking,
        unsure=LegState.STUCK in unbooking,
    )


def _bank_fen(leg: Leg) -> int:
    """What a leg that is done leaves at the bank: a pre-authorisation sets aside and takes nothing,
    and neither gives its void anything back."""
    if leg.operation in (Operation.PREAUTH, Operation.PREAUTH_VOID):
        return 0
    if leg.kind is LegKind.CREDIT:
        return -leg.amount_fen
    return leg.amount_fen if leg.kind is LegKind.DEBIT else 0
