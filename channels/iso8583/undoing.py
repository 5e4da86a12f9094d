"""Reversals (冲正) of one bank: from the journal's facts alone, in a lane of their own, until
acknowledged (I3).

An exchange ends here as Done (acknowledged), Refused or Unknown; what kept it from being sent is
NotSent, and the payment machine tries again after its back-off.
"""

from channels.iso8583 import replies
from channels.iso8583.bank import Bank, Sent
from channels.iso8583.config import Config
from channels.iso8583.errors import Iso8583Error, NotOursError
from channels.iso8583.exchange import Origin
from channels.iso8583.lane import Lane
from channels.iso8583.reversal import reversal_mti, reversal_values
from channels.iso8583.rungs import as_order
from channels.iso8583.settling import Settling
from channels.iso8583.template import compiled, filled
from channels.iso8583.terminal import Terminal
from channels.iso8583.writes import write_reversal
from switch.model.operation import Operation
from switch.model.outcome import Outcome, Reply
from switch.observe import metrics
from switch.observe.logs import get_logger
from switch.ports import Context, JournalDown, KeyServiceError, Order

_log = get_logger("iso8583")


class Undoing:
    """``settling``: the gate of batches; None: this bank's are never settled by us."""

    def __init__(
        self, bank: Bank, config: Config, context: Context, settling: Settling | None
    ) -> None:
        self._bank = bank
        self._context = context
        self._settling = settling
        self._fills = {
            terminal.config.operator: compiled(terminal.dialect.reversal.template)
            for terminal in bank.terminals.values()
        }
        self._unknown: set[tuple[str, str]] = set()
        """Terminals that reversals wait for and that are not configured, alarmed once each."""
        self._lane: Lane[tuple[str, str]] = Lane(
            config.in_flight_limit, config.in_flight_limit, config.queue_wait_ms, context.timeline
        )

    async def undo(self, order: Order) -> Reply:
        """One reversal of a leg, or of the void that undoes it. Raises nothing but defects."""
        if order.unvoiding:
            order = as_order(order)
            if not order.leg.facts.get("F11"):  # barred before it had numbers, and the process died
                return Reply(outcome=Outcome.DONE)
        barred = await self.barred(order)
        if barred is not None:
            return barred
        facts = order.leg.facts
        name = (facts.get("F42", ""), facts.get("F41", ""))
        terminal = self._bank.terminals.get(name)
        if terminal is None:
            return self.homeless(name, order)
        if not await self._lane.enter(name, terminal.config.in_flight, order.leg.sent_at):
            _log.warning("reversal_waits", bank=self._bank.name, key=order.payment.key)
            return replies.not_sent("冲正待发:冲正通道已满")
        try:
            return await self._undo(terminal, order)
        finally:
            self._lane.leave(name)

    async def barred(self, order: Order) -> Reply | None:
        """Why an undo, by whatever message, may not leave now for its batch's sake."""
        return await self._settling.barred(order) if self._settling is not None else None

    def homeless(self, name: tuple[str, str], order: Order) -> Reply:
        """Its terminal was taken out of the configuration: only that brings it to its end (I3)."""
        text = "an undo waits for a terminal that is not configured"
        if name not in self._unknown:
            self._unknown.add(name)
            _log.error(
                "alarm",
                invariant="I3",
                text=text,
                bank=self._bank.name,
                terminal=name[1],
                key=order.payment.key,
            )
        _log.warning("reversal_waits", bank=self._bank.name, key=order.payment.key, why=text)
        return replies.not_sent("冲正待发:终端不在配置中")

    async def _undo(self, terminal: Terminal, order: Order) -> Reply:
        """MACed with the key of today (rule 16), whichever node holds the terminal."""
        try:
            await terminal.newest_mak()
        except JournalDown as error:
            _log.warning(
                "reversal_waits", bank=self._bank.name, key=order.payment.key, why=str(error)
            )
            return replies.not_sent("冲正待发:数据库不可用")
        if not terminal.mak or terminal.changing_keys:
            _log.warning(
                "reversal_waits", bank=self._bank.name, key=order.payment.key, invariant="I3"
            )
            return replies.not_sent("冲正待发:终端未签到")
        operation = terminal.dialect.operations[order.leg.operation or Operation.SALE]
        if not order.unvoiding:  # an approval of a void that comes late is answered by this
            self._bank.remember(operation, order.leg.facts, terminal, origin_of(order))
        try:
            sent = await self._send(terminal, order)
        except NotOursError as error:  # meant so: nothing is wrong with what would have been sent
            _log.info("not_sent_any_more", key=order.payment.key, why=str(error))
            return replies.not_sent("冲正未发出")
        except (KeyServiceError, Iso8583Error) as error:
            _log.error(
                "reversal_not_sent", bank=self._bank.name, key=order.payment.key, why=str(error)
            )
            return replies.not_sent("冲正未发出")
        metrics.REVERSALS_SENT.labels(
            self._bank.name, "first" if order.leg.undos <= 1 else "repeat"
        ).inc()
        if sent.answer is None:
            # The sale's own reason stays in the facts: a repeat is the identical message (I3).
            return replies.unacknowledged()
        self._bank.follow_up(terminal, sent.answer, sent.generation)
        reply = replies.reply_to_reversal(self._bank.dialect, sent.answer)
        metrics.REVERSALS_ENDED.labels(self._bank.name, _end(reply)).inc()
        return reply

    async def _send(self, terminal: Terminal, order: Order) -> Sent:
        facts, pan = order.leg.facts, ""
        if facts.get("F2"):
            pan = (await self._context.key_service.reveal(facts["F2"])).reveal()
        values = reversal_values(self._bank.dialect, order.payment, order.leg, pan)
        return await self._bank.send(
            reversal_mti(self._bank.dialect, order.leg),
            filled(self._fills[terminal.config.operator], values),
            terminal,
            write_reversal,
            preferred_link=facts.get("link", ""),
            may_send=order.may_send,
            about=order.payment.key,
        )


def origin_of(order: Order) -> Origin:
    """The leg an exchange is for."""
    return Origin(
        payment_key=order.payment.key, leg_index=order.leg_index, attempt=order.leg.attempt
    )


def _end(reply: Reply) -> str:
    if reply.not_found:
        return "not_found"
    return {Outcome.DONE: "acknowledged", Outcome.REFUSED: "refused"}.get(reply.outcome, "unclear")
