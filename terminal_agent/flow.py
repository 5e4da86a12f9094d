"""A patient without a page: one order with everything in it, as the demo and the tests give it.

Identify → choose → card → PIN → pay → slip, one patient at a time. The same tap twice while the
first is being served is one payment and gets the same answer; another wish meanwhile is refused as
busy. What was sent is :mod:`terminal_agent.payments`' matter, and survives this flow.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from terminal_agent import protocol
from terminal_agent.config import AgentConfig
from terminal_agent.desk import Desk, FlowError, card_with
from terminal_agent.devices.interfaces import CardReader, DeviceError, PinPad
from terminal_agent.finisher import Finisher
from terminal_agent.journal import PaymentOrder
from terminal_agent.logs import get_logger
from terminal_agent.planned_pad import PlannedPad

_log = get_logger("flow")

PIN_DIGITS_MIN = 4
PIN_DIGITS_MAX = 12


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


class ScriptedHands:
    """One patient's wish, played with the kiosk's reader and pad."""

    def __init__(
        self,
        config: AgentConfig,
        desk: Desk,
        reader: CardReader,
        pad: PinPad,
        finisher: Finisher,
        *,
        locked: Callable[[], str | None],
    ) -> None:
        """``locked``: what a locked kiosk says to the next patient."""
        self._config = config
        self._locked = locked
        self._desk = desk
        self._reader = reader
        self._pad = pad
        self._planned = PlannedPad(pad, desk)
        self._finisher = finisher
        self._serving: tuple[Wish, list[Deferred[protocol.Told]]] | None = None

    @property
    def serving(self) -> bool:
        """Whether a patient is here."""
        return self._serving is not None

    async def pay(self, wish: Wish) -> protocol.Told:
        """Serve one patient. Raises FlowError; every other end is an answer (PENDING included)."""
        if self._serving is not None:
            served, others = self._serving
            if _tap(served) != _tap(wish):
                raise FlowError("busy", "正在为其他患者服务，请稍候")
            second: Deferred[protocol.Told] = Deferred()
            others.append(second)
            return await second
        text = self._locked()
        if text is not None:
            raise FlowError("locked", text)
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

    async def _serve(self, wish: Wish) -> protocol.Told:
        order = await self._order(wish)
        try:
            card = await self._card(wish)
        except DeviceError as error:
            _log.warning("device", reason=str(error))
            raise FlowError(error.code, "未能读卡或输入密码，请重试") from None
        key = self._desk.open(order)
        if card.chip is not None:
            simulated: Any = self._reader
            self._finisher.await_answer(key, simulated.finish)
        self._desk.send(key, order, card)
        told = await self._desk.outcome(key, self._config.payment.patient_wait_ms)
        await self._reader.move()
        return told

    async def _order(self, wish: Wish) -> PaymentOrder:
        if wish.patient and wish.amount_fen is not None:
            return PaymentOrder(
                business=wish.business,
                amount_fen=wish.amount_fen,
                patient=wish.patient,
                bill=wish.bill,
                retry_of=wish.retry_of,
            )
        patient = await self._desk.patient(wish.patient_card)
        bills = await self._desk.bills(patient.patient_id)
        chosen = [bill for bill in bills if wish.bill in ("", bill.bill_id)]
        if not chosen:
            raise FlowError("no_bill", "没有待缴费账单")
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

    async def _card(self, wish: Wish) -> protocol.Card:
        """Card and PIN from the devices. Raises DeviceError."""
        timeout_ms = self._config.devices.timeout_ms
        hands: Any = self._reader
        fingers: Any = self._pad
        known = hands.insert(wish.card) if wish.card else None
        data = await self._reader.read_raw_data(timeout_ms)
        if wish.pin is not None or known is not None:
            fingers.type(wish.pin or known)
        self._planned.begin(wish.business)
        await self._planned.pin_entry(PIN_DIGITS_MIN, PIN_DIGITS_MAX, timeout_ms, data.pan)
        block = await self._planned.get_pin_block(data.pan)
        return card_with(data, block, self._planned.made_for)


def _tap(wish: Wish) -> bytes:
    """What makes two taps the same wish; the typed digits are no part of it."""
    return msgspec.json.encode(msgspec.structs.replace(wish, pin=None))
