"""What a bank asks of us on a link: new keys, the turn of its day, a sign of life.

A request is answered when what it asks for is done and stored: a key reset after its MAC, its form
and its check value are right and the set is committed (rule 16 of docs/payment-law.md); a turn of
the day after its date is committed (I14). One that proves nothing changes nothing (I10): the old
keys stay, the bank is told by code, and an alarm says so. What we do not know is not answered.

Behaviour at the limit (I11): ``in_flight_limit`` requests are in work; one more is not begun, and
the bank is told at once that it was not done. That is safe to say because nothing here moves money
and everything may be asked again. A copy of a request that is in work gets no word of its own: the
answer that is to come would contradict it.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock

from channels.iso8583.bank_day import BankDay
from channels.iso8583.clocks import sent_mark
from channels.iso8583.config import Config
from channels.iso8583.dialect import Dialect
from channels.iso8583.dialogue import NetworkTemplate, Template
from channels.iso8583.errors import Iso8583Error, RemoteError
from channels.iso8583.hub import Hub
from channels.iso8583.keyblock import cut_keys
from channels.iso8583.link import Link
from channels.iso8583.message import Message
from channels.iso8583.new_keys import KeysRefusedError
from channels.iso8583.recognise import Recogniser
from channels.iso8583.rules import check_complete, said_time
from channels.iso8583.sign_on import Session
from channels.iso8583.template import compiled, filled
from switch.observe import metrics
from switch.observe.logs import get_logger
from switch.ports import JournalDown, KeyServiceError, Timeline

_log = get_logger("iso8583.requests")

Handler = Callable[[Message], Awaitable[tuple[str, str]]]
"""What came → (code of field 39, MAC key of the answer; empty: none)."""

_KEY_RESET = "key_reset"
_OVER_LIMIT = "over_limit"
"""The kind under which requests above the limit are counted."""
_UNKNOWN = "unknown"
_IDENTITY = ("7", "11", "41", "42")


class BankRequests:
    """See the module. ``session_of`` finds the session that a message is for, None: nobody's."""

    def __init__(
        self,
        *,
        hub: Hub,
        dialect: Dialect,
        config: Config,
        day: BankDay,
        timeline: Timeline,
        session_of: Callable[[Message], Session | None],
    ) -> None:
        self._hub = hub
        self._dialect = dialect
        self._limit = config.in_flight_limit
        self._day = day
        self._timeline = timeline
        self._skew_ms = config.clock_skew_alarm_ms
        self._session_of = session_of
        self._recogniser = Recogniser(dialect)
        self._codes = dialect.answers
        self._going: list[tuple[str, ...]] = []
        """Requests in work, each by its type and its numbers."""
        self._one_reset = DeferredLock()
        self._handlers: dict[str, Handler] = {
            _KEY_RESET: self._key_reset,
            "day_cut_start": self._day_cut_start,
            "day_cut_end": self._day_cut_end,
            "echo": self._only_answer,
            "sign_on": self._only_answer,
            "sign_off": self._only_answer,
        }

    def take(self, link: Link, message: Message) -> None:
        """One request from a link."""
        kind = self._recogniser.kind(message)
        handler = self._handlers.get(kind)
        identity = (message.mti, *(message.fields.get(number, "") for number in _IDENTITY))
        if handler is None:
            self._not_taken(message, kind, _UNKNOWN, "nothing that this bank may ask")
            return
        if len(self._going) >= self._limit:
            self._not_taken(message, kind, _OVER_LIMIT, "too many at once")
            if identity not in self._going:
                self._run(self._tell(link, kind, message, self._codes.failed))
            return
        metrics.BANK_REQUESTS.labels(self._hub.name, kind).inc()
        self._going.append(identity)
        serve = self._serve_in_turn if kind == _KEY_RESET else self._serve
        self._run(serve(link, kind, handler, message)).addBoth(
            lambda _: self._going.remove(identity)
        )

    def _not_taken(self, message: Message, kind: str, counted: str, why: str) -> None:
        _log.warning("request_not_taken", bank=self._hub.name, mti=message.mti, kind=kind, why=why)
        metrics.BANK_REQUESTS.labels(self._hub.name, counted).inc()

    def _run(self, work: Coroutine[Any, Any, None]) -> Deferred[None]:
        return Deferred.fromCoroutine(work).addErrback(self._defect)

    def _defect(self, failure: object) -> None:
        _log.error("request_defect", bank=self._hub.name, invariant="I10", error=str(failure))

    async def _serve_in_turn(
        self, link: Link, kind: str, handler: Handler, message: Message
    ) -> None:
        """One at a time: each is a whole generation, and is answered before the next is begun. A
        bank takes the keys that were answered last for the newest."""
        await self._one_reset.acquire()
        try:
            await self._serve(link, kind, handler, message)
        finally:
            self._one_reset.release()

    async def _serve(self, link: Link, kind: str, handler: Handler, message: Message) -> None:
        mak = ""
        try:
            check_complete(self._dialect, message)
            code, mak = await handler(message)
        except (RemoteError, KeysRefusedError) as error:
            code = self._codes.format_error
            self._refused(kind, error)
        except (JournalDown, KeyServiceError) as error:
            code = self._codes.failed
            self._refused(kind, error)
        await self._tell(link, kind, message, code, mak)

    async def _tell(
        self, link: Link, kind: str, message: Message, code: str, mak: str = ""
    ) -> None:
        if not link.usable:
            _log.warning("request_not_answered", bank=self._hub.name, kind=kind, code=code)
            return
        try:
            link.send(await self._answer(self._dialect.network[kind], message, code, mak))
        except (Iso8583Error, KeyServiceError) as error:
            _log.error("request_not_answered", bank=self._hub.name, kind=kind, why=str(error))

    def _refused(self, kind: str, error: Exception) -> None:
        if kind == _KEY_RESET:
            text = "a key reset of the bank was refused: the old keys stay"
            _log.error("alarm", bank=self._hub.name, invariant="I10", text=text, why=str(error))
        else:
            _log.warning("request_refused", bank=self._hub.name, kind=kind, why=str(error))

    async def _answer(
        self, template: NetworkTemplate, message: Message, code: str, mak: str
    ) -> bytes:
        """What an answer of this bank repeats, what the dialect adds, the code, and the MAC."""
        rule = self._dialect.mtis[message.mti]
        came = message.fields
        fields = {n: came[n] for n in self._dialect.answers.echo if n in came}
        values = {f"F{number}": value for number, value in came.items()}
        said = Template(mti=rule.answer, fields=template.answer)
        fields |= filled(compiled(said), values) | {"39": code}
        return await self._hub.answering(message, rule.answer, fields, mak if rule.maced else "")

    # ---- by kind of request ----------------------------------------------------------------------

    async def _only_answer(self, message: Message) -> tuple[str, str]:
        """It asks whether we are there."""
        return self._codes.accepted, ""

    async def _key_reset(self, message: Message) -> tuple[str, str]:
        session = self._session_of(message)
        if session is None:
            raise RemoteError("41", "a key reset for a terminal that is not ours")
        block = cut_keys(self._dialect, message.fields)
        proof = await session.new_keys.proof(block)
        maced = self._dialect.mtis[message.mti].maced
        if maced and not await self._hub.proves(message, proof):
            self._refused(_KEY_RESET, RemoteError(self._dialect.mac.field, "wrong MAC"))
            return self._codes.wrong_mac, ""
        ours, theirs = "".join(self._timeline.wall_clock()), said_time(self._dialect, message)
        sent = sent_mark(ours, theirs, message.fields.get("11", ""), self._skew_ms)
        kinds = await session.new_keys.install_pushed(block, proven=maced, sent=sent)
        _log.info("keys_reset", bank=self._hub.name, kinds=sorted(map(str, kinds)))
        session.keys_reset(kinds)
        return self._codes.accepted, proof

    async def _day_cut_start(self, message: Message) -> tuple[str, str]:
        """The bank is about to turn its day; payments that it does not take now it answers 90."""
        _log.info("day_cut_start", bank=self._hub.name)
        return self._codes.accepted, ""

    async def _day_cut_end(self, message: Message) -> tuple[str, str]:
        turned = await self._day.turned()
        return self._codes.accepted if turned else self._codes.format_error, ""
