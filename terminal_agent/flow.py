"""A patient at the kiosk: identify → choose → card → PIN → pay → slip.

One patient at a time. The same tap twice while the first is being served is one payment and gets
the same answer; another wish meanwhile is refused as busy. The flow holds no money: what was sent
is :mod:`terminal_agent.payments`' matter, and survives this flow.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from terminal_agent import protocol
from terminal_agent.config import AgentConfig
from terminal_agent.crash import crash_point
from terminal_agent.devices.interfaces import CardData, CardReader, DeviceError, PinPad, Printer
from terminal_agent.journal import Journal, PaymentOrder
from terminal_agent.link import Late, Link, Lost, Refused
from terminal_agent.logs import get_logger
from terminal_agent.payments import Payments
from terminal_agent.receipt import slip

_log = get_logger("flow")

PIN_DIGITS_MIN = 4
PIN_DIGITS_MAX = 12
SLIP_STATES = frozenset({"approved", "returned", "exception"})
"""Answers that the patient takes home on paper."""


class FlowError(Exception):
    """The patient cannot go on; ``text`` is for the screen. No money has moved."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


class Wish(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the patient chose on the screen, and (simulated devices only) what the hands do."""

    business: protocol.Name
    patient_card: protocol.ShortText = ""
    """Visit card to look the patient up with."""
    bill: protocol.ShortText = ""
    """Empty: the first unpaid bill."""
    patient: protocol.ShortText = ""
    """Together with ``amount_fen``: known already, nothing is looked up."""
    amount_fen: protocol.AmountFen | None = None
    retry_of: protocol.ShortText = ""
    card: protocol.ShortText = ""
    """Test card to insert."""
    pin: protocol.Opaque | None = None
    """Digits to type instead of the test card's own."""


class Kiosk:
    """Devices, journal and payments, played together."""

    def __init__(
        self,
        config: AgentConfig,
        journal: Journal,
        *,
        reader: CardReader,
        pad: PinPad,
        printer: Printer,
        now_ms: Callable[[], int],
        today: Callable[[], str],
    ) -> None:
        self._config = config
        self._journal = journal
        self._reader = reader
        self._pad = pad
        self._printer = printer
        self._now_ms = now_ms
        self._today = today
        self._reprint: set[str] = set()
        self._serving: tuple[Wish, list[Deferred[protocol.Told]]] | None = None
        self.link: Link
        self.payments: Payments

    async def pay(self, wish: Wish) -> protocol.Told:
        """Serve one patient. Raises FlowError; every other end is an answer (PENDING included)."""
        if self._serving is not None:
            served, others = self._serving
            if _tap(served) != _tap(wish):
                raise FlowError("busy", "正在为其他患者服务，请稍候")
            second: Deferred[protocol.Told] = Deferred()
            others.append(second)
            return await second
        waiting: list[Deferred[protocol.Told]] = []
        self._serving = (wish, waiting)
        try:
            told = await self._serve(wish)
        except FlowError as error:
            self._serving = None
            for tap in waiting:
                tap.errback(Failure(error))
            raise
        finally:
            self._serving = None
        for tap in waiting:
            tap.callback(told)
        return told

    def answered(self, told: protocol.Told) -> None:
        """News of a payment, journaled: the slip follows, whoever waits or not."""
        _log.info(
            "payment_told", key=told.key, state=told.state, version=told.version, code=told.code
        )
        entry = self._journal.get(told.key)
        if told.state in SLIP_STATES and entry is not None and entry.slip:
            crash_point("K10 told, not printed")
            Deferred.fromCoroutine(self.print_slip(told.key)).addErrback(self._unprinted)

    async def print_slip(self, key: str) -> None:
        """Print; a second time, or after a restart, with 重打印 on it. Raises DeviceError,
        KeyError."""
        await self._printer.print_raw(key, self.slip_text(key))
        self._journal.printed(key)

    def slip_text(self, key: str, *, copy: bool | None = None) -> str:
        """The slip as it would print now. Raises KeyError."""
        entry = self._journal.get(key)
        if entry is None:
            raise KeyError(key)
        receipt = self._config.receipt
        return slip(
            entry,
            hospital_name=receipt.hospital_name,
            terminal=self._config.terminal,
            columns=receipt.columns,
            copy=entry.copies > 0 or key in self._reprint if copy is None else copy,
        )

    def devices(self) -> dict[str, str]:
        """Role → status, for ``/health``."""
        return {
            "card_reader": self._reader.status(),
            "pin_pad": self._pad.status(),
            "printer": self._printer.status(),
        }

    def recover(self) -> None:
        """After a restart: slips that may not have come out are printed again, marked, since
        nobody knows whether they did (K10). Open outcomes are asked for by Payments."""
        self._reprint.update(self._journal.unprinted_keys())
        for key in sorted(self._reprint):
            Deferred.fromCoroutine(self.print_slip(key)).addErrback(self._unprinted)

    # ---- the steps -------------------------------------------------------------------------------

    async def _serve(self, wish: Wish) -> protocol.Told:
        order = await self._order(wish)
        try:
            card = await self._card(wish)
        except DeviceError as error:
            _log.warning("device", reason=str(error))
            raise FlowError(str(error.completion), "未能读卡或输入密码，请重试") from None
        (key,) = self._journal.create([order], self._today(), self._now_ms())
        crash_point("T1 key assigned, not sent")
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
        told = await self.payments.outcome(key, self._config.payment.patient_wait_ms)
        await self._reader.move()
        return told or protocol.Told(key=key, state="pending", amount_fen=order.amount_fen)

    async def _order(self, wish: Wish) -> PaymentOrder:
        if wish.patient and wish.amount_fen is not None:
            return PaymentOrder(
                business=wish.business,
                amount_fen=wish.amount_fen,
                patient=wish.patient,
                bill=wish.bill,
                retry_of=wish.retry_of,
            )
        found = protocol.decode_reply(
            await self._ask(
                protocol.PATIENT_QUERY, protocol.PatientQuery(card_no=wish.patient_card)
            ),
            protocol.PatientReply,
        )
        if not found.ok or found.patient is None:
            raise FlowError(found.code or "no_patient", found.text or "未找到患者")
        patient = found.patient
        bills = protocol.decode_reply(
            await self._ask(protocol.BILL_QUERY, protocol.BillQuery(patient_id=patient.patient_id)),
            protocol.BillReply,
        )
        chosen = [bill for bill in bills.bills if wish.bill in ("", bill.bill_id)]
        if not bills.ok or not chosen:
            raise FlowError(bills.code or "no_bill", bills.text or "没有待缴费账单")
        bill = chosen[0]
        return PaymentOrder(
            business=wish.business,
            amount_fen=bill.amount_fen,
            patient=patient.patient_id,
            bill=bill.bill_id,
            patient_name=patient.name,
            title=bill.title,
            retry_of=wish.retry_of,
        )

    async def _ask(self, name: str, body: Struct) -> protocol.Envelope:
        try:
            return await self.link.request(name, body)
        except (Lost, Late):
            raise FlowError("offline", "暂停服务，请稍候") from None
        except Refused as refused:
            raise FlowError(refused.fault.code, refused.fault.text) from None

    async def _card(self, wish: Wish) -> protocol.Card:
        """Card and PIN from the devices. Raises DeviceError."""
        timeout_ms = self._config.devices.timeout_ms
        hands: Any = self._reader
        fingers: Any = self._pad
        known = hands.insert(wish.card) if wish.card else None
        data = await self._reader.read_raw_data(timeout_ms)
        if wish.pin is not None or known is not None:
            fingers.type(wish.pin or known)
        await self._pad.pin_entry(PIN_DIGITS_MIN, PIN_DIGITS_MAX, timeout_ms, data.pan)
        block = await self._pad.get_pin_block(data.pan)
        return card_with(data, block)

    def _unprinted(self, failure: Failure) -> None:
        """The printer is out: the journal knows, and the attendant reprints by key."""
        failure.trap(DeviceError)
        _log.warning("slip_not_printed", reason=str(failure.value))

    def _broken(self, failure: Failure, key: str) -> None:
        """Named boundary: whatever failed here, the payment is asked for by its key."""
        _log.error("payment_flow_failed", key=key, exc_info=failure.value)


def card_with(data: CardData, block: protocol.PinBlock) -> protocol.Card:
    """What is sent of a card: as it was read, plus the pad's cryptogram."""
    return protocol.Card(
        pan=data.pan,
        track2=data.track2,
        expiry=data.expiry,
        entry_mode=data.entry_mode,
        card_sequence=data.card_sequence,
        pin_block=block,
        chip=data.chip,
    )


def _tap(wish: Wish) -> bytes:
    """What makes two taps the same wish; the typed digits are no part of it."""
    return msgspec.json.encode(msgspec.structs.replace(wish, pin=None))
