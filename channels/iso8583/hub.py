"""The hub of one bank: its links, its MUX, and the proof every answer must give.

An answer counts only when its MAC is right, everything mandatory is in it and it echoes our
amount, trace and terminal. One that does not changes nothing (I10): it is counted, the exchange
keeps waiting for the true one, and ends Unknown when its time is over.
"""

from collections.abc import Mapping
from typing import Protocol

from twisted.internet.defer import Deferred

from channels.iso8583.codec import Codec
from channels.iso8583.config import Config
from channels.iso8583.errors import RemoteError
from channels.iso8583.exchange import Exchange
from channels.iso8583.headers import PosHeader
from channels.iso8583.link import Link
from channels.iso8583.mac import MacMaker
from channels.iso8583.message import Message
from channels.iso8583.mux import Key, Match, Mux, shown
from channels.iso8583.rules import approves, check_complete, check_echo, unproven
from channels.iso8583.trace import Trace
from switch.model.outcome import Millis
from switch.observe import metrics
from switch.observe.logs import get_logger
from switch.ports import JournalDown, KeyService, KeyServiceError, Timeline

_log = get_logger("iso8583")

_SHOWN_KEYS_MAX = 5
"""Keys in flight that are named when an answer matches none of them."""


class HubOwner(Protocol):
    """The channel, as the hub sees it."""

    def links_changed(self, *, first: bool, last: bool) -> None:
        """``first``: the first link came; ``last``: the last one went."""
        ...

    def request(self, link: Link, message: Message) -> None:
        """The bank asks something of us."""
        ...

    def late(self, exchange: Exchange, message: Message) -> None: ...

    def wants_sign_on(self, exchange: Exchange) -> None:
        """The bank asked for it in a proven answer's header (处理要求)."""
        ...

    def link_suspended(self) -> None: ...

    def link_idle(self, link: Link) -> None: ...


class Hub:
    """Sends requests, finds and proves their answers. ``name`` is the bank's, for logs."""

    def __init__(
        self,
        *,
        name: str,
        codec: Codec,
        config: Config,
        timeline: Timeline,
        key_service: KeyService,
        owner: HubOwner,
        trace: Trace | None = None,
    ) -> None:
        self.name = name
        self.codec = codec
        self.links: list[Link] = []
        self._dialect = codec.dialect
        self.macs = MacMaker(codec.dialect)
        self._config = config
        self._timeline = timeline
        self._key_service = key_service
        self._owner = owner
        self._trace = trace
        self._mux: Mux[Exchange] = Mux(codec.dialect, config.expired_limit)
        self._in_flight = metrics.BANK_IN_FLIGHT.labels(name)
        self._wrong_macs = metrics.MAC_FAILURES.labels(name)
        self._unmatched = metrics.UNMATCHED_REPLIES.labels(name)

    # ---- out -------------------------------------------------------------------------------------

    def pick(self, preferred: str = "") -> Link | None:
        """The link by this name, else the least busy one; one that is doubtful only when all are.
        None when all are down."""
        usable = [link for link in self.links if link.usable]
        sure = [link for link in usable if not link.doubtful] or usable
        for link in sure:
            if link.name == preferred:
                return link
        return min(sure, key=lambda link: link.in_flight, default=None)

    async def with_mac(self, mti: str, fields: dict[str, str], mak: str) -> bytes:
        """The encoded message, its MAC made by the HSM over what is sent.

        ``fields`` must hold the MAC field's placeholder. Raises LocalError, KeyServiceError.
        """
        return await self._sealed(self.codec.encode(mti, fields), mti, fields, mak)

    async def _sealed(self, encoded: bytes, mti: str, fields: Mapping[str, str], mak: str) -> bytes:
        data = self.macs.input(mti, fields, self.codec.mab(encoded))
        return self.macs.sealed(
            encoded, await self._key_service.make_mac(mak, data, self.macs.form)
        )

    def expect(self, mti: str, exchange: Exchange) -> None:
        """Wait for the answer to a request about to be sent. Raises LocalError (MUX key taken)."""
        exchange.key = self._mux.expect(mti, exchange.fields, exchange)
        self._in_flight.set(len(self._mux))

    def remember(self, mti: str, exchange: Exchange) -> None:
        """An exchange that an earlier process, or another node, left without an answer."""
        exchange.partial = True
        exchange.key = self._mux.remember(mti, exchange.fields, exchange)

    async def answer(self, exchange: Exchange, link: Link, timeout_ms: int) -> Message | None:
        """The proven answer to what was just written on ``link``, or None when time is over."""
        exchange.link = link
        link.in_flight += 1
        sent_at = self._timeline.now_ms()
        exchange.timer = self._timeline.call_at(
            Millis(self._timeline.now_ms() + timeout_ms), lambda: self._expire(exchange)
        )
        try:
            message = await exchange.answered
        finally:
            link.in_flight -= 1
            self._in_flight.set(len(self._mux))
        if message is None and link.usable and link.received_at <= sent_at:
            self._doubt(link)
        return message

    def _doubt(self, link: Link) -> None:
        """Nothing at all came on it since the request: half open, perhaps. Other links carry what
        comes next, and it is asked for a sign of life now and not when it has been idle."""
        if not link.doubtful:
            link.doubtful = True
            _log.warning("link_doubtful", bank=self.name, link=link.name)
            self._owner.link_idle(link)

    async def answering(self, to: Message, mti: str, fields: dict[str, str], mak: str) -> bytes:
        """The encoded answer to a request of the bank, MACed where ``mak`` is given. Raises
        LocalError, KeyServiceError."""
        if not mak:
            return self.codec.answer(to, mti, fields)
        fields[self._dialect.mac.field] = self.macs.blank
        return await self._sealed(self.codec.answer(to, mti, fields), mti, fields, mak)

    async def proves(self, message: Message, mak: str) -> bool:
        """Whether a message's MAC is right under ``mak``. Raises KeyServiceError."""
        mac = message.fields.get(self._dialect.mac.field, "")
        if not (mac and mak):
            return False
        data = self.macs.input(message.mti, message.fields, message.mab)
        return await self._key_service.check_mac(mak, data, mac.encode(), self.macs.form)

    # ---- LinkOwner -------------------------------------------------------------------------------

    def link_up(self, link: Link) -> None:
        self.links.append(link)
        self._show(link)
        _log.info("link_up", bank=self.name, link=link.name)
        self._owner.links_changed(first=len(self.links) == 1, last=False)

    def link_down(self, link: Link) -> None:
        if link in self.links:
            self.links.remove(link)
        self._show(link)
        _log.warning("link_down", bank=self.name, link=link.name)
        self._owner.links_changed(first=False, last=not self.links)

    def _show(self, link: Link) -> None:
        """One series for each configured link; a bank that dials us may have several connections
        on one, and closes the old after the new is there."""
        up = any(other.entry == link.entry for other in self.links)
        metrics.LINK_UP.labels(self.name, link.entry).set(up)

    def idle(self, link: Link) -> None:
        """An empty frame first, where the bank knows that; then a question that must be
        answered."""
        if self._dialect.idle_frames and link.nudge():
            return
        link.doubtful = True
        self._owner.link_idle(link)

    def frame(self, link: Link, frame: bytes) -> None:
        """One frame from a link; an empty one is a heartbeat."""
        if not frame:
            return
        try:
            message = self.codec.decode(frame)
            if self._dialect.mtis[message.mti].answer and not message.lead.rejected:
                self._owner.request(link, message)
                return
            key = self._mux.key_of(message.mti, message.fields)
        except RemoteError as error:
            self._not_understood(link, error)
            return
        match, exchange = self._mux.find(key)
        if exchange is None:
            self._note(link, message, f"nobody waits for it: {match}")
            self._nobodys(match, key)
            return
        Deferred.fromCoroutine(self._prove(link, key, exchange, message)).addErrback(
            self._defect, exchange
        )

    # ---- in --------------------------------------------------------------------------------------

    async def _prove(self, link: Link, key: Key, exchange: Exchange, message: Message) -> None:
        try:
            check_complete(self._dialect, message)
            authentic = await self._authentic(exchange, message)
            if authentic:
                check_echo(self._dialect, exchange.fields, message, partial=exchange.partial)
        except RemoteError as error:
            _log.warning(
                "answer_invalid", bank=self.name, key=shown(key), path=error.path, rule=error.rule
            )
            self._note(link, message, f"not proven: {error}")
            self._distrust(link, exchange)
            return
        except (KeyServiceError, JournalDown) as error:
            _log.error("answer_unchecked", bank=self.name, key=shown(key), error=str(error))
            exchange.verifier_down = True
            self._expire(exchange)
            return
        if not authentic:
            self._wrong_macs.inc()
            _log.error("wrong_mac", bank=self.name, key=shown(key), invariant="I10")
            self._note(link, message, "not proven: wrong MAC; it changes nothing")
            self._distrust(link, exchange)
            return
        link.wrong_macs = 0
        self._note(link, message, f"proven: {message.code}")
        self._take(key, exchange, message)

    def _take(self, key: Key, exchange: Exchange, message: Message) -> None:
        """A proven answer: once, and to whoever waits for it now."""
        match, waiting = self._mux.find(key)
        if waiting is not exchange:
            self._nobodys(match, key)
            return
        if unproven(self._dialect, message):
            self._mux.expired(key)  # what may still come with a MAC must find its payment (I5)
        else:
            self._mux.answered(key)
        metrics.count_response_code(self.name, message.code)
        header = message.header
        if isinstance(header, PosHeader) and header.demand in self._dialect.header_demands_sign_on:
            self._owner.wants_sign_on(exchange)
        if match is Match.LATE:
            self._owner.late(exchange, message)
            return
        if exchange.timer is not None:
            exchange.timer.cancel()
        exchange.answered.callback(message)

    async def _authentic(self, exchange: Exchange, message: Message) -> bool:
        """Whether the MAC is right, or there rightly is none."""
        if not self._dialect.mtis[message.mti].maced:
            return True
        mac = message.fields.get(self._dialect.mac.field)
        if mac is None:
            code = message.code
            return code in self._dialect.mac.unmaced and not approves(self._dialect, code)
        data = self.macs.input(message.mti, message.fields, message.mab)
        proof = (data, mac.encode(), self.macs.form)
        if await self._key_service.check_mac(exchange.mak, *proof):
            return True
        newest = await exchange.owner.newest_mak()
        if newest == exchange.mak:
            return False
        return await self._key_service.check_mac(newest, *proof)

    def _note(self, link: Link, message: Message, text: str) -> None:
        if self._trace is not None:
            self._trace.reading(link.name, message, text)

    def _distrust(self, link: Link, exchange: Exchange) -> None:
        exchange.suspect = True
        link.wrong_macs += 1
        if link.wrong_macs >= self._config.max_wrong_macs:
            link.wrong_macs = 0
            link.drop("too many answers in a row that do not prove themselves")
            self._owner.link_suspended()

    def _expire(self, exchange: Exchange) -> None:
        if exchange.answered.called:
            return
        if exchange.timer is not None:
            exchange.timer.cancel()
        self._mux.expired(exchange.key)
        exchange.answered.callback(None)

    def _not_understood(self, link: Link, error: RemoteError) -> None:
        _log.warning(
            "frame_not_understood",
            bank=self.name,
            link=link.name,
            path=error.path,
            rule=error.rule,
        )
        self._unmatched.inc()

    def _nobodys(self, match: Match, key: Key) -> None:
        if match is Match.DUPLICATE:
            _log.info("duplicate_answer", bank=self.name, key=shown(key))
            return
        self._unmatched.inc()
        in_flight = [shown(exchange.key) for exchange in self._mux.waiting[:_SHOWN_KEYS_MAX]]
        _log.warning("unmatched_answer", bank=self.name, key=shown(key), in_flight=in_flight)

    def _defect(self, failure: object, exchange: Exchange) -> None:
        """A defect of ours: the answer counts as unproven, and the exchange ends by its timer."""
        _log.error("answer_failed", bank=self.name, key=shown(exchange.key), error=str(failure))
        exchange.suspect = True
