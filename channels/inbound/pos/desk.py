"""What a POS may ask of us, and what it is told.

The switch is its bank: a sale becomes a payment of the engine, a repeat of it is the same payment,
and what the POS says of money it takes back is committed before it is answered.
"""

from channels.inbound.answering import Said, said_of
from channels.inbound.capture import exact_part
from channels.inbound.card import card_secrets, scanned_code
from channels.inbound.numbering import original_key, payment_key
from channels.inbound.pos.businesses import (
    BALANCE_OF,
    BY_CODE,
    CREDITS,
    DEBITS,
    OFFERED,
    ORIGINAL,
    SERVED,
)
from channels.inbound.pos.config import PosConfig, PosTerminal
from channels.inbound.reception import Arrived
from channels.inbound.reversing import take_back
from channels.inbound.settling import batch_for, settle
from channels.iso8583.errors import RemoteError
from channels.iso8583.message import Message
from channels.iso8583.recognise import REVERSAL, SETTLEMENT, UPLOAD, UPLOAD_END
from switch.model.answer import Answer, AnswerState
from switch.model.operation import Operation
from switch.model.secret import masked_pan
from switch.observe.logs import get_logger
from switch.ports import CardSecrets, Front, PaymentRequest, Timeline

_log = get_logger("inbound.pos")

_CODE_SHOWN = 4
_BALANCE_TYPES = "1002"
"""Field 54: account type 10, available balance 02."""


class PosDesk:
    """See the module. Implements the door's Desk."""

    money = frozenset(SERVED) | {REVERSAL}

    def __init__(self, config: PosConfig, front: Front, timeline: Timeline) -> None:
        self._config = config
        self._front = front
        self._timeline = timeline
        self._dialect = config.read_dialect()
        assert self._dialect.inbound is not None
        self._inbound = self._dialect.inbound
        self._codes = self._inbound.codes

    async def serve(self, arrived: Arrived) -> Said | None:
        """The answer; None: silence, and the POS reverses."""
        kind = arrived.kind
        if kind == REVERSAL:
            return await take_back(self._front, self._inbound, arrived, settled=False)
        if kind == SETTLEMENT:
            limit = self._config.batch_payments_limit
            return await settle(self._front, self._dialect, arrived, DEBITS, CREDITS, limit=limit)
        if kind in {UPLOAD, UPLOAD_END}:
            return Said(self._codes.approved)
        if kind not in OFFERED:
            return Said(self._codes.unsupported)  # visit cards, script notices: not served here
        operation = Operation(kind)
        if operation not in _terminal(arrived).operations:
            return Said(self._codes.not_allowed)
        try:
            if operation is Operation.BALANCE:
                return await self._balance(arrived)
            return await self._pay(operation, arrived)
        except RemoteError as error:
            _log.warning("request_unusable", path=error.path, rule=error.rule)
            return Said(self._codes.format_error)

    async def open_batch(self, arrived: Arrived) -> str:
        """A fresh one for a POS that lost its counter."""
        return await batch_for(self._front, arrived, limit=self._config.batch_payments_limit)

    def unheard(self, kind: str, request: Message, said: Said | None) -> None:
        """A POS reverses what it hears nothing of."""

    # ---- money -----------------------------------------------------------------------------------

    async def _pay(self, operation: Operation, arrived: Arrived) -> Said | None:
        key = payment_key(self._inbound, arrived)
        against = await self._against(arrived, key)
        if against:
            return Said(against)
        business, medium = SERVED[operation]
        original = ""
        if medium == ORIGINAL:
            original = await self._original(arrived)
            if not original:
                return Said(self._codes.original)
        secrets = self._secrets(operation, arrived)
        request = PaymentRequest(
            key=key,
            hospital=arrived.station.config.hospital,
            business=business,
            terminal=arrived.station.label,
            amount_fen=_amount_fen(arrived),
            patient="",
            bill="",
            medium=medium,
            original=original,
            clearing=_terminal(arrived).clearing,
            details=_details(secrets),
        )
        answer = await self._front.start(request, secrets)
        return self._said(answer, secrets)

    async def _against(self, arrived: Arrived, key: str) -> str:
        """The code why it may not begin now; empty: it may. A repeat is answered as before (I7),
        whatever has become of keys and batch."""
        station, keys = arrived.station, arrived.keys
        if not key:
            return self._codes.format_error
        assert keys is not None  # its type has a MAC, and that was right
        old = self._timeline.now_ms() - keys.installed_at >= self._config.key_max_age_ms
        batch = exact_part(arrived.fields, self._inbound.batch)
        if not old and await station.in_batch(batch):
            return ""
        if await self._front.payments(station.config.hospital, station.label, key, 1):
            return ""
        return self._codes.sign_on

    async def _original(self, arrived: Arrived) -> str:
        """The key of the POS's own earlier payment: by field 61, or by the bank's reference. Both
        must mean the same one; "" when there is none."""
        station, reference = arrived.station, arrived.fields.get("37", "")
        key = original_key(self._inbound, arrived)
        batch = exact_part(arrived.fields, self._inbound.batch)
        if not (key or reference):
            return ""
        found = await self._front.payments(
            station.config.hospital,
            station.label,
            key or f"{station.label}/{batch}/",
            1 if key else self._config.batch_payments_limit,
        )
        for one in found:
            if reference in {"", one.answer.receipt.get("F37", "")} and key in {"", one.answer.key}:
                return one.answer.key
        return ""

    def _secrets(self, operation: Operation, arrived: Arrived) -> CardSecrets | None:
        """Raises RemoteError. None: neither a card nor a code is needed."""
        if operation is Operation.QR_SALE:
            return scanned_code(self._dialect, arrived.fields)
        if operation in BY_CODE:
            return None
        assert arrived.keys is not None
        return card_secrets(arrived.fields, arrived.keys.pik)

    def _said(self, answer: Answer, secrets: CardSecrets | None) -> Said | None:
        if answer.state is AnswerState.EXCEPTION:
            _log.error("pos_exception", key=answer.key, invariant="I15")
        said = said_of(self._dialect, answer, by_a_bank=True)
        issuer = secrets.issuer.reveal() if secrets is not None and secrets.issuer else b""
        if said is None or answer.state is not AnswerState.APPROVED or not issuer:
            return said
        return Said(said.code, {**said.fields, "55": issuer.hex().upper()})

    async def _balance(self, arrived: Arrived) -> Said:
        assert arrived.keys is not None
        secrets = card_secrets(arrived.fields, arrived.keys.pik)
        hospital, clearing = arrived.station.config.hospital, _terminal(arrived).clearing
        reply = await self._front.balance(hospital, BALANCE_OF, secrets, clearing)
        if not reply.ok:
            known = Answer(key="", state=AnswerState.DECLINED, code=reply.code)
            said = said_of(self._dialect, known, by_a_bank=True)
            assert said is not None
            return said
        fen = reply.body["balance_fen"]
        sign = "D" if fen < 0 else "C"
        text = f"{_BALANCE_TYPES}{self._dialect.currency}{sign}{abs(fen):012d}"
        return Said(self._codes.approved, {self._dialect.balance_field: text})


def _terminal(arrived: Arrived) -> PosTerminal:
    config = arrived.station.config
    assert isinstance(config, PosTerminal)
    return config


def _amount_fen(arrived: Arrived) -> int:
    amount_fen = int(arrived.fields.get("4", "0"))
    if amount_fen < 1:
        raise RemoteError("4", "no amount")
    return amount_fen


def _details(secrets: CardSecrets | None) -> dict[str, str]:
    """No card number for the journal, but enough of it to tell other content under the same
    numbers: a POS that counts from the beginning again must not be told "approved" (I8)."""
    if secrets is None:
        return {}
    if secrets.qr_code is not None:
        return {"code_end": secrets.qr_code.reveal()[-_CODE_SHOWN:]}
    return {"masked_pan": masked_pan(secrets.pan.reveal())}
