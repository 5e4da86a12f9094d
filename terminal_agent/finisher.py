"""Finishes cards when the switch says so: the kiosk's half of a chip payment's *finish* leg.

Rules
- How a card ended is in the journal before anybody hears of it, and is for ever: asked again, the
  kiosk says the same again, after a restart too.
- The card that waits is finished once. A card that nobody can finish any more (pulled, another
  payment begun, power lost) is ``declined``: the switch then undoes the debit.
- An end is told until the switch has confirmed it; after a break of the link the ends go first,
  before anything is asked or begun.
"""

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from terminal_agent import protocol
from terminal_agent.crash import crash_point
from terminal_agent.devices.interfaces import DeviceError
from terminal_agent.emv.actions import End, EndKind, HostAnswer, Verdict
from terminal_agent.journal import CardEnd, Journal
from terminal_agent.link import Late, Link, Lost, Refused
from terminal_agent.logs import get_logger

_log = get_logger("finisher")

CONFIRMED = "confirmed"
DECLINED = "declined"
UNREACHABLE = HostAnswer(verdict=Verdict.UNREACHABLE)

Finish = Callable[[HostAnswer], Awaitable[End]]
"""Completes the card that waits; see ``ChipTerminal.finish``."""


class Finisher:
    """One reader's cards. ``link`` is set by the composition root."""

    def __init__(self, journal: Journal, told: Callable[[str], None]) -> None:
        """``told``: a payment's card is being finished, and must stay in."""
        self._journal = journal
        self._told = told
        self._waiting: tuple[str, Finish] | None = None
        self._running: set[str] = set()
        self.link: Link

    def await_answer(self, key: str, finish: Finish) -> None:
        """The card inside waits for the answer to this payment."""
        self._waiting = (key, finish)

    def forget(self) -> None:
        """No card waits any more."""
        self._waiting = None

    async def close(self, key: str, answer: HostAnswer) -> End | None:
        """The payment ended without the switch asking for the card: let the card know (a second
        GENERATE AC, always). None when it does not wait."""
        finish = self._take(key)
        if finish is None:
            return None
        try:
            return await finish(answer)
        except DeviceError as error:
            _log.info("card_not_closed", key=key, reason=str(error))
            return None

    def received(self, envelope: protocol.Envelope) -> None:
        """The event Card.Finish."""
        try:
            asked = protocol.decode_reply(envelope, protocol.CardFinish)
            chip = bytes.fromhex(asked.chip)
        except (protocol.ProtocolError, ValueError):
            _log.warning("bad_event", reason="Card.Finish is not readable")
            return
        key = envelope.idem
        if self._journal.get(key) is None:
            _log.warning("card_of_nobody", key=key)
        elif key not in self._running:
            work = self._finish(key, asked, chip)
            Deferred.fromCoroutine(work).addErrback(self._broken, key)

    def link_came_up(self) -> None:
        """Tell again what the switch may not have."""
        for key in self._journal.card_ends_open():
            self._tell(key)

    async def _finish(self, key: str, asked: protocol.CardFinish, chip: bytes) -> None:
        if self._journal.card_end(key) is None:
            self._running.add(key)
            try:
                end = await self._ended(key, asked, chip)
            finally:
                self._running.discard(key)
            crash_point("T4 card finished, not journaled")
            self._journal.card_ended(end)
            crash_point("T5 card's end journaled, not told")
        self._tell(key)

    async def _ended(self, key: str, asked: protocol.CardFinish, chip: bytes) -> CardEnd:
        """Finish it, or find that nobody can. Raises nothing that a card or reader does."""
        finish = self._take(key)
        if finish is None:
            return CardEnd(key=key, result=DECLINED)
        answer = UNREACHABLE
        if not asked.ask:
            answer = HostAnswer.read(Verdict.APPROVED, asked.code or "00", chip)
        self._told(key)
        try:
            end = await finish(answer)
        except DeviceError as error:
            _log.warning("card_not_finished", key=key, reason=str(error))
            return CardEnd(key=key, result=DECLINED)
        confirmed = end.kind is EndKind.APPROVED
        _log.info("card_finished", key=key, confirmed=confirmed, tvr=end.tvr, tsi=end.tsi)
        undo = end.field55_reversal
        return CardEnd(
            key=key,
            result=CONFIRMED if confirmed else DECLINED,
            chip=undo.reveal() if undo else "",
        )

    def _take(self, key: str) -> Finish | None:
        """The card that waits for this payment, once."""
        if self._waiting is None or self._waiting[0] != key:
            return None
        _, finish = self._waiting
        self._waiting = None
        return finish

    # ---- telling ---------------------------------------------------------------------------------

    def _tell(self, key: str) -> None:
        Deferred.fromCoroutine(self._tell_end(key)).addErrback(self._broken, key)

    async def _tell_end(self, key: str) -> None:
        end = self._journal.card_end(key)
        assert end is not None
        result: protocol.CardResult = "confirmed" if end.result == CONFIRMED else "declined"
        chip = protocol.Chip(end.chip) if end.chip else None
        try:
            await self.link.request(
                protocol.CARD_FINISHED, protocol.CardFinished(result=result, chip=chip), idem=key
            )
        except (Lost, Late):
            return  # told again when the link is back, and whenever the switch asks
        except Refused as refused:
            _log.warning("card_end_not_taken", key=key, reason=str(refused))
            if refused.fault.code in protocol.AGAIN:
                return
        self._journal.card_end_told(key)

    def _broken(self, failure: Failure, key: str) -> None:
        """Named boundary: the switch asks again, and gets what the journal has."""
        _log.error("finishing_failed", key=key, exc_info=failure.value)
