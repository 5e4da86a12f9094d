"""Chip cards finished at a front's terminals: the *finish* leg of docs/payment-law.md.

Rules
- A card is asked for at the live link of the payment's own terminal, and only there.
- No link, or one of a kiosk that cannot: NotSent, the machine tries again until its deadline.
- Link lost, or no word in time: Unknown. What a card said is asked for then, never said again.
- Without the issuer's data (they died with the process that had them) a card is not finished any
  more: the terminal only says how it ended, and one that was not finished by then never will be.
- A word nobody waits for is an authentic late answer of its leg, once; of a leg that this front
  never asked about it is a fault of the terminal.
- Bounded (I11): one exchange a payment, by time; ``ENDED_MAX`` legs remembered for late words.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Protocol

from msgspec import Struct
from twisted.internet.defer import Deferred

from channels.kiosk.config import KioskConfig
from switch.model.chip import SCRIPT_RESULTS, ChipError, journaled
from switch.model.operation import Operation
from switch.model.outcome import Millis, Outcome, Reply, Verb
from switch.model.payment import GiveUp, LegKind, LegPolicy, OnUnknown
from switch.observe.crash import crash_point
from switch.observe.logs import get_logger
from switch.ports import (
    Cancellable,
    CardSecrets,
    JournalDown,
    LateReplies,
    Notices,
    Order,
    Prepared,
    Timeline,
)
from terminal_agent import protocol

_log = get_logger("kiosk")

ENDED_MAX = 4_096
"""Legs remembered after their exchange, the oldest forgotten first: hours of a busy hospital."""
OWE_AGAIN_MS = 1_000

SINCE_VERSION = 2
"""The protocol version that finishes cards on demand."""

DECLINED = "Z1"
"""The code of a card that does not confirm what its bank approved."""
NO_ANSWER = "no_answer"
AWAY = "terminal_away"


class Link(Protocol):
    """A terminal's session, as cards are finished over it."""

    version: int
    """Protocol version its kiosk booted with; 0: not booted yet."""

    def push(self, name: str, body: object, key: str) -> bool:
        """Send an event. False: the link is closing and nothing was sent."""
        ...


class _Asked(Struct, kw_only=True):
    """A leg whose card a terminal was asked about."""

    terminal: str
    leg_index: int
    attempt: int
    said: set[str]
    """What the terminal has said of it."""


class _Exchange:
    """One word that is waited for."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.timer: Cancellable | None = None
        self.ended: Deferred[Reply] = Deferred()

    def end(self, reply: Reply) -> None:
        """Whoever waits goes on; a second end is none."""
        self.stop_timer()
        if not self.ended.called:
            self.ended.callback(reply)

    def stop_timer(self) -> None:
        """It is over, or begun anew."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class Finisher:
    """Counterparty of switch.ports for the finish legs of one front, under the front's name."""

    def __init__(  # noqa: PLR0917 - every argument its own type
        self,
        name: str,
        config: KioskConfig,
        timeline: Timeline,
        late: LateReplies,
        link_of: Callable[[str], Link | None],
        notices: Notices,
    ) -> None:
        """``link_of`` finds the live link of a terminal; ``notices``: what is owed to banks."""
        self.name = name
        self._config = config
        self._timeline = timeline
        self._late = late
        self._link_of = link_of
        self._notices = notices
        self._exchanges: dict[str, _Exchange] = {}
        self._asked: OrderedDict[str, _Asked] = OrderedDict()

    # ---- Counterparty ----------------------------------------------------------------------------

    def policy(self, kind: LegKind, clearing: str, operation: Operation | None = None) -> LegPolicy:
        """Without a word: ask how it ended, then count the card as not finished. It moves no
        money, so nothing of it is undone."""
        config = self._config
        return LegPolicy(
            timeout_ms=config.finish_timeout_ms,
            on_unknown=OnUnknown.ASK,
            give_up=GiveUp.ABANDON,
            lapses=True,
            ask_times=config.finish_ask_times,
            ask_wait_ms=config.finish_ask_wait_ms,
            resend_waits_ms=(config.finish_ask_wait_ms,),
        )

    async def prepare(self, order: Order, secrets: CardSecrets | None) -> Prepared | None:
        """Nothing of it is journaled before the card has spoken."""
        return Prepared()

    async def exchange(self, order: Order, secrets: CardSecrets | None) -> Reply:
        """DO: finish the card. ASK: say how it ended. Raises nothing."""
        key, terminal = order.payment.key, order.payment.terminal
        link = self._link_of(terminal)
        if link is None or link.version < SINCE_VERSION or not order.may_send():
            return Reply(outcome=Outcome.NOT_SENT, code=AWAY, text="终端未连接")
        self._remember(order)
        exchange = _Exchange(link)
        before = self._exchanges.pop(key, None)
        if before is not None:  # of a driver that let go
            before.end(_unknown())
        self._exchanges[key] = exchange
        try:
            crash_point("F1 finish committed, terminal not asked")
            if not link.push(protocol.CARD_FINISH, _wish(order), key):
                return Reply(outcome=Outcome.NOT_SENT, code=AWAY, text="终端未连接")
            due = Millis(self._timeline.now_ms() + self._config.finish_timeout_ms)
            exchange.timer = self._timeline.call_at(due, lambda: exchange.end(_unknown()))
            reply = await exchange.ended
            await self._owe(key, reply)
            return reply
        finally:
            exchange.stop_timer()
            if self._exchanges.get(key) is exchange:
                del self._exchanges[key]

    def release(self, order: Order) -> None:
        """Nothing is held for a leg; what the terminal says of it later is still known."""

    # ---- sessions --------------------------------------------------------------------------------

    def finished(self, terminal: str, key: str, word: protocol.CardFinished) -> None:
        """A terminal says how a card ended. Raises ProtocolError: no leg of its own was asked
        about, or what the chip says cannot be read."""
        asked = self._asked.get(key)
        if asked is None or asked.terminal != terminal:
            raise protocol.ProtocolError("idem", "no card of this payment was asked about", "idem")
        reply = _reply(word)
        repeated = word.result in asked.said
        asked.said.add(word.result)
        exchange = self._exchanges.pop(key, None)
        if exchange is not None:
            exchange.end(reply)
        elif not repeated:
            Deferred.fromCoroutine(self._late_word(key, asked, reply))

    def link_lost(self, link: Link) -> None:
        """Whoever was asked over it may have finished the card: Unknown."""
        for exchange in [one for one in self._exchanges.values() if one.link is link]:
            exchange.end(_unknown())

    async def _late_word(self, key: str, asked: _Asked, reply: Reply) -> None:
        await self._owe(key, reply)
        self._late.late(key, asked.leg_index, asked.attempt, reply)

    async def _owe(self, key: str, reply: Reply) -> None:
        """What its issuer's scripts came to is owed to the bank: durable before the card's end is
        (I4), or a crash in between forgets it. A database that is away would not take that either.
        """
        while SCRIPT_RESULTS in reply.facts.get("chip", ""):
            try:
                await self._notices.owe(key, self._timeline.now_ms())
                return
            except JournalDown as error:
                _log.warning("notice_waits", key=key, why=str(error))
                again: Deferred[None] = Deferred()
                at = Millis(self._timeline.now_ms() + OWE_AGAIN_MS)
                self._timeline.call_at(at, partial(again.callback, None))
                await again

    def _remember(self, order: Order) -> None:
        key = order.payment.key
        known = self._asked.pop(key, None)
        self._asked[key] = _Asked(
            terminal=order.payment.terminal,
            leg_index=order.leg_index,
            attempt=order.leg.attempt,
            said=known.said if known is not None else set(),
        )
        if len(self._asked) > ENDED_MAX:
            self._asked.popitem(last=False)


def _wish(order: Order) -> protocol.CardFinish:
    if order.verb is Verb.ASK or order.issuer is None:
        return protocol.CardFinish(ask=True)
    code = next((leg.code for leg in order.payment.legs if leg.kind is LegKind.DEBIT), "")
    return protocol.CardFinish(code=code, chip=order.issuer.reveal().hex().upper())


def _reply(word: protocol.CardFinished) -> Reply:
    facts = {}
    if word.chip is not None:
        try:
            facts["chip"] = journaled(bytes.fromhex(word.chip.reveal()))
        except ChipError as error:
            raise protocol.ProtocolError("bad_field", str(error), "chip") from None
    if word.result == "confirmed":
        return Reply(outcome=Outcome.DONE, facts=facts)
    return Reply(outcome=Outcome.REFUSED, code=DECLINED, text="卡片未确认本次交易", facts=facts)


def _unknown() -> Reply:
    return Reply(outcome=Outcome.UNKNOWN, code=NO_ANSWER, text="终端未报告卡片结果")
