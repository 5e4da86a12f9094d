"""One payment at the card: from "put it in" to the end, by chip or by what the reader reads.

Until the key is in the journal everything can be given up; from then on only the outcome counts
(I7). The card of a chip payment stays with :mod:`terminal_agent.finisher` until the payment's end.
"""

import secrets
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from terminal_agent import protocol
from terminal_agent.chip_payment import ChipTerminal, PinRules, Question
from terminal_agent.config import AgentConfig, ConfigError
from terminal_agent.desk import Desk, card_with
from terminal_agent.devices.interfaces import (
    CARD_OUT,
    CardReader,
    Completion,
    DeviceError,
    DeviceEvent,
    PinPad,
)
from terminal_agent.emv.actions import EmvPayment, End, HostAnswer, Verdict
from terminal_agent.emv.profile import Profile, Terminal, load_profile
from terminal_agent.finisher import Finisher
from terminal_agent.flow import PIN_DIGITS_MAX, PIN_DIGITS_MIN
from terminal_agent.flows.events import Ended, Event, Pay, Progress, Stage
from terminal_agent.journal import Journal
from terminal_agent.logs import get_logger
from terminal_agent.planned_pad import PlannedPad

_log = get_logger("card")

_UNUSABLE = "card_unusable"
_REASONS = {
    "holder_cancelled": "canceled",
    "card_gone": "card_gone",
    "card_blocked": "card_blocked",
    "card_declined": "card_declined",
}
"""Reasons of the kernel that the patient can do something about; all others: card_unusable."""
_ANSWERED = frozenset({"approved", "declined", "returned"})
_DEVICES_WAIT = 8
"""Times ``card_ms`` that reader and pad wait by themselves, all keys of a PIN together: it is the
page that gives up, since a key typed and "more time" count there."""


class CardPayments:
    """The reader and the pad of one kiosk, one payment at a time."""

    def __init__(
        self,
        config: AgentConfig,
        journal: Journal,
        desk: Desk,
        finisher: Finisher,
        *,
        reader: CardReader,
        pad: PinPad,
        date_time: Callable[[], tuple[str, str]],
    ) -> None:
        """``date_time``: YYMMDD and HHMMSS of the kiosk's calendar. Raises ConfigError."""
        assert config.flows is not None
        self._config = config
        self._flows = config.flows
        self._journal = journal
        self._desk = desk
        self._finisher = finisher
        self._reader = reader
        self._pad = PlannedPad(pad, desk)
        self._date_time = date_time
        rules = PinRules(
            digits_min=PIN_DIGITS_MIN,
            digits_max=PIN_DIGITS_MAX,
            timeout_ms=_DEVICES_WAIT * self._flows.card_ms,
        )
        self._chip: ChipTerminal | None = None
        self._profile: Profile | None = None
        if config.emv is not None:
            chip_reader: Any = reader
            if not hasattr(reader, "media_inserted"):
                raise ConfigError("emv: this card reader has no chip contacts")
            self._profile = load_profile(config.emv.profile)
            self._chip = ChipTerminal(chip_reader, self._pad, rules)
        self._chosen: Deferred[int | None] | None = None
        self._cancelled = False
        reader.watch(self._noticed)

    async def pay(self, wanted: Pay, tell: Callable[[Event], None]) -> None:
        """Play it; ``tell`` hears Progress and, at the end and always, Ended."""
        try:
            card = await self._card(wanted, tell)
        except DeviceError as error:
            _log.info("no_card", reason=str(error))
            tell(Ended(visit=wanted.visit, told=None, code=error.code))
            return
        if isinstance(card, End):
            _log.info("card_ended", kind=card.kind, reasons=card.reasons, tvr=card.tvr)
            reason = _REASONS.get(card.reasons[0], _UNUSABLE)
            tell(Ended(visit=wanted.visit, told=None, code=reason))
            return
        key = self._desk.open(wanted.order)
        if self._chip is not None:
            self._finisher.await_answer(key, self._chip.finish)
        tell(Progress(visit=wanted.visit, stage=Stage.SENT, key=key))
        self._desk.send(key, wanted.order, card)
        del card
        await self.outcome(wanted.visit, key, tell)

    async def outcome(self, visit: int, key: str, tell: Callable[[Event], None]) -> None:
        """Wait for a payment's end, and let its card know when it was not asked meanwhile. Not
        shorter than the switch may take: a card given back before the bank's approval came could
        not be finished, and the money would only go back."""
        wait_ms = max(self._config.payment.patient_wait_ms, self._desk.link.payment_ms)
        told = await self._desk.outcome(key, wait_ms)
        if told.state in protocol.FINAL:
            await self._finisher.close(key, _verdict(told))
        tell(Ended(visit=visit, told=told))

    def choose(self, place: int | None) -> None:
        """The holder chose an application of the card."""
        chosen, self._chosen = self._chosen, None
        if chosen is not None:
            chosen.callback(place)

    def cancel(self) -> None:
        """Give up, if nothing is sent yet."""
        self._cancelled = True
        if self._chip is not None:
            self._chip.cancel()
        else:
            self._reader.cancel()
            self._pad.cancel()
        self.choose(None)

    # ---- the card --------------------------------------------------------------------------------

    async def _card(self, wanted: Pay, tell: Callable[[Event], None]) -> protocol.Card | End:
        """What is sent of the card, or why nothing is. Raises DeviceError."""
        self._finisher.forget()
        self._pad.begin(wanted.order.business)
        self._cancelled = False
        if self._chip is None:
            return await self._read(wanted, tell)
        emv, profile = self._config.emv, self._profile
        assert emv is not None
        assert profile is not None
        merchant = emv.merchants.get(wanted.clearing)
        if merchant is None:
            raise DeviceError(Completion.UNSUPPORTED_COMMAND, f"no merchant for {wanted.clearing}")
        terminal = Terminal(
            merchant_number=merchant.merchant_number,
            terminal_number=merchant.terminal_number,
            merchant_name=merchant.merchant_name,
            interface_serial=emv.interface_serial,
        )
        date, time = self._date_time()
        payment = EmvPayment(
            amount_fen=wanted.order.amount_fen,
            date=date,
            time=time,
            unpredictable=secrets.token_bytes(4),
            counter=self._journal.count_chip(),
        )

        async def choose(labels: tuple[str, ...]) -> int | None:
            self._chosen = Deferred()
            tell(Progress(visit=wanted.visit, stage=Stage.APPLICATION, labels=labels))
            return await self._chosen

        asked = await self._chip.ask(
            profile,
            terminal,
            payment,
            card_timeout_ms=_DEVICES_WAIT * self._flows.card_ms,
            choose=choose,
            reading=lambda: tell(Progress(visit=wanted.visit, stage=Stage.READING)),
        )
        if not isinstance(asked, Question):
            return asked
        return card_with(asked.card, asked.pin_block, self._pad.made_for)

    async def _read(self, wanted: Pay, tell: Callable[[Event], None]) -> protocol.Card:
        wait_ms = _DEVICES_WAIT * self._flows.card_ms
        data = await self._reader.read_raw_data(wait_ms)
        self._must_go_on()
        tell(Progress(visit=wanted.visit, stage=Stage.READING))
        await self._pad.pin_entry(PIN_DIGITS_MIN, PIN_DIGITS_MAX, wait_ms, data.pan)
        self._must_go_on()
        block = await self._pad.get_pin_block(data.pan)
        self._must_go_on()
        return card_with(data, block, self._pad.made_for)

    def _must_go_on(self) -> None:
        """Between two devices nobody waits who could be cancelled. Raises DeviceError."""
        if self._cancelled:
            raise DeviceError(Completion.CANCELED, "canceled")

    def _noticed(self, event: DeviceEvent) -> None:
        """A card that is pulled while its applications are shown leaves nothing to choose."""
        if event.name == CARD_OUT:
            self.choose(None)


def _verdict(told: protocol.Told) -> HostAnswer:
    """What a card hears of a payment that the switch did not have it finish."""
    if told.state not in _ANSWERED:
        return HostAnswer(verdict=Verdict.UNREACHABLE)
    code = told.code if len(told.code) == 2 and told.code.isascii() else ""
    return HostAnswer(verdict=Verdict.DECLINED, code=code.encode("ascii"))
