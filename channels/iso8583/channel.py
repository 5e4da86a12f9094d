"""The bank channel: operations, their reversal, balance. Implements switch.ports.Service.

Outcomes (I9): nothing is NotSent once a byte may have left; nothing that left is anything but a
proven answer or Unknown. Secrets live from the call to the write and nowhere else (I12).
"""

from collections.abc import Mapping
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from channels.iso8583 import account, pass_through, replies, rungs, sale
from channels.iso8583.bank import Bank, Sent
from channels.iso8583.card_sender import CardSender
from channels.iso8583.config import Config
from channels.iso8583.errors import Iso8583Error, NotOursError
from channels.iso8583.load import load_dialect
from channels.iso8583.notifying import Notifying
from channels.iso8583.settling import settling_of
from channels.iso8583.terminal import Terminal
from channels.iso8583.undoing import Undoing, origin_of
from channels.iso8583.writes import write_plain, write_sale
from switch.model.chip import ChipError
from switch.model.operation import Operation
from switch.model.outcome import Outcome, Reply, Verb
from switch.model.payment import Leg, LegKind, LegPolicy, OnUnknown, RungKind
from switch.observe import metrics
from switch.observe.logs import get_logger
from switch.ports import (
    BalanceQuery,
    CardSecrets,
    Context,
    Identity,
    InquiryReply,
    JournalDown,
    KeyServiceError,
    LogicalTerminal,
    Order,
    PinPlan,
    Prepared,
)

_log = get_logger("iso8583")

_ATTEMPTS = 2
"""What can be reversed and is refused for stale keys or batch (77, 99, A0) in time is tried once
more (rule 17)."""

_LeaseKey = tuple[str, int]


class BankChannel:
    """One bank. Built by :mod:`channels.iso8583.plugin`."""

    def __init__(self, name: str, config: Config, context: Context) -> None:
        self.name = name
        self._config = config
        self._context = context
        self._dialect = load_dialect(config.dialect)
        self._bank = Bank(name, config, self._dialect, context)
        self._pool = self._bank.pool
        self.settling = settling_of(self._bank, config, context)
        """Batch settlement, where the bank has one (switch.model.batch.BatchBank)."""
        self.notifying = Notifying(self._bank, context)
        """Notices of issuer scripts (switch.model.notice.NoticeBank)."""
        self._undoing = Undoing(self._bank, config, context, self.settling)
        self._sender = CardSender(self._bank, context.key_service)
        self._splits = {
            terminal.config.operator: {
                name: sale.Split(template) for name, template in terminal.dialect.operations.items()
            }
            for terminal in self._bank.terminals.values()
        }
        self._balances = 0
        for clearing in {terminal.clearing for terminal in config.terminals}:
            metrics.BANK_READY.labels(name, clearing).set_function(partial(self.ready, clearing))

    # ---- life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Open the links; every logical terminal signs on."""
        self._bank.start()

    async def stop(self) -> None:
        """Give the terminals up, close the links and the record."""
        await self._bank.stop()
        if self._bank.trace is not None:
            self._bank.trace.close()

    def holds(self, terminal: LogicalTerminal) -> bool:
        """Whether a logical terminal of this bank is this node's."""
        known = self._bank.terminals.get((terminal.merchant, terminal.terminal))
        return known is not None and known.held

    def health(self) -> Mapping[str, str]:
        """``up`` or a reason, for links and sign-on; a terminal that another node holds counts."""
        terminals = self._bank.terminals.values()
        signed_on = any(terminal.fresh or terminal.elsewhere for terminal in terminals)
        return {
            f"{self.name}.link": "up" if self._bank.hub.links else "no link to the bank",
            f"{self.name}.sign_on": "up" if signed_on else "no terminal is signed on",
        }

    # ---- Counterparty ----------------------------------------------------------------------------

    def policy(self, kind: LegKind, clearing: str, operation: Operation | None = None) -> LegPolicy:
        """What the bank lets be reversed is undone by reversal, for ever until acknowledged (I3);
        what it does not, a refund, is sent once and then waits for evidence (rule 8)."""
        operation = operation or Operation.SALE
        template = self._dialect.operations.get(operation)
        reversible = template is not None and template.reversible
        undo = self._config.undo
        ladder = rungs.rungs(self._dialect, operation, undo.ladder) if reversible else ()
        kinds = [rung.kind for rung in ladder]
        after = RungKind(undo.after_approval)
        return LegPolicy(
            timeout_ms=self._config.response_timeout_ms,
            on_unknown=OnUnknown.UNDO if reversible else OnUnknown.STOP,
            ladder=ladder,
            approved_rung=kinds.index(after) if after in kinds else 0,
            attempts=_ATTEMPTS if reversible else 1,
            resend_waits_ms=self._config.reversal_waits_ms,
            not_found_waits_ms=self._config.not_found_waits_ms,
        )

    def ready(self, clearing: str) -> bool:
        """A link is up and a terminal of this clearing is signed on with young keys."""
        return bool(self._bank.hub.links) and self._pool.ready(clearing)

    def business_date(self) -> str:
        """As the bank announced it, else by the configured cutover (I14)."""
        return self._bank.day.today()

    async def prepare(self, order: Order, secrets: CardSecrets | None) -> Prepared | None:
        """Lease a terminal, take a STAN, vault the PAN. None: it cannot be sent now."""
        key, kind = (order.payment.key, order.leg_index), rungs.by_message(order)
        if kind is None:
            return await self._prepare(key, order, secrets)
        barred = await self._undoing.barred(order)
        if barred is not None:  # what is refused unsent needs no numbers
            return Prepared() if barred.outcome is Outcome.REFUSED else None
        made = await self._prepare(key, rungs.as_order(order), None)
        now_ms = self._context.timeline.now_ms()
        return made and rungs.prepared(made, kind, undos=order.leg.undos, now_ms=now_ms)

    async def _prepare(
        self, key: _LeaseKey, order: Order, secrets: CardSecrets | None
    ) -> Prepared | None:
        template = self._dialect.operations.get(order.leg.operation or Operation.SALE)
        pin_required = self._config.pin_required
        if template is None or not account.usable(
            template, order.leg.facts, secrets, pin_required=pin_required
        ):
            return None
        try:
            terminal = await self._lease(key, order, secrets)
            if terminal is not None:
                return await self._prepared(order, secrets, terminal)
            _log.warning("no_terminal", bank=self.name, clearing=order.payment.clearing)
        except (JournalDown, KeyServiceError, ChipError) as error:
            _log.warning("not_prepared", bank=self.name, key=order.payment.key, why=str(error))
        except Exception:
            # The port promises that prepare raises nothing: a defect costs one payment, unsent.
            _log.exception("prepare_defect", bank=self.name, key=order.payment.key)
        self._pool.release(key)
        return None

    async def _lease(
        self, key: _LeaseKey, order: Order, card: CardSecrets | None
    ) -> Terminal | None:
        """What refers to an original goes by the terminal that the original went by."""
        facts = order.leg.facts
        if "original_F41" in facts:
            name = (facts["original_F42"], facts["original_F41"])
            terminal = self._bank.terminals.get(name)
            undo = order.verb is Verb.UNDO
            if terminal is not None:
                return await self._pool.lease_this(key, terminal, undo=undo)
            if undo:
                self._undoing.homeless(name, order)
            return None
        return await self._lease_for(key, order.payment.clearing, card, order.payment.terminal)

    async def _lease_for(
        self, key: _LeaseKey, clearing: str, card: CardSecrets | None, kiosk: str
    ) -> Terminal | None:
        """A PIN block under a terminal's own key goes by that terminal; one under the shared key by
        none that is dedicated to a kiosk."""
        if card is None or card.pin_for is None:
            shared = card is not None and card.pin_block is not None
            return await self._pool.lease(key, clearing, "" if shared else kiosk)
        terminals = self._bank.terminals
        terminal = pass_through.chosen(self.name, terminals, clearing, card.pin_for, key[0])
        return await self._pool.lease_this(key, terminal) if terminal is not None else None

    async def pin_plan(self, clearing: str, kiosk: str) -> PinPlan | None:
        """See switch.ports.PassThrough."""
        terminals = self._bank.terminals.values()
        try:
            return await pass_through.plan(self.name, terminals, clearing, kiosk)
        except JournalDown as error:
            _log.warning("no_pin_plan", bank=self.name, kiosk=kiosk, why=str(error))
            return None

    async def exchange(self, order: Order, secrets: CardSecrets | None) -> Reply:
        """DO: the operation. UNDO: its reversal, void or refund. Raises nothing."""
        key, kind = (order.payment.key, order.leg_index), rungs.by_message(order)
        try:
            if order.verb is Verb.DO:
                reply = await self._do(key, order, secrets)
            elif kind is not None:
                reply = await self._undo_by_message(key, order, kind)
            else:
                self._pool.release(key)  # the reversal is stored: the terminal may go on
                reply = await self._undoing.undo(order)
        except Exception:
            # The port promises that exchange raises nothing; a defect proves nothing (I9).
            _log.exception("exchange_defect", bank=self.name, key=order.payment.key)
            reply = replies.unanswered(suspect=False, unchecked=True)
        if reply.outcome is not Outcome.UNKNOWN or order.verb is Verb.UNDO:
            self._pool.release(key)
        return reply

    async def _undo_by_message(self, key: _LeaseKey, order: Order, kind: RungKind) -> Reply:
        barred = await self._undoing.barred(order)
        if barred is not None and barred.outcome is Outcome.REFUSED:
            return barred
        said = await self._do(key, rungs.as_order(order), None)
        return rungs.undo_reply(self._dialect, said, kind)

    def release(self, order: Order) -> None:
        """The leg needs its logical terminal no longer."""
        self._pool.release((order.payment.key, order.leg_index))

    # ---- operations ------------------------------------------------------------------------------

    async def _prepared(
        self, order: Order, card: CardSecrets | None, terminal: Terminal
    ) -> Prepared:
        batch, stan = await terminal.stans.take()
        date, time = self._context.timeline.wall_clock()
        values = self._original_values(order.leg) | self._values(terminal, batch, stan)
        values |= account.values(order.leg.facts, card)
        values["amount"] = f"{order.leg.amount_fen:012d}"
        splits = self._splits[terminal.config.operator]
        facts = splits[order.leg.operation or Operation.SALE].kept(values)
        facts |= await account.vaulted(self._context.key_service, order.leg.facts, card)
        facts |= sale.chip_facts(card) if card is not None else {}
        facts |= {
            "F12": time,
            "F13": date[4:],
            "batch": batch,
            "sent_date": date[4:],
            "sent_time": time,
            **terminal.slip_facts,
            "key_generation": str(terminal.keys.generation if terminal.keys else 0),
        }
        if order.leg.attempt > 1:
            # What the refused attempt was answered must not pass for this one's answer.
            facts |= dict.fromkeys(("F15", "F37", "F38", "F39"), "")
        identity = Identity(
            bank=self.name,
            merchant=terminal.config.merchant,
            terminal=terminal.config.terminal,
            batch=batch,
            stan=stan,
            business_date=order.payment.business_date,
        )
        return Prepared(facts=facts, identity=identity)

    async def _do(self, key: _LeaseKey, order: Order, card: CardSecrets | None) -> Reply:
        terminal = self._pool.leased(key)
        if terminal is None:
            return replies.not_sent("交易未发出")
        if not terminal.fresh:
            return replies.not_sent("终端正在签到,交易未发出")
        try:
            sent = await self._sender.send(
                key[0],
                self._splits[terminal.config.operator][order.leg.operation or Operation.SALE],
                terminal,
                await account.secrets(self._context.key_service, order.leg.facts, card),
                self._original_values(order.leg) | order.leg.facts,
                write_sale,
                origin_of(order) if order.verb is Verb.DO else None,
                order.may_send,
            )
        except NotOursError as error:  # meant so: nothing is wrong with what would have been sent
            _log.info("not_sent_any_more", key=order.payment.key, why=str(error))
            return replies.not_sent("交易未发出")
        except (KeyServiceError, Iso8583Error) as error:
            _log.error("not_sent", bank=self.name, key=order.payment.key, why=str(error))
            return replies.not_sent("系统故障,交易未发出")
        if sent.answer is None:
            return self._unanswered(sent)
        self._bank.follow_up(terminal, sent.answer, sent.generation)
        reply = replies.reply_to_sale(self._dialect, sent.answer, sent.link)
        # Rule 17: under new keys a pad's block is nobody's, and the pad cannot make it again; and
        # after a late refusal a second attempt would outlast the terminal (rule 12).
        own_block = card is not None and card.pin_for is not None
        took_ms = self._context.timeline.now_ms() - order.leg.sent_at
        if own_block or took_ms > self._config.again_within_ms:
            reply = replace(reply, again=False)
        return reply

    # ---- Inquirer --------------------------------------------------------------------------------

    async def inquire(self, function: str, request: Struct) -> InquiryReply:
        """``balance`` with a BalanceQuery: ``body`` = {"balance_fen": n}. Raises nothing."""
        if function != "balance" or not isinstance(request, BalanceQuery):
            return InquiryReply(ok=False, code="unknown_function", text="不支持的查询")
        if Operation.BALANCE not in self._dialect.operations:
            return InquiryReply(ok=False, code="not_offered", text="该银行不支持余额查询")
        self._balances += 1
        key = (f"balance/{self._balances}", 0)
        try:
            terminal = await self._lease_for(key, request.clearing, request.secrets, "")
            if terminal is None:
                return InquiryReply(ok=False, code="busy", text="系统繁忙,请稍后再试")
            return await self._ask_balance(key[0], terminal, request.secrets)
        except (JournalDown, KeyServiceError, Iso8583Error) as error:
            _log.warning("balance_failed", bank=self.name, why=str(error))
            return InquiryReply(ok=False, code="unsent", text="系统故障,请稍后再试")
        finally:
            self._pool.release(key)

    async def _ask_balance(self, what: str, terminal: Terminal, card: CardSecrets) -> InquiryReply:
        batch, stan = await terminal.stans.take()
        balance = self._splits[terminal.config.operator][Operation.BALANCE]
        values = self._values(terminal, batch, stan) | sale.card_values(card)
        facts = values | balance.kept(values)
        sent = await self._sender.send(what, balance, terminal, card, facts, write_plain, None)
        if sent.answer is None:
            return InquiryReply(ok=False, code=replies.NO_ANSWER, text="银行未应答")
        self._bank.follow_up(terminal, sent.answer, sent.generation)
        reply = replies.reply_to_sale(self._dialect, sent.answer)
        balance_fen = replies.balance_fen(sent.answer.fields.get(self._dialect.balance_field, ""))
        if reply.outcome is not Outcome.DONE or balance_fen is None:
            return InquiryReply(ok=False, code=reply.code, text=reply.text)
        return InquiryReply(ok=True, code=reply.code, body={"balance_fen": balance_fen})

    # ---- both ------------------------------------------------------------------------------------

    def _original_values(self, leg: Leg) -> dict[str, str]:
        """The original's numbers, and the message type it went by."""
        original = self._dialect.operations.get(leg.facts.get("original_operation", ""))
        if original is None:
            return {}
        numbers = {n: value for n, value in leg.facts.items() if n.startswith("original_")}
        return numbers | {"original_mti": original.mti}

    def _values(self, terminal: Terminal, batch: str, stan: str) -> dict[str, str]:
        date, time = self._context.timeline.wall_clock()
        return {
            "sent_date": date[4:],
            "sent_time": time,
            "batch": batch,
            "stan": stan,
            "terminal": terminal.config.terminal,
            "merchant": terminal.config.merchant,
            "terminal_block": terminal.identity_block,
            "currency": self._dialect.currency,
        }

    def _unanswered(self, sent: Sent) -> Reply:
        return replies.unanswered(suspect=sent.suspect, unchecked=sent.unchecked, link=sent.link)
