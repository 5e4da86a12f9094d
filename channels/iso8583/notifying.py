"""脚本结果通知 (0620): what a chip card said of its issuer's scripts, told to the bank.

Implements switch.model.notice.NoticeBank. It moves no money and takes no payment's place: it goes
beside the sales, under a STAN of the terminal that the sale went by.
"""

from channels.iso8583.bank import Bank
from channels.iso8583.dialect import Action
from channels.iso8583.errors import Iso8583Error
from channels.iso8583.own_values import own_values
from channels.iso8583.rules import unproven
from channels.iso8583.template import compiled, filled
from channels.iso8583.terminal import Terminal
from channels.iso8583.writes import write_plain
from switch.model.chip import SCRIPT_RESULTS, ChipError, chosen, parse
from switch.model.notice import NoticeEnd
from switch.model.operation import Operation
from switch.model.payment import Leg, LegKind, Payment
from switch.observe.logs import get_logger
from switch.ports import Context, JournalDown, KeyServiceError

_log = get_logger("iso8583")

_TAGS = (SCRIPT_RESULTS, "95")
_FINAL = frozenset({Action.DECLINE, Action.CAPTURE})
"""The bank will not have it. What a person must put right (an unknown terminal) is none of these:
the notice is told again until then."""


class Notifying:
    """One bank's notices."""

    def __init__(self, bank: Bank, context: Context) -> None:
        self._bank = bank
        self._context = context

    def elsewhere(self, payment: Payment) -> bool:
        """See NoticeBank."""
        terminal = self._terminal(_debit(payment))
        return terminal is not None and terminal.elsewhere and not terminal.held

    async def script_results(self, payment: Payment) -> tuple[NoticeEnd, str]:
        """See NoticeBank."""
        debit, chip = _debit(payment), _results(payment)
        terminal = self._terminal(debit)
        template = self._bank.dialect.script_notice
        if template is None or not chip:
            return NoticeEnd.NOT_OWED, ""
        if terminal is None:
            text = "a notice is owed by a terminal that is not configured"
            which = {"bank": self._bank.name, "terminal": debit.facts.get("F41", "")}
            _log.error("alarm", text=text, key=payment.key, **which)
            return NoticeEnd.NOT_NOW, ""
        template = terminal.dialect.script_notice or template
        if not terminal.fresh or terminal.settling:
            return NoticeEnd.NOT_NOW, ""
        try:
            fields = filled(compiled(template), await self._values(terminal, debit, chip))
            sent = await self._bank.send(template.mti, fields, terminal, write_plain)
        except (Iso8583Error, JournalDown, KeyServiceError) as error:
            _log.warning("notice_not_sent", bank=self._bank.name, why=str(error))
            return NoticeEnd.AGAIN, ""
        if sent.answer is None:
            return NoticeEnd.AGAIN, ""
        self._bank.follow_up(terminal, sent.answer, sent.generation)
        row = self._bank.dialect.codes.get(sent.answer.code)
        action = row.action if row is not None else Action.UNKNOWN
        if action is Action.APPROVE:
            return NoticeEnd.ACKNOWLEDGED, sent.answer.code
        final = action in _FINAL and not unproven(self._bank.dialect, sent.answer)
        return NoticeEnd.REFUSED if final else NoticeEnd.AGAIN, sent.answer.code

    def _terminal(self, debit: Leg) -> Terminal | None:
        """That the sale went by; None: it is not configured."""
        name = (debit.facts.get("F42", ""), debit.facts.get("F41", ""))
        return self._bank.terminals.get(name)

    async def _values(self, terminal: Terminal, debit: Leg, chip: str) -> dict[str, str]:
        operation = self._bank.dialect.operations[debit.operation or Operation.SALE]
        values = {f"original_{name}": value for name, value in debit.facts.items()}
        if debit.facts.get("F2"):
            revealed = await self._context.key_service.reveal(debit.facts["F2"])
            values["pan"] = revealed.reveal()
        batch, stan = await terminal.stans.take()
        return {
            **values,
            **own_values(terminal, self._context.timeline, batch, stan),
            "original_mti": operation.mti,
            "chip": chip,
        }


def _debit(payment: Payment) -> Leg:
    debit = payment.leg_of(LegKind.DEBIT)
    assert debit is not None  # the job asks for nothing else
    return debit


def _results(payment: Payment) -> str:
    """DF31 and 95 of the card's last word, in hex; empty when no script ran."""
    finish = payment.leg_of(LegKind.FINISH)
    try:
        data = bytes.fromhex(finish.facts.get("chip", "")) if finish is not None else b""
        if not dict(parse(data)).get(SCRIPT_RESULTS):
            return ""
        return chosen(data, _TAGS).hex().upper()
    except (ChipError, ValueError) as error:
        _log.error("chip_facts_unreadable", why=str(error), invariant="I3")
        return ""
