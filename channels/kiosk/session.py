"""One terminal's link: requests in, answers and events out.

Rules
- The certificate says who speaks; an envelope naming another terminal ends the link.
- A request is checked whole before the engine hears of it. A refusal names field and rule (I12).
- A payment's answer goes out once: with the ``res`` while its request is open, as an event after
  that. A lost event is no loss: the terminal asks again by its key (I7).
- Bounded (I11): open requests, message bytes (the guard), bytes waiting for a slow reader.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, cast

from msgspec import Struct, to_builtins
from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from twisted.web.websocket import WebSocketTransport
from wsproto.utilities import LocalProtocolError
from zope.interface import implementer

from channels.kiosk.config import KioskConfig
from channels.kiosk.finisher import SINCE_VERSION, Finisher
from channels.kiosk.guard import Guard
from channels.kiosk.management import Management
from channels.kiosk.registry import Terminal
from channels.kiosk.requests import (
    Handler,
    Heading,
    card_secrets,
    check_business,
    offers,
    payment_request,
    pin_planned,
)
from switch.model.answer import Answer
from switch.model.outcome import Millis
from switch.observe import metrics
from switch.observe.logs import get_logger
from switch.ports import Cancellable, Front, InquiryReply, JournalDown, Timeline
from terminal_agent import protocol

_log = get_logger("kiosk")

CLOSE_POLICY = 1008
CLOSE_UNSUPPORTED = 1003
CLOSE_TOO_BIG = 1009
CLOSE_REPLACED = 4001
"""The same terminal connected anew; the newer link is the live one."""


@implementer(IPushProducer)
class Session:
    """One WebSocket; conforms to Twisted's WebSocketProtocol."""

    _transport: WebSocketTransport

    def __init__(
        self,
        record: Terminal,
        serial: str,
        guard: Guard,
        *,
        certificate_ends_at: int,
        config: KioskConfig,
        front: Front,
        management: Management,
        finisher: Finisher,
        timeline: Timeline,
        gone: Callable[["Session"], None],
    ) -> None:
        self.record = record
        self.serial = serial
        self.certificate_ends_at = certificate_ends_at
        self._guard = guard
        self._config = config
        self._front = front
        self._finisher = finisher
        self.version = 0
        """Protocol version that the kiosk booted with; 0: not booted on this link yet."""
        self._timeline = timeline
        self._gone = gone
        self._offered = offers(config.businesses, record)
        self._open = 0
        self._starting: dict[str, Answer | None] = {}
        self._waiting: deque[str] = deque()
        self._waiting_bytes = 0
        self._paused = False
        self._closed = False
        self._heard_at = timeline.now_ms()
        self._silence: Cancellable | None = None
        self._unwatch: Callable[[], None] | None = None
        self._attended = management.attend(self)
        self._handlers: Mapping[str, Handler] = {
            **self._attended.handlers,
            protocol.BOOT: self._boot,
            protocol.SERVICES: self._services,
            protocol.PATIENT_QUERY: self._patient_query,
            protocol.BILL_QUERY: self._bill_query,
            protocol.CHOICE_QUERY: self._choice_query,
            protocol.BALANCE_QUERY: self._balance_query,
            protocol.PIN_PLAN: self._pin_plan,
            protocol.PAYMENT_START: self._payment_start,
            protocol.PAYMENT_QUERY: self._payment_query,
            protocol.CARD_FINISHED: self._card_finished,
        }

    # ---- Twisted's WebSocketProtocol -------------------------------------------------------------

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        """The upgrade was accepted; take over the transport's flow control from HTTP."""
        self._transport = transport

    def negotiationFinished(self) -> None:
        """The link stands."""
        self._guard.established(self)
        self._transport.detachProducer()
        self._transport.attachProducer(self)
        self._unwatch = self._front.watch(self.record.terminal, self._tell)
        self._watch_silence()

    def textMessageReceived(self, message: str) -> None:
        """One envelope."""
        if self._closed:
            return
        self._guard.message_ended()
        if len(message) > self._config.message_bytes_max:
            self.oversize()
            return
        self._heard_at = self._timeline.now_ms()
        try:
            envelope = protocol.decode_envelope(message, self._config.message_bytes_max)
            body = protocol.decode_request(envelope, self.record.terminal)
        except protocol.ProtocolError as error:
            self._fault(error.request_id, error.fault)
            if error.fault.code == "terminal":
                self.close(CLOSE_POLICY)
            return
        # A finished card is what open payments wait for, so it is never one too many.
        finished = envelope.name == protocol.CARD_FINISHED
        if self._open >= self._config.in_flight_max and not finished:
            text = f"more than {self._config.in_flight_max} requests open"
            self._fault(envelope.id, protocol.Fault(code="busy", text=text))
            return
        self._open += 1
        heading = Heading(envelope.id, envelope.name, envelope.idem, envelope.v)
        Deferred.fromCoroutine(self._serve(heading, body)).addErrback(self._broken, heading)

    def bytesMessageReceived(self, data: bytes | bytearray) -> None:
        """Binary messages are no part of the protocol."""
        self.close(CLOSE_UNSUPPORTED)

    def pongReceived(self, payload: bytes) -> None:
        """We send no pings: the terminal's heartbeat is the sign of life."""

    def connectionLost(self, reason: Failure) -> None:
        """The link is gone; payments go on, and the terminal asks when it is back."""
        self._closed = True
        if self._silence is not None:
            self._silence.cancel()
        if self._unwatch is not None:
            self._unwatch()
        self._waiting.clear()
        self._attended.gone()
        self._gone(self)

    # ---- the guard and the front -----------------------------------------------------------------

    def oversize(self) -> None:
        """A message above the limit: nothing of it is read."""
        metrics.TERMINALS_REFUSED.labels("oversize").inc()
        self.close(CLOSE_TOO_BIG)

    def close(self, code: int) -> None:
        """Say why and go."""
        if self._closed:
            return
        self._closed = True
        _log.info("terminal_closed", terminal=self.record.terminal, code=code)
        self._guard.closing()
        try:
            cast(Any, self._transport).loseConnection(code)
        except LocalProtocolError:
            # The peer's own close (or its garbage) ended the WebSocket before its socket.
            self._guard.abort()

    # ---- flow control (IPushProducer) ------------------------------------------------------------

    def pauseProducing(self) -> None:
        """The terminal does not read fast enough: keep what comes, within the limit."""
        self._paused = True

    def resumeProducing(self) -> None:
        """It reads again."""
        self._paused = False
        while self._waiting and not self._paused:
            message = self._waiting.popleft()
            self._waiting_bytes -= len(message)
            self._write(message)

    def stopProducing(self) -> None:
        """The transport is gone; connectionLost follows."""
        self._paused = True

    # ---- requests --------------------------------------------------------------------------------

    async def _serve(self, heading: Heading, body: Struct) -> None:
        serving = self._handlers[heading.name](heading, body)
        del body  # I12: a payment may wait long for its end; its card data does not wait with it
        try:
            reply = await serving
        except protocol.ProtocolError as error:
            self._fault(heading.id, error.fault)
            return
        except JournalDown:
            text = "the switch cannot take it now; send the same again"
            self._fault(heading.id, protocol.Fault(code="unavailable", text=text))
            return
        finally:
            self._open -= 1
        self._send("res", heading.name, heading.id, heading.idem, reply)

    async def _boot(self, heading: Heading, body: protocol.Boot) -> object:
        self.version = min(heading.version, body.versions[1])
        return await self._attended.handlers[protocol.BOOT](heading, body)

    async def _services(self, _heading: Heading, _body: Struct) -> object:
        return protocol.ServicesReply(hospital=self.record.hospital, businesses=self._offered)

    async def _patient_query(self, _heading: Heading, body: protocol.PatientQuery) -> object:
        asked = {"card_no": body.card_no, "card_type": body.card_type}
        reply = await self._front.inquire(self.record.hospital, "patient_query", asked)
        return _inquired(reply, "patient")

    async def _bill_query(self, _heading: Heading, body: protocol.BillQuery) -> object:
        asked = {"patient_id": body.patient_id}
        reply = await self._front.inquire(self.record.hospital, "bill_query", asked)
        return _inquired(reply, "bills")

    async def _choice_query(self, _heading: Heading, body: protocol.ChoiceQuery) -> object:
        asked = to_builtins(body)
        reply = await self._front.inquire(self.record.hospital, "choices", asked)
        return _inquired(reply, "choices")

    async def _balance_query(self, heading: Heading, body: protocol.BalanceQuery) -> object:
        check_business(body.business, self._offered, heading.id)
        secrets = card_secrets(body.card, self.record, heading.id)
        reply = await self._front.balance(self.record.hospital, body.business, secrets)
        balance = reply.body.get("balance_fen", 0) if reply.ok else 0
        return protocol.BalanceReply(
            ok=reply.ok, code=reply.code, text=reply.text, balance_fen=balance
        )

    async def _pin_plan(self, heading: Heading, body: protocol.PinPlan) -> object:
        check_business(body.business, self._offered, heading.id)
        record, beginning = self.record, body.bin.reveal()
        plan = await self._front.pin_plan(
            record.hospital, record.terminal, body.business, body.medium, beginning
        )
        return pin_planned(plan)

    async def _payment_start(self, heading: Heading, body: protocol.PaymentStart) -> Answer:
        request = payment_request(heading, body, self.record, self._offered)
        if self.version >= SINCE_VERSION and body.card is not None and body.card.chip is not None:
            request = replace(request, finisher=self._finisher.name)
        secrets = None
        if body.medium == "bank_card" or body.card is not None:
            secrets = card_secrets(body.card, self.record, heading.id)
        del body
        self._starting[request.key] = None
        try:
            answer = await self._front.start(request, secrets)
        finally:
            newer = self._starting.pop(request.key, None)
        if newer is not None and newer.version > answer.version:
            answer = newer
        return answer

    async def _payment_query(self, heading: Heading, _body: Struct) -> Answer:
        record = self.record
        return await self._front.query(record.hospital, record.terminal, heading.idem)

    async def _card_finished(self, heading: Heading, body: protocol.CardFinished) -> object:
        try:
            self._finisher.finished(self.record.terminal, heading.idem, body)
        except protocol.ProtocolError as error:
            error.request_id = heading.id
            raise
        return {}

    # ---- answers ---------------------------------------------------------------------------------

    def push(self, name: str, body: object, key: str = "") -> bool:
        """An event, about the payment ``key`` or about none. False: the link is closing and
        nothing was sent."""
        if self._closed:
            return False
        self._send("event", name, "", key, body)
        return True

    def _tell(self, answer: Answer) -> None:
        """A new answer of a payment of this terminal: pushed unless its ``res`` will say it."""
        if answer.key in self._starting:
            self._starting[answer.key] = answer
            return
        self._send("event", protocol.PAYMENT_ANSWER, "", answer.key, answer)

    def _fault(self, request_id: str, fault: protocol.Fault) -> None:
        metrics.TERMINALS_REFUSED.labels(fault.code).inc()
        self._send("res", protocol.ERROR, request_id, "", fault)

    def _broken(self, failure: Failure, heading: Heading) -> None:
        """Named boundary: a fault of ours must not cost the terminal its link. What became of a
        payment stands in the journal; the terminal sends the same again."""
        _log.error("request_failed", name=heading.name, exc_info=failure.value)
        self._fault(heading.id, protocol.Fault(code="unavailable", text="send the same again"))

    def _send(self, kind: str, name: str, request_id: str, idem: str, body: object) -> None:
        if self._closed:
            return
        now_ms = self._timeline.now_ms()
        message = protocol.encode(
            protocol.Outgoing(
                v=protocol.VERSION,
                id=request_id or "-",
                type=kind,
                name=name,
                ts=now_ms,
                terminal=self.record.terminal,
                idem=idem,
                body=body,
            )
        )
        if not self._paused:
            self._write(message)
            return
        self._waiting.append(message)
        self._waiting_bytes += len(message)
        if self._waiting_bytes > self._config.outgoing_bytes_max:
            _log.warning("terminal_does_not_read", terminal=self.record.terminal)
            metrics.TERMINALS_REFUSED.labels("slow_reader").inc()
            self._closed = True
            self._guard.abort()

    def _write(self, message: str) -> None:
        try:
            self._transport.sendTextMessage(message)
        except LocalProtocolError:
            self._closed = True
            self._guard.abort()

    def _watch_silence(self) -> None:
        due = Millis(self._heard_at + self._config.silence_timeout_ms)
        self._silence = self._timeline.call_at(due, self._maybe_silent)

    def _maybe_silent(self) -> None:
        self._silence = None
        if self._heard_at + self._config.silence_timeout_ms > self._timeline.now_ms():
            self._watch_silence()
            return
        _log.info("terminal_silent", terminal=self.record.terminal)
        self._closed = True
        self._guard.abort()


def _inquired(reply: InquiryReply, field: str) -> dict[str, object]:
    answer: dict[str, object] = {"ok": reply.ok, "code": reply.code, "text": reply.text}
    if reply.ok:
        answer[field] = reply.body
    return answer
