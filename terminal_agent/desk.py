"""The counter behind the kiosk: what is asked of the hospital, and payments as orders.

The same for the page's patients and for scripted hands. It holds no money: what was sent is
:mod:`terminal_agent.payments`' matter.
"""

from collections.abc import Callable

from msgspec import Struct, structs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from terminal_agent import protocol
from terminal_agent.crash import crash_point
from terminal_agent.devices.interfaces import CardData
from terminal_agent.journal import Journal, PaymentOrder
from terminal_agent.link import Late, Link, Lost, Refused
from terminal_agent.logs import get_logger
from terminal_agent.payments import Payments

_log = get_logger("desk")

_SAID = protocol.AGAIN | {"bad_field"}
"""Faults that the patient can do something about: come again, show something else."""


class FlowError(Exception):
    """The patient cannot go on; ``text`` is for the screen. No money has moved."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


class Desk:
    """Inquiries and orders. ``link`` and ``payments`` are set by the composition root."""

    def __init__(
        self, journal: Journal, *, now_ms: Callable[[], int], today: Callable[[], str]
    ) -> None:
        self._journal = journal
        self._now_ms = now_ms
        self._today = today
        self.link: Link
        self.payments: Payments

    # ---- inquiries: each raises FlowError --------------------------------------------------------

    async def services(self) -> protocol.ServicesReply:
        """What the switch serves here."""
        reply = await self._ask(protocol.SERVICES, protocol.Services())
        return protocol.decode_reply(reply, protocol.ServicesReply)

    async def patient(self, card_no: str, card_type: str = "visit") -> protocol.Patient:
        """Who this medium belongs to."""
        query = protocol.PatientQuery(card_no=card_no, card_type=card_type)
        found = protocol.decode_reply(
            await self._ask(protocol.PATIENT_QUERY, query), protocol.PatientReply
        )
        if not found.ok or found.patient is None:
            raise FlowError(found.code or "no_patient", found.text or "未找到患者")
        return found.patient

    async def bills(self, patient_id: str) -> tuple[protocol.Bill, ...]:
        """What the patient has to pay; none is no error."""
        query = protocol.BillQuery(patient_id=patient_id)
        reply = protocol.decode_reply(
            await self._ask(protocol.BILL_QUERY, query), protocol.BillReply
        )
        if not reply.ok:
            raise FlowError(reply.code or "no_bill", reply.text or "没有待缴费账单")
        return reply.bills

    async def choices(self, query: protocol.ChoiceQuery) -> tuple[protocol.Choice, ...]:
        """What may be chosen at a step of a business."""
        reply = protocol.decode_reply(
            await self._ask(protocol.CHOICE_QUERY, query), protocol.ChoiceReply
        )
        if not reply.ok:
            raise FlowError(reply.code or "no_choice", reply.text or "暂时没有可选的项目")
        return reply.choices

    async def pin_plan(self, business: str, pan: protocol.Pan) -> protocol.PinPlanReply:
        """By whose key the pad shall make the PIN block of this card."""
        beginning = protocol.Bin(pan.reveal()[: protocol.Bin.DIGITS_MAX])
        query = protocol.PinPlan(business=business, bin=beginning)
        plan = protocol.decode_reply(
            await self._ask(protocol.PIN_PLAN, query), protocol.PinPlanReply
        )
        if not plan.ok:
            raise FlowError("unavailable", plan.text)
        return plan

    # ---- payments --------------------------------------------------------------------------------

    def open(self, order: PaymentOrder) -> str:
        """A key for ``order``, durable before anything is sent (I7, I8)."""
        (key,) = self._journal.create([order], self._today(), self._now_ms())
        crash_point("T1 key assigned, not sent")
        return key

    def send(self, key: str, order: PaymentOrder, card: protocol.Card) -> None:
        """Begin to pay; the end comes as news, and by :meth:`outcome`."""
        details = {"patient_name": order.patient_name, "title": order.title}
        body = protocol.PaymentStart(
            business=order.business,
            amount_fen=order.amount_fen,
            patient=order.patient,
            bill=order.bill,
            retry_of=order.retry_of,
            details={name: value for name, value in details.items() if value},
            card=card,
        )
        Deferred.fromCoroutine(self.payments.pay(key, body)).addErrback(self._broken, key)

    async def outcome(self, key: str, wait_ms: int) -> protocol.Told:
        """The end, or PENDING when nobody should wait any longer."""
        told = await self.payments.outcome(key, wait_ms)
        return told if told is not None else self.known(key)

    def known(self, key: str) -> protocol.Told:
        """What the journal knows of a payment's end: PENDING when that is nothing."""
        entry = self._journal.get(key)
        if entry is not None and entry.told is not None:
            return entry.told
        amount_fen = entry.order.amount_fen if entry else 0
        return protocol.Told(key=key, state="pending", amount_fen=amount_fen)

    async def _ask(self, name: str, body: Struct) -> protocol.Envelope:
        try:
            return await self.link.request(name, body)
        except (Lost, Late):
            raise FlowError("offline", "暂停服务，请稍候") from None
        except Refused as refused:
            # Its sentence is for engineers: the patient reads a word of ours.
            _log.warning("not_answered", name=name, reason=str(refused))
            code = refused.fault.code
            raise FlowError(code if code in _SAID else "unavailable", "") from None

    def _broken(self, failure: Failure, key: str) -> None:
        """Named boundary: whatever failed here, the payment is asked for by its key."""
        _log.error("payment_flow_failed", key=key, exc_info=failure.value)


def card_with(
    data: CardData, block: protocol.PinBlock | None, made_for: protocol.PinFor | None
) -> protocol.Card:
    """What is sent of a card: as it was read, plus the pad's cryptogram and whose key it is
    under."""
    named = None if made_for is None else protocol.PinMadeFor(**structs.asdict(made_for))
    return protocol.Card(
        pan=data.pan,
        track2=data.track2,
        expiry=data.expiry,
        entry_mode=data.entry_mode,
        card_sequence=data.card_sequence,
        pin_block=block,
        pin_for=named,
        chip=data.chip,
    )
