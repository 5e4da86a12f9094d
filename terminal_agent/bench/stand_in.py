"""The switch with bank and hospital behind it, as far as a kiosk can tell: answers at once.

What becomes of a payment goes by the patient: P51 has no money, P55 types a wrong PIN the first
time, of P68 nothing is known until it is asked for; everybody else pays. Chips get a true answer of
their issuer and are finished as the switch has it done (docs/kiosk.md).
"""

from collections import OrderedDict
from typing import Any, Final

import msgspec
from msgspec import Struct

from terminal_agent import protocol
from terminal_agent.devices.virtual_card import Print
from terminal_agent.devices.virtual_issuer import VirtualIssuer

KEPT_MAX: Final = 64
"""Payments remembered; a kiosk has one at a time."""
HEARTBEAT_MS: Final = 30_000
BILL: Final = protocol.Bill(bill_id="B1", title="血常规", amount_fen=1234, department="检验科")
_SEQUENCE_DIGITS: Final = 2


class Empty(Struct):
    """A body without anything in it."""


class _Waiting(Struct):
    """A payment whose card is being finished."""

    request: protocol.Envelope
    told: protocol.Told
    finish: protocol.CardFinish


class StandIn:
    """One kiosk's switch."""

    def __init__(self) -> None:
        self.started = 0
        """New payments."""
        self._told: OrderedDict[str, protocol.Told] = OrderedDict()
        self._finishing: dict[str, _Waiting] = {}
        self._answers: dict[str, Any] = {
            protocol.BOOT: lambda _: protocol.BootReply(
                heartbeat_ms=HEARTBEAT_MS, server_ms=0, versions=(1, protocol.VERSION)
            ),
            protocol.HEARTBEAT: lambda _: protocol.HeartbeatReply(server_ms=0),
            protocol.SERVICES: lambda _: protocol.ServicesReply(
                hospital="示范医院", businesses={"outpatient_bill": "门诊缴费"}
            ),
            protocol.PATIENT_QUERY: _patient,
            protocol.BILL_QUERY: lambda _: protocol.BillReply(ok=True, bills=(BILL,)),
            protocol.PIN_PLAN: lambda _: protocol.PinPlanReply(ok=True),
            protocol.DEVICE_STATUS: lambda _: Empty(),
        }

    def heard(self, message: str) -> list[str]:
        """What is said to a request, in order."""
        envelope = protocol.decode_envelope(message)
        body: Any = protocol.decode_request(envelope, envelope.terminal)
        if envelope.name == protocol.PAYMENT_START:
            return self._start(envelope, body)
        if envelope.name == protocol.PAYMENT_QUERY:
            return [_said(envelope, self._asked(envelope.idem))]
        if envelope.name == protocol.CARD_FINISHED:
            return self._finished(envelope, body)
        answer = self._answers.get(envelope.name)
        if answer is None:
            fault = protocol.Fault(code="unknown_name", text="not here")
            return [_said(envelope, fault, name=protocol.ERROR)]
        said = [_said(envelope, answer(body))]
        if envelope.name == protocol.BOOT:
            said += [_event(waiting) for waiting in self._finishing.values()]
        return said

    def _start(self, envelope: protocol.Envelope, body: protocol.PaymentStart) -> list[str]:
        key = envelope.idem
        if key in self._told:
            return [_said(envelope, self._told[key])]
        if key in self._finishing:
            self._finishing[key].request = envelope
            return [_event(self._finishing[key])]
        self.started += 1
        told = _outcome(key, body)
        if told.state != "approved" or body.card is None or body.card.chip is None:
            return [_said(envelope, self._keep(told))]
        card, chip = body.card, body.card.chip
        sequence = card.card_sequence[-_SEQUENCE_DIGITS:]
        issuer = VirtualIssuer(Print(pan=card.pan.reveal(), sequence=sequence))
        code, data = issuer.answer(bytes.fromhex(chip.reveal()))
        finish = protocol.CardFinish(code=code, chip=data.hex().upper())
        self._finishing[key] = _Waiting(envelope, told, finish)
        return [_event(self._finishing[key])]

    def _finished(self, envelope: protocol.Envelope, body: protocol.CardFinished) -> list[str]:
        said = [_said(envelope, Empty())]
        waiting = self._finishing.pop(envelope.idem, None)
        if waiting is not None:
            told = waiting.told
            if body.result != "confirmed":
                told = msgspec.structs.replace(told, state="returned", code="CARD")
            said.append(_said(waiting.request, self._keep(told)))
        return said

    def _asked(self, key: str) -> protocol.Told:
        told = self._told.get(key) or protocol.Told(key=key, state="unknown_key", version=1)
        if key in self._finishing:
            told = msgspec.structs.replace(self._finishing[key].told, state="pending", version=1)
        elif told.state == "pending":
            told = self._keep(msgspec.structs.replace(told, state="approved", version=2))
        return told

    def _keep(self, told: protocol.Told) -> protocol.Told:
        self._told[told.key] = told
        while len(self._told) > KEPT_MAX:
            self._told.popitem(last=False)
        return told


def _outcome(key: str, body: protocol.PaymentStart) -> protocol.Told:
    told = protocol.Told(
        key=key,
        state="approved",
        version=2,
        amount_fen=body.amount_fen,
        receipt={"F37": "012345678901", "masked_pan": "620000******0005", "his_receipt": "R1"},
    )
    if body.patient == "P51":
        return msgspec.structs.replace(told, state="declined", code="51", text="余额不足")
    if body.patient == "P55" and not body.retry_of:
        return msgspec.structs.replace(told, state="declined", code="55", text="密码错误")
    if body.patient == "P68":
        return msgspec.structs.replace(told, state="pending", version=1, receipt={})
    return told


def _patient(query: protocol.PatientQuery) -> protocol.PatientReply:
    found = protocol.Patient(patient_id=query.card_no, name="王小明", card_no=query.card_no)
    return protocol.PatientReply(ok=True, patient=found)


def _said(request: protocol.Envelope, body: Struct, name: str = "") -> str:
    return protocol.encode(
        protocol.Outgoing(
            v=protocol.VERSION,
            id=request.id,
            type="res",
            name=name or request.name,
            ts=0,
            terminal=request.terminal,
            idem=request.idem,
            body=body,
        )
    )


def _event(waiting: _Waiting) -> str:
    return protocol.encode(
        protocol.Outgoing(
            v=protocol.VERSION,
            id="-",
            type="event",
            name=protocol.CARD_FINISH,
            ts=0,
            terminal=waiting.request.terminal,
            idem=waiting.request.idem,
            body=waiting.finish,
        )
    )
