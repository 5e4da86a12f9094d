"""Batch settlement (批结算) at one bank: what the settlement job asks of the channel.

Implements switch.model.batch.BatchBank. It sends and reads; when and what for is the job's
(``switch/jobs/settlement.py``). A terminal under settlement starts no payment; reversals of a batch
whose totals are committed are held back here, and refused once it is closed (rule 19 of
docs/payment-law.md): no reversal after the batch's 0510.
"""

from collections.abc import Mapping

from channels.iso8583 import replies
from channels.iso8583.bank import Bank, Sent
from channels.iso8583.config import Config, SettlementConfig
from channels.iso8583.dialogue import Settlement, Template
from channels.iso8583.errors import Iso8583Error
from channels.iso8583.message import Message
from channels.iso8583.own_values import own_values
from channels.iso8583.rules import approves
from channels.iso8583.rungs import by_message
from channels.iso8583.template import compiled, filled
from channels.iso8583.terminal import Terminal
from channels.iso8583.writes import write_plain
from switch.model.batch import Batch, BatchAnswer, BatchResult, BatchTerms
from switch.model.outcome import Outcome, Reply
from switch.model.payment import Leg, RungKind
from switch.observe.logs import get_logger
from switch.ports import Context, JournalDown, KeyServiceError, LogicalTerminal, Order

_log = get_logger("iso8583.settlement")

CLOSED_CODE = "batch_closed"
_COUNT_DIGITS, _AMOUNT_DIGITS = 3, 12
"""What templates get of the totals."""


class Settling:
    """One bank's settlements. Built where configuration and dialect both have one."""

    def __init__(
        self, bank: Bank, config: SettlementConfig, dialogue: Settlement, context: Context
    ) -> None:
        self._bank = bank
        self._dialogue = dialogue
        self._context = context
        self._terminals: Mapping[LogicalTerminal, Terminal] = {
            terminal.identity: terminal for terminal in bank.terminals.values()
        }
        self.terminals = tuple(self._terminals)
        self.terms = BatchTerms(
            at=config.at or "",
            deadline_ms=config.deadline_ms,
            waits_ms=config.waits_ms,
            tries=config.tries,
            debits=dialogue.debits,
            credits=dialogue.credits,
            uploads=dialogue.upload is not None,
            count_max=10**_COUNT_DIGITS - 1,
            amount_max_fen=10**_AMOUNT_DIGITS - 1,
        )

    # ---- BatchBank -------------------------------------------------------------------------------

    def mine(self, terminal: LogicalTerminal) -> bool:
        """Signed on by this node, with a link to send on."""
        known = self._terminals.get(terminal)
        return known is not None and known.fresh and bool(self._bank.hub.links)

    def pause(self, terminal: LogicalTerminal) -> None:
        """See BatchBank."""
        self._terminals[terminal].settling = True

    def resume(self, terminal: LogicalTerminal) -> None:
        """See BatchBank."""
        if self._terminals[terminal].settling:
            # Whoever closed its batch, and whether we heard of it: the database knows the number.
            self._terminals[terminal].stans.forget()
            self._terminals[terminal].settling = False
            self._bank.pool.serve()

    def quiet(self, terminal: LogicalTerminal) -> bool:
        """See BatchBank."""
        return not self._terminals[terminal].leases

    async def settle(self, batch: Batch) -> BatchAnswer:
        """0500; what its answer says of the totals."""
        sums = batch.totals
        values = {
            "debit_count": f"{sums.debit_count:0{_COUNT_DIGITS}d}",
            "debit_amount": f"{sums.debit_fen:0{_AMOUNT_DIGITS}d}",
            "credit_count": f"{sums.credit_count:0{_COUNT_DIGITS}d}",
            "credit_amount": f"{sums.credit_fen:0{_AMOUNT_DIGITS}d}",
        }
        answer = await self._say("request", batch, values)
        return answer if isinstance(answer, BatchAnswer) else self._compared(answer)

    async def upload(self, batch: Batch, leg: Leg) -> BatchAnswer:
        """0320 for one transaction, made of what the journal holds of it."""
        assert self._dialogue.upload is not None
        values = {f"original_{name}": value for name, value in leg.facts.items()}
        try:
            if leg.facts.get("F2"):
                revealed = await self._context.key_service.reveal(leg.facts["F2"])
                values["pan"] = revealed.reveal()
        except KeyServiceError as error:
            _log.warning("upload_waits", bank=self._bank.name, why=str(error))
            return BatchAnswer(result=BatchResult.NOT_SENT, text=str(error))
        return self._taken(await self._say("upload", batch, values))

    async def upload_end(self, batch: Batch) -> BatchAnswer:
        """0320 that ends the upload."""
        if self._dialogue.upload_end is None:
            return BatchAnswer(result=BatchResult.BALANCED)
        values = {
            "upload_count": f"{batch.uploaded:04d}",
            "close_code": self._dialogue.close_code_unbalanced or self._dialogue.close_code,
        }
        return self._taken(await self._say("upload_end", batch, values))

    def begin(self, batch: Batch) -> None:
        """See BatchBank. A batch that the bank named meanwhile stays."""
        terminal = self._terminals[batch.terminal]
        terminal.stans.forget()
        if self._bank.dialect.sign_on.batch is not None:
            terminal.want_sign_on("a new batch")

    # ---- for the channel -------------------------------------------------------------------------

    async def barred(self, order: Order) -> Reply | None:
        """Why this leg's undo may not leave now; None: it may.

        Of a closed batch nothing is reversed or voided any more: refused, and what is below on its
        ladder follows (rule 8). What was sent before may have worked; the settlement file tells.
        What has a number of its own waits while the batch settles that it would go into.
        """
        leg, own = order.leg, by_message(order)
        identity = LogicalTerminal(
            bank=self._bank.name,
            merchant=leg.facts.get("F42", ""),
            terminal=leg.facts.get("F41", ""),
        )
        try:
            gate = await self._context.batches.gate(identity, leg.facts.get("batch", ""))
            frozen = gate.frozen or (own is not None and await self._freezes(identity))
        except JournalDown:
            return replies.not_sent("冲正待发:数据库不可用")
        if gate.closed_at > leg.sent_at and own is not RungKind.REFUND:
            if not leg.policy.ladder[leg.rung + 1 :]:
                _log.error("reversal_after_settlement", key=order.payment.key, invariant="I15")
            return Reply(outcome=Outcome.REFUSED, code=CLOSED_CODE, text="批次已结算,不能冲正")
        return replies.not_sent("冲正待发:批次正在结算") if frozen else None

    async def _freezes(self, identity: LogicalTerminal) -> bool:
        """Whether the terminal's present batch has its totals committed."""
        terminal = self._terminals.get(identity)
        if terminal is None:
            return False
        return (await self._context.batches.gate(identity, terminal.stans.batch)).frozen

    # ---- one exchange ----------------------------------------------------------------------------

    async def _say(
        self, name: str, batch: Batch, values: Mapping[str, str]
    ) -> Message | BatchAnswer:
        """Send the settlement's message of this name: its proven answer, or why there is none."""
        terminal = self._terminals[batch.terminal]
        template: Template = getattr(terminal.dialect.settlement, name)
        try:
            _, stan = await terminal.stans.take()
            own = own_values(terminal, self._context.timeline, batch.number, stan)
            fields = filled(compiled(template), {**values, **own})
            sent: Sent = await self._bank.send(template.mti, fields, terminal, write_plain)
        except (Iso8583Error, JournalDown, KeyServiceError) as error:
            _log.warning("settlement_not_sent", bank=self._bank.name, why=str(error))
            return BatchAnswer(result=BatchResult.NOT_SENT, text=str(error))
        if sent.answer is None:
            return BatchAnswer(result=BatchResult.UNKNOWN, code=replies.NO_ANSWER)
        self._bank.follow_up(terminal, sent.answer, sent.generation)
        return sent.answer

    def _compared(self, message: Message) -> BatchAnswer:
        part = self._dialogue.result
        said = message.fields.get(part.field, "")[part.at : part.at + part.size]
        result = BatchResult.FAILED
        if approves(self._bank.dialect, message.code):
            if said in self._dialogue.balanced:
                result = BatchResult.BALANCED
            elif said in self._dialogue.unbalanced:
                result = BatchResult.UNBALANCED
        return BatchAnswer(result=result, code=message.code, text=self._text(message, said))

    def _taken(self, answer: Message | BatchAnswer) -> BatchAnswer:
        if isinstance(answer, BatchAnswer):
            return answer
        good = approves(self._bank.dialect, answer.code)
        result = BatchResult.BALANCED if good else BatchResult.FAILED
        return BatchAnswer(result=result, code=answer.code, text=self._text(answer, ""))

    def _text(self, message: Message, said: str) -> str:
        row = self._bank.dialect.codes.get(message.code)
        text = row.text if row else self._bank.dialect.unmapped_text.replace("{code}", message.code)
        return f"{text} {said}".strip()


def settling_of(bank: Bank, config: Config, context: Context) -> Settling | None:
    """The bank's settlements; None where it closes batches by itself, or has none."""
    dialogue = bank.dialect.settlement
    if config.settlement is None or dialogue is None:
        return None
    return Settling(bank, config.settlement, dialogue, context)
