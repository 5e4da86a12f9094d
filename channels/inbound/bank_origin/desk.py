"""What a bank's own kiosks and counters may ask of us (rule 11 of docs/payment-law.md).

The money is the bank's affair: we only book it at the hospital, once, and un-book it when the bank
takes it back. Whatever is not certain is not answered.
"""

from contextlib import suppress

from channels.inbound.answering import Said, said_of
from channels.inbound.bank_origin.config import OriginConfig
from channels.inbound.bank_origin.listing import listed
from channels.inbound.bank_origin.silence import Hearing
from channels.inbound.business_date import whole_date
from channels.inbound.capture import exact_part, part_of
from channels.inbound.numbering import payment_key, reversed_key
from channels.inbound.reception import Arrived
from channels.inbound.reversing import take_back
from channels.inbound.settling import settle
from channels.iso8583.dialogue import Part
from channels.iso8583.message import Message
from channels.iso8583.recognise import (
    ORIGIN_PAY,
    ORIGIN_QUERY,
    REVERSAL,
    SETTLEMENT,
    UPLOAD,
    UPLOAD_END,
)
from switch.model.answer import Answer, AnswerState
from switch.model.secret import masked_pan
from switch.ports import Front, JournalDown, PaymentRequest, Timeline

BUSINESS = "bank_bill"
MEDIUM = "bank_origin"
DEBITS = frozenset({BUSINESS})
_FOR_THE_HOSPITAL = ("11", "15", "37")
"""Fields of the bank's that the hospital notes with the booking."""
_AWAY = frozenset({"his_down", "unsupported", "unknown_function", "timeout", ""})


class OriginDesk:
    """See the module. Implements the door's Desk."""

    money = frozenset({ORIGIN_PAY, REVERSAL})

    def __init__(self, config: OriginConfig, front: Front, timeline: Timeline) -> None:
        self._config = config
        self._front = front
        self._timeline = timeline
        self._dialect = config.read_dialect()
        assert self._dialect.inbound is not None
        assert self._dialect.origin is not None
        self._inbound = self._dialect.inbound
        self._origin = self._dialect.origin
        self._codes = self._inbound.codes
        self._hearing = Hearing(config.batch_payments_limit, stands=self._origin.silence_stands)
        self.told = self._hearing.told

    async def serve(self, arrived: Arrived) -> Said | None:
        """The answer; None: silence."""
        kind = arrived.kind
        if kind == ORIGIN_QUERY:
            return await self._query(arrived)
        if kind == ORIGIN_PAY:
            return await self._pay(arrived)
        if kind == REVERSAL:
            return await self._take_back(arrived)
        if kind == SETTLEMENT:
            limit = self._config.batch_payments_limit
            return await settle(
                self._front, self._dialect, arrived, DEBITS, frozenset(), limit=limit
            )
        if kind in {UPLOAD, UPLOAD_END}:
            return Said(self._codes.approved)
        return Said(self._codes.unsupported)

    async def open_batch(self, arrived: Arrived) -> str:
        """The open one; that F11 begins again each day is a bank's right."""
        return await arrived.station.batch()

    def unheard(self, kind: str, request: Message, said: Said | None) -> None:
        """See the door's Desk: where silence stands, a refusal that nobody heard is one of money
        that the bank keeps."""
        if kind != ORIGIN_PAY or (said is not None and said.code == self._codes.approved):
            return
        where = {"terminal": request.fields.get("41", ""), "stan": request.fields.get("11", "")}
        self._hearing.unheard(certain=said is not None, **where)

    async def _query(self, arrived: Arrived) -> Said:
        """The unpaid bills of whoever has this visit card."""
        hospital = arrived.station.config.hospital
        card = part_of(arrived.fields, self._origin.card)
        if not card:
            return Said(self._codes.format_error)
        patient = await self._front.inquire(hospital, "patient_query", {"card_no": card})
        if not patient.ok:
            return Said(self._not_found(patient.code))
        body = {"patient_id": patient.body["patient_id"]}
        bills = await self._front.inquire(hospital, "bill_query", body)
        if not bills.ok:
            return Said(self._not_found(bills.code))
        listing = self._origin.listing
        text = listed(listing, patient.body, bills.body)
        return Said(self._codes.approved, {listing.field: text})

    def _not_found(self, code: str) -> str:
        return self._codes.unavailable if code in _AWAY else self._codes.original

    async def _pay(self, arrived: Arrived) -> Said | None:
        """Book what the bank has taken. The key is the bank's own numbers: a repeat is the same
        payment, and the hospital is told once (I2)."""
        request = self._request(arrived)
        if request is None:
            return Said(self._codes.format_error)
        against = await self._against(arrived, request.key)
        if against:
            return Said(against)
        self._hearing.asked(request.key)
        said = None
        with suppress(JournalDown):  # it may be booked already: nothing is said
            said = self._said(await self._front.start(request, None))
        if said is None:
            self._hearing.silent(request.key)
        return said

    def _request(self, arrived: Arrived) -> PaymentRequest | None:
        """None: something is missing that the hospital or the journal needs."""
        fields, station = arrived.fields, arrived.station
        date = self._date(arrived, self._origin.date)
        key = payment_key(self._inbound, arrived, date)
        patient = part_of(fields, self._origin.patient)
        bill = part_of(fields, self._origin.bill)
        amount_fen = int(fields.get("4", "0"))
        if not (key and patient and bill and amount_fen):
            return None
        details = {f"F{n}": fields[n] for n in _FOR_THE_HOSPITAL if fields.get(n)}
        if fields.get("2"):
            details["masked_pan"] = masked_pan(fields["2"])
        return PaymentRequest(
            key=key,
            hospital=station.config.hospital,
            business=BUSINESS,
            terminal=station.label,
            amount_fen=amount_fen,
            patient=patient,
            bill=bill,
            medium=MEDIUM,
            business_date=date,
            details=details,
        )

    async def _against(self, arrived: Arrived, key: str) -> str:
        """A batch that is not open takes nothing new; a repeat is answered as before (I7)."""
        station = arrived.station
        if await station.in_batch(exact_part(arrived.fields, self._inbound.batch)):
            return ""
        known = await self._front.payments(station.config.hospital, station.label, key, 1)
        return "" if known else self._codes.sign_on

    async def _take_back(self, arrived: Arrived) -> Said | None:
        """Un-book what the bank gives back, by its numbers and its business date."""
        date = self._date(arrived, self._origin.reversal_date, self._origin.date)
        key = reversed_key(self._inbound, arrived, date)
        if key:
            self._hearing.asked(key)
        return await take_back(self._front, self._inbound, arrived, settled=True, date=date)

    def _date(self, arrived: Arrived, *parts: Part) -> str:
        """The business date (YYYYMMDD) of the first part that has one; "" when none has."""
        today, _ = self._timeline.wall_clock()
        dates = (whole_date(part_of(arrived.fields, part), today) for part in parts)
        return next(filter(None, dates), "")

    def _said(self, answer: Answer) -> Said | None:
        if answer.state is AnswerState.EXCEPTION:
            return None  # nobody knows whether it is booked
        said = said_of(self._dialect, answer, by_a_bank=False)
        receipt = answer.receipt.get("his_receipt", "")
        if said is None or answer.state is not AnswerState.APPROVED:
            return said
        field = self._origin.receipt
        return Said(said.code, {field: receipt} if field and receipt else {})
