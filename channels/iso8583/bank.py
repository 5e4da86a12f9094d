"""One bank as we hold it: links, sessions of its logical terminals, MUX, echo.

What is done with it (sale, reversal, balance) is :mod:`channels.iso8583.channel`.
"""

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct
from twisted.internet.defer import Deferred, gatherResults

from channels.iso8583.bank_day import BankDay
from channels.iso8583.bank_requests import BankRequests
from channels.iso8583.codec import Codec
from channels.iso8583.config import ClientLink, Config, TerminalConfig
from channels.iso8583.dial import Dialer, Listener
from channels.iso8583.dialect import Dialect
from channels.iso8583.dialogue import Template
from channels.iso8583.errors import LocalError, NoLinkError, NotOursError
from channels.iso8583.exchange import Exchange, Origin
from channels.iso8583.holdings import Holdings
from channels.iso8583.hub import Hub
from channels.iso8583.link import Link
from channels.iso8583.load import load_dialect
from channels.iso8583.message import Message
from channels.iso8583.new_keys import NewKeys
from channels.iso8583.pool import Pool, pool_limits
from channels.iso8583.replies import raises_alarm, reply_to_sale, wants_sign_on
from channels.iso8583.rules import remembered
from channels.iso8583.session import Event
from channels.iso8583.sign_on import Session
from channels.iso8583.stans import Stans
from channels.iso8583.template import compiled, filled, terminal_block
from channels.iso8583.terminal import Terminal
from channels.iso8583.trace import Trace
from channels.iso8583.writes import Write
from switch.observe import metrics
from switch.observe.logs import get_logger
from switch.ports import Context, JournalDown, LogicalTerminal

_log = get_logger("iso8583")

_NO_BATCH = "000000"


class Sent(Struct, frozen=True):
    """One exchange that went out, ended: its proven answer, or why there is none."""

    answer: Message | None
    suspect: bool
    unchecked: bool
    link: str
    generation: int
    """Of the keys that it went out under."""


class Bank:
    """See the module. Implements the owners that hub and terminals report to."""

    def __init__(self, name: str, config: Config, dialect: Dialect, context: Context) -> None:
        self.name = name
        self.dialect = dialect
        self._config = config
        self._context = context
        self._timeline = context.timeline
        codec = Codec(dialect)
        self.trace = Trace(name, config.trace, codec, self._timeline) if config.trace else None
        self.hub = Hub(
            name=name,
            codec=codec,
            config=config,
            timeline=context.timeline,
            key_service=context.key_service,
            owner=self,
            trace=self.trace,
        )
        self.sessions: list[Session] = []
        self.terminals = self._built(config.terminals)
        terminals = tuple(self.terminals.values())
        limits = pool_limits(config)
        self.pool = Pool(name, terminals, limits, context.timeline, self._demand_changed)
        shared = () if dialect.sign_on.brings_keys else tuple(self.sessions)
        self._holdings = Holdings(
            bank=name,
            things=(*shared, *terminals),
            pool=self.pool,
            config=config,
            context=context,
            looked=self._looked,
        )
        self.day = BankDay(name, config, context)
        self._requests = BankRequests(
            hub=self.hub,
            dialect=dialect,
            config=config,
            day=self.day,
            timeline=self._timeline,
            session_of=self._session_of,
        )
        self._doors = [self._door(number) for number in range(len(config.links))]
        self._echo_template = dialect.network["echo"]
        self._echo = compiled(self._echo_template)
        self._remembered = remembered(dialect)

    # ---- life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Load the keys of the last sign-on, take the terminals that are free, open the links."""
        Deferred.fromCoroutine(self._start()).addErrback(
            lambda failure: _log.error("start_failed", bank=self.name, error=str(failure))
        )

    async def _start(self) -> None:
        for session in self.sessions:
            try:
                await session.load()
            except JournalDown as error:
                # Sign-on makes new ones; installing them compares generations and loads again.
                _log.warning("keys_not_loaded", bank=self.name, why=str(error))
        await self.day.refresh()
        await self._holdings.start()
        for door in self._doors:
            door.start()

    async def stop(self) -> None:
        """Sign off where no other node goes on, give the terminals up, close the links; exchanges
        in flight end Unknown by their timers."""
        if await self._holdings.alone():
            offs = [session.sign_off(self._config.echo_timeout_ms) for session in self.sessions]
            await gatherResults([Deferred.fromCoroutine(off) for off in offs])
        await self._holdings.stop()
        for door in self._doors:
            door.stop()
        for session in self.sessions:
            session.stop()

    def _demand_changed(self) -> None:
        """Of the pool: other nodes' terminals are wanted, or one of ours can go."""
        self._holdings.look_soon()

    async def _looked(self) -> None:
        """Now and then, beside the look at the terminals: what another node heard of the day."""
        if "day_cut_end" in self.dialect.network:
            await self.day.refresh()

    # ---- sending ---------------------------------------------------------------------------------

    async def send(
        self,
        mti: str,
        fields: dict[str, str],
        terminal: Terminal,
        write: Write,
        *,
        origin: Origin | None = None,
        preferred_link: str = "",
        may_send: Callable[[], bool] | None = None,
        about: str = "",
    ) -> Sent:
        """One exchange. Raises KeyServiceError and Iso8583Error, both before the write only.

        ``may_send`` is asked after all waiting, just before the write (I13).
        ``about``: the payment's key for the record, where there is no ``origin``."""
        terminal.begin()
        try:
            mak, under = terminal.mak, terminal.keys
            if self.dialect.mtis[mti].maced:
                fields[self.dialect.mac.field] = self.hub.macs.blank
                encoded = await self.hub.with_mac(mti, fields, mak)
            else:
                encoded = self.hub.codec.encode(mti, fields)
            link = self.hub.pick(preferred_link)
            if link is None:
                raise NoLinkError
            if may_send is not None and not may_send():
                raise NotOursError
            # What is kept to know the answer by holds no secret (I12).
            kept = {number: fields[number] for number in self._remembered if number in fields}
            exchange = Exchange(kept, terminal, mak, origin)
            self.hub.expect(mti, exchange)
            write(link, encoded)
            if self.trace is not None:
                self.trace.about(link.name, kept, about or (origin.payment_key if origin else ""))
            answer = await self.hub.answer(exchange, link, self._config.response_timeout_ms)
        finally:
            terminal.end()
        generation = under.generation if under is not None else 0
        return Sent(answer, exchange.suspect, exchange.verifier_down, link.name, generation)

    def remember(
        self, template: Template, facts: Mapping[str, str], terminal: Terminal, origin: Origin
    ) -> None:
        """The sale that is being reversed: its approval may still come, though this process never
        sent it, and it must find its payment (I5). What the journal has no field for is made again
        where it can be: F7 is the moment of sending. F2 is there as the vault wrote it: unknown."""
        values = {**facts, "date": facts.get("sent_date", ""), "time": facts.get("sent_time", "")}
        made = filled(compiled(template), values)
        sale = {n: facts.get(f"F{n}") or made.get(n, "") for n in self._remembered}
        known = {number: value for number, value in sale.items() if value and number != "2"}
        self.hub.remember(template.mti, Exchange(known, terminal, terminal.mak, origin))

    def follow_up(self, terminal: Terminal, message: Message, generation: int) -> None:
        """What a proven answer to a message under such keys asks of us besides its outcome."""
        if wants_sign_on(self.dialect, message):
            terminal.session.refused(f"answered {message.code}", generation)
        if raises_alarm(self.dialect, message):
            _log.error(
                "alarm", bank=self.name, code=message.code, text="the bank refuses our set-up"
            )

    # ---- HubOwner --------------------------------------------------------------------------------

    def links_changed(self, *, first: bool, last: bool) -> None:
        """Sign on with the first link what is ours; the sessions end with the last."""
        for session in self.sessions:
            if first:
                session.connect()
            elif last:
                session.feed(Event.LINK_DOWN)

    def request(self, link: Link, message: Message) -> None:
        """The bank asks something of us."""
        self._requests.take(link, message)

    def _session_of(self, message: Message) -> Session | None:
        """By its terminal; at a host, which may leave terminal and merchant out, the one that all
        share, if what it does name is ours."""
        named = message.fields.get("42", "").strip(), message.fields.get("41", "").strip()
        if self.dialect.sign_on.brings_keys or all(named):
            terminal = self.terminals.get(named)
            return terminal.session if terminal is not None else None
        ours = any(set(named) <= {"", *name} for name in self.terminals)
        return self.sessions[0] if ours else None

    def late(self, exchange: Exchange, message: Message) -> None:
        """A proven answer nobody waits for any more: an event of its payment, never lost (I5)."""
        if exchange.origin is None:
            _log.info("late_answer", bank=self.name, code=message.code)
            return
        reply = reply_to_sale(self.dialect, message)
        origin = exchange.origin
        self._context.late.late(origin.payment_key, origin.leg_index, origin.attempt, reply)

    def wants_sign_on(self, exchange: Exchange) -> None:
        """处理要求 in the answer's header."""
        if isinstance(exchange.owner, Terminal | Session):
            exchange.owner.want_sign_on("the answer's header asks for it")

    def link_suspended(self) -> None:
        """Unauthentic answers in a row: whoever is right, new keys end the quarrel."""
        for session in self.sessions:
            session.want_sign_on("link suspended")

    def link_idle(self, link: Link) -> None:
        """Nothing came for a while: ask for a sign of life."""
        Deferred.fromCoroutine(self._ask_for_life(link)).addErrback(
            lambda failure: _log.error("echo_failed", bank=self.name, error=str(failure))
        )

    async def _ask_for_life(self, link: Link) -> None:
        """Echo on an idle link; silence means half open: drop it, the door dials again."""
        terminal = next(iter(self.terminals.values()))
        try:
            fields = filled(self._echo, await self._echo_values(terminal))
            exchange = Exchange(fields, terminal, "", None)
            encoded = self.hub.codec.encode(self._echo_template.mti, fields)
            self.hub.expect(self._echo_template.mti, exchange)
        except (LocalError, JournalDown) as error:
            # Another link's echo is out under the same key, or there is no number for this one:
            # this link is asked next time.
            _log.info("echo_skipped", bank=self.name, link=link.name, why=str(error))
            return
        asked_at = link.received_at
        link.send(encoded)
        await self.hub.answer(exchange, link, self._config.echo_timeout_ms)
        if link.up and link.received_at == asked_at:
            link.drop("no answer to the echo: half open")

    async def _echo_values(self, terminal: Terminal) -> dict[str, str]:
        """A STAN only where the dialect's echo has one. Raises JournalDown."""
        batch, stan = terminal.stans.batch, ""
        if "11" in self._echo_template.fields:
            batch, stan = await terminal.stans.take()
        date, time = self._timeline.wall_clock()
        return {
            "batch": batch or _NO_BATCH,
            "stan": stan,
            "sent_date": date[4:],
            "sent_time": time,
            "terminal": terminal.config.terminal,
            "merchant": terminal.config.merchant,
        }

    # ---- SessionOwner ----------------------------------------------------------------------------

    @property
    def linked(self) -> bool:
        """Whether any link is up."""
        return bool(self.hub.links)

    async def manage(self, session: Session, mti: str, fields: dict[str, str]) -> Message | None:
        """One management exchange; None without an answer. Raises Iso8583Error (no link:
        NoLinkError)."""
        encoded = self.hub.codec.encode(mti, fields)
        link = self.hub.pick()
        if link is None:
            raise NoLinkError
        if not session.held:
            raise NotOursError
        exchange = Exchange(fields, session, "", None)
        self.hub.expect(mti, exchange)
        link.send(encoded)
        return await self.hub.answer(exchange, link, self._config.response_timeout_ms)

    def terminal_ready(self) -> None:
        """Whoever waits in line may go."""
        self.pool.serve()

    # ---- parts -----------------------------------------------------------------------------------

    def _built(self, configs: Sequence[TerminalConfig]) -> dict[tuple[str, str], Terminal]:
        """The terminals, each with its session; at a host all share one."""
        shared = None
        if not self.dialect.sign_on.brings_keys:
            shared = self._session(self._all, self._stans(self._all), configs[0])
        terminals = {}
        for one in configs:
            identity = LogicalTerminal(bank=self.name, merchant=one.merchant, terminal=one.terminal)
            stans = self._stans(identity)
            terminals[one.merchant, one.terminal] = Terminal(
                config=one,
                dialect=self._dialect_of(one),
                identity_block=terminal_block(self.dialect, one.serial),
                stans=stans,
                session=shared or self._session(identity, stans, one),
                context=self._context,
            )
        return terminals

    def _dialect_of(self, one: TerminalConfig) -> Dialect:
        """The bank's, with the terminal's own operator number."""
        return load_dialect(self._config.dialect, one.operator) if one.operator else self.dialect

    @property
    def _all(self) -> LogicalTerminal:
        """Whose what all terminals share is."""
        return LogicalTerminal(bank=self.name, merchant="", terminal="")

    def _stans(self, identity: LogicalTerminal) -> Stans:
        counter = self._all if self.dialect.stan_scope == "bank" else identity
        return Stans(self._context.numbers, counter, self._config.stan_block)

    def _session(self, identity: LogicalTerminal, stans: Stans, config: TerminalConfig) -> Session:
        kept = bool(config.kiosk)
        session = Session(
            identity=identity,
            names={
                "merchant": identity.merchant,
                "terminal": identity.terminal,
                "terminal_block": terminal_block(self.dialect, config.serial),
            },
            stans=stans,
            new_keys=NewKeys(identity, config.tmk, self._context, keeps_cryptogram=kept),
            channel=self._config,
            dialect=self._dialect_of(config),
            context=self._context,
            owner=self,
        )
        self.sessions.append(session)
        return session

    # ---- doors -----------------------------------------------------------------------------------

    def _door(self, number: int) -> Dialer | Listener:
        where = self._config.links[number]
        name = f"{self.name}-{number + 1}"
        metrics.LINK_UP.labels(self.name, name).set(0)  # down until it is up, though it never is
        if isinstance(where, ClientLink):
            return Dialer(
                bank=self.name,
                name=name,
                where=where,
                config=self._config,
                reactor=self._context.reactor,
                timeline=self._timeline,
                random=self._context.random,
                new_link=self._new_link,
            )
        return Listener(name, where, self._context.reactor, self._new_link)

    def _new_link(self, name: str, expected: frozenset[str] | None) -> Link:
        prefix = self.dialect.length_prefix
        watch = self.trace.frame if self.trace is not None else None
        return Link(
            name, self.hub, self._timeline, self._config, prefix, expected=expected, watch=watch
        )
