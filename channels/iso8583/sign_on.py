"""A key set and its sign-on session, driven by session.py.

Where the sign-on's answer brings keys, each logical terminal has a session of its own (rule 15 of
docs/payment-law.md). A host sends keys itself, for all our terminals at once: they share one.
Exchanges in flight hold ``busy``; a new sign-on waits until there are none.
"""

from collections.abc import Mapping
from typing import Protocol

from twisted.internet.defer import Deferred

from channels.iso8583.clocks import compare_clocks
from channels.iso8583.config import Config
from channels.iso8583.dialect import Dialect, KeyName
from channels.iso8583.errors import Iso8583Error, RemoteError
from channels.iso8583.key_life import KeyLife
from channels.iso8583.keyblock import KeyBlock, cut_keys
from channels.iso8583.message import Message
from channels.iso8583.new_keys import KeysRefusedError, NewKeys
from channels.iso8583.rules import approves, named_batch, said_time
from channels.iso8583.session import Command, Event, State, step
from channels.iso8583.stans import Stans
from channels.iso8583.template import compiled, filled
from switch.model.outcome import Millis
from switch.observe.logs import get_logger
from switch.ports import (
    Cancellable,
    Context,
    JournalDown,
    KeyServiceError,
    LogicalTerminal,
    WorkingKeys,
)

_log = get_logger("iso8583.sign_on")


class SessionOwner(Protocol):
    """The channel, as a session sees it."""

    @property
    def linked(self) -> bool:
        """Whether any link to the bank is up."""
        ...

    async def manage(self, session: "Session", mti: str, fields: dict[str, str]) -> Message | None:
        """One management exchange; None without an answer. Raises Iso8583Error."""
        ...

    def terminal_ready(self) -> None: ...


class Session:
    """See the module. ``names`` are values of management messages: ``terminal``, ``merchant``."""

    def __init__(
        self,
        *,
        identity: LogicalTerminal,
        names: Mapping[str, str],
        stans: Stans,
        new_keys: NewKeys,
        channel: Config,
        dialect: Dialect,
        context: Context,
        owner: SessionOwner,
    ) -> None:
        self.identity = identity
        self.state = State.OFF
        self.stans = stans
        self.new_keys = new_keys
        self.leaving = False
        self.elsewhere = False
        """Another node holds it, as last seen."""
        self._names_of = names
        self._channel = channel
        self._dialect = dialect
        self._context = context
        self._owner = owner
        self._busy = 0
        self._turn = 0
        self._block: KeyBlock | None = None
        self._batch = ""
        """That the sign-on's answer named; the terminal's once the keys have proven themselves."""
        self._life = KeyLife(new_keys, channel.key_max_age_ms, context.timeline)
        self._looking = False
        """Whether another node has newer keys than those that the bank has refused."""
        self._asked = False
        """New keys were asked for, of age; none has come."""
        self._timer: Cancellable | None = None
        self._renewal: Cancellable | None = None

    # ---- what others ask -------------------------------------------------------------------------

    @property
    def keys(self) -> WorkingKeys | None:
        """The newest set this process knows."""
        return self.new_keys.newest

    @property
    def mak(self) -> str:
        """The newest MAC key under the LMK; empty before there is one."""
        return self.keys.mak if self.keys else ""

    async def newest_mak(self) -> str:
        """As :attr:`mak`; another node may have stored a newer one. Raises JournalDown."""
        if not self.held or not self.mak:
            await self.load()
        return self.mak

    @property
    def held(self) -> bool:
        """This node's at this moment: only then a sign-on leaves it (I13)."""
        return self._context.terminals.holds(self.identity)

    @property
    def usable(self) -> bool:
        """Signed on, by whichever node, with keys young enough for new debits."""
        ours = self.state is State.READY and self.held and not self._looking
        theirs = self.elsewhere and not self.held and not self._dialect.sign_on.brings_keys
        return (ours or theirs) and self._life.young()

    @property
    def changing_keys(self) -> bool:
        """The bank may be at the new keys already, we are not yet: nothing is sent."""
        return not self.idle and self._dialect.sign_on.brings_keys

    def begin(self) -> None:
        """An exchange under these keys begins; a new sign-on waits for its end."""
        self._busy += 1

    def end(self) -> None:
        """It ended."""
        self._busy -= 1
        self._maybe_drained()

    async def load(self) -> None:
        """The newest stored keys: another node may have changed them. Raises JournalDown."""
        await self.new_keys.load()

    # ---- whose it is -----------------------------------------------------------------------------

    @property
    def group(self) -> tuple[str, str]:
        """Nothing can stand in for it."""
        return self.identity.merchant, self.identity.terminal

    @property
    def idle(self) -> bool:
        """No sign-on is under way: it can change hands."""
        return self.state not in {State.SIGNING, State.CHECKING, State.DRAINING}

    @property
    def asleep(self) -> bool:
        """Ours, with a link up, and yet without a session: when it came the lease had run out, or
        the database was away."""
        return self.state is State.OFF and self.held and self._owner.linked

    async def taken(self, *, at_start: bool) -> None:
        """It is this node's now. At the start of a process the first link signs on; later it comes
        from another node, which has done so."""
        if at_start:
            self.connect()
        else:
            await self.resume()

    def lost(self) -> None:
        """It is another node's now, or nobody's."""
        self.feed(Event.LOST)

    async def seen(self, *, elsewhere: bool, generation: int) -> None:
        """What the database says of it; ``generation`` is that of the newest stored keys. Raises
        JournalDown."""
        self.elsewhere = elsewhere
        newer = generation > self.new_keys.generation
        if newer:
            await self.load()
        if newer or self.state is State.AWAITING:  # others than this may have loaded them
            self.keys_reset(frozenset())

    # ---- what happens to it ----------------------------------------------------------------------

    def connect(self) -> None:
        """Sign on if this node may: the session is ours and a link is up."""
        if self.held and self._owner.linked:
            self.feed(Event.LINK_UP)

    async def resume(self) -> None:
        """It came from another node while links are up: go on with its keys, or sign on."""
        try:
            await self.load()
        except JournalDown as error:
            _log.warning("keys_not_loaded", why=str(error), **self._names())
            self._life.refuse()
        if self._life.to_come() or not (self.held and self._owner.linked):
            self.connect()
        else:
            self.feed(Event.RESUMED)

    def refused(self, why: str, generation: int) -> None:
        """77, 99, A0 and their like. A set newer than that generation, perhaps taken by another
        node, ends it; else new keys are wanted."""
        if self.state is not State.READY and not self.elsewhere:
            self.want_sign_on(why)
        elif not self._looking:
            self._looking = True
            Deferred.fromCoroutine(self._look(why, generation)).addErrback(self._defect)

    async def _look(self, why: str, generation: int) -> None:
        try:
            await self.load()
            if self.elsewhere and self.new_keys.generation <= generation:
                # Its holder may send nothing, and never hear it: the session is to come here.
                _log.info("session_wanted", why=why, **self._names())
                self._life.refuse()
                await self._context.terminals.want((self.identity,), self._channel.wish_ms)
        except JournalDown as error:
            _log.warning("keys_not_loaded", why=str(error), **self._names())
        finally:
            self._looking = False
        if self.new_keys.generation > generation:
            _log.info("keys_newer", why=why, **self._names())
            self.keys_reset(frozenset())
            self._owner.terminal_ready()
        elif not self.elsewhere:
            self.want_sign_on(why)

    def want_sign_on(self, why: str) -> None:
        """Whatever the keys are: new ones."""
        if self.state is State.READY:
            _log.info("sign_on_wanted", why=why, **self._names())
            self._life.refuse()
        elif self.elsewhere:
            self.refused(why, self.new_keys.generation)
        self.feed(Event.WANTED)
        self._maybe_drained()

    def keys_reset(self, kinds: frozenset[KeyName]) -> None:
        """Keys that the bank sent itself are stored: these just now by us, others elsewhere."""
        self._life.believe(kinds)
        if not self._life.to_come():
            self.feed(Event.KEYS_RESET)

    async def sign_off(self, timeout_ms: int) -> None:
        """Tell the bank that we leave. Raises nothing; waits ``timeout_ms`` at most."""
        if self.state is State.READY and "sign_off" in self._dialect.network:
            asked = Deferred.fromCoroutine(self._ask("sign_off"))
            asked.addErrback(lambda failure: _log.info("not_signed_off", why=str(failure.value)))
            late = Millis(self._context.timeline.now_ms() + timeout_ms)
            timer = self._context.timeline.call_at(late, asked.cancel)
            await asked
            timer.cancel()

    def stop(self) -> None:
        """Forget the timers."""
        for timer in (self._timer, self._renewal):
            if timer is not None:
                timer.cancel()
        self.feed(Event.LINK_DOWN)

    # ---- the session machine's shell -------------------------------------------------------------

    def feed(self, event: Event) -> None:
        """One event into the table, and what it commands."""
        self.state, commands = step(self.state, event)
        for command in commands:
            self._do(command)

    def _do(self, command: Command) -> None:
        if command is Command.SEND:
            self._turn += 1
            Deferred.fromCoroutine(self._sign_on(self._turn)).addErrback(self._defect)
        elif command is Command.CHECK:
            Deferred.fromCoroutine(self._check(self._turn)).addErrback(self._defect)
        elif command is Command.ASK_KEYS:
            Deferred.fromCoroutine(self._ask_keys()).addErrback(self._defect)
        elif command is Command.ARM_RETRY:
            self._timer = self._after(self._channel.sign_on_retry_ms, Event.RETRY)
        elif command is Command.CANCEL_RETRY and self._timer is not None:
            self._timer.cancel()
        elif command is Command.ALARM:
            _log.error("alarm", invariant="I10", text="sign-on failed", **self._names())
        elif command in {Command.TELL_READY, Command.TELL_RESUMED}:
            self._asked = False
            self._arm_renewal(self._life.renew_at())
            _log.info(
                "resumed" if command is Command.TELL_RESUMED else "signed_on", **self._names()
            )
            self._owner.terminal_ready()

    def _defect(self, failure: object) -> None:
        """Of ours: loud, and tried again like any other failure."""
        _log.error("sign_on_defect", error=str(failure), **self._names())
        self.feed(Event.KEYS_BAD if self.state is State.CHECKING else Event.FAILED)

    async def _sign_on(self, turn: int) -> None:
        """Sign on and read the answer. A result of an earlier turn is nobody's any more."""
        try:
            message = await self._ask("sign_on")
            brings_keys = self._dialect.sign_on.brings_keys
            block = cut_keys(self._dialect, message.fields) if brings_keys else None
            if not self._is(turn, State.SIGNING):
                return
            self._block, self._batch = block, named_batch(self._dialect, message)
            if not brings_keys:
                await self._adopt_batch()
        except (Iso8583Error, JournalDown, KeyServiceError) as error:
            _log.warning("sign_on_failed", why=str(error), **self._names())
            self._tell(turn, Event.FAILED)
            return
        ours = "".join(self._context.timeline.wall_clock())
        theirs, most_ms = said_time(self._dialect, message), self._channel.clock_skew_alarm_ms
        compare_clocks(self.identity.bank, ours, theirs, most_ms)
        if brings_keys:
            self._tell(turn, Event.ANSWERED)
            return
        self._tell(turn, Event.KEYLESS if self._life.to_come() else Event.ACCEPTED)

    async def _ask(self, what: str) -> Message:
        """One management exchange by its name in the dialect. Raises Iso8583Error, JournalDown."""
        template = self._dialect.network[what]
        batch, stan = await self.stans.take()
        date, time = self._context.timeline.wall_clock()
        sent = {"sent_date": date[4:], "sent_time": time, "stan": stan, "batch": batch}
        fields = filled(compiled(template), {**self._names_of, **sent})
        message = await self._owner.manage(self, template.mti, fields)
        if message is None:
            raise RemoteError(what, "no answer")
        if not approves(self._dialect, message.code):
            raise RemoteError("39", f"{what} answered {message.code}")
        return message

    async def _ask_keys(self) -> None:
        """Where the dialect has no such request, the bank sends keys after a sign-on unasked."""
        if "key_request" not in self._dialect.network:
            return
        try:
            await self._ask("key_request")
        except (Iso8583Error, JournalDown, KeyServiceError) as error:
            _log.warning("key_request_failed", why=str(error), **self._names())

    async def _check(self, turn: int) -> None:
        """Import, compare check values, store; only then are the new keys ours, and the batch that
        came with them."""
        assert self._block is not None
        try:
            installed = await self.new_keys.install(self._block)
            if installed and self._is(turn, State.CHECKING):
                await self._adopt_batch()
        except (KeysRefusedError, KeyServiceError, JournalDown) as error:
            _log.error("keys_refused", why=str(error), **self._names())
            self._tell(turn, Event.KEYS_BAD)
            return
        if not installed:
            _log.warning("keys_installed_elsewhere", invariant="I13", **self._names())
        self._tell(turn, Event.KEYS_GOOD if installed else Event.KEYS_BAD)

    async def _adopt_batch(self) -> None:
        if self._batch:
            await self.stans.adopt(self._batch)

    # ---- small things ----------------------------------------------------------------------------

    def _names(self) -> dict[str, str]:
        return {"bank": self.identity.bank, "terminal": self.identity.terminal}

    def _after(self, wait_ms: int, event: Event) -> Cancellable:
        timeline = self._context.timeline
        return timeline.call_at(Millis(timeline.now_ms() + wait_ms), lambda: self.feed(event))

    def _is(self, turn: int, state: State) -> bool:
        """No later turn, neither link nor terminal went away: the result is waited for."""
        return turn == self._turn and self.state is state

    def _tell(self, turn: int, event: Event) -> None:
        if turn == self._turn:
            self.feed(event)

    def _maybe_drained(self) -> None:
        if self.state is State.DRAINING and not self._busy:
            self.feed(Event.DRAINED)

    def _arm_renewal(self, at: Millis) -> None:
        if self._renewal is not None:
            self._renewal.cancel()
        self._renewal = self._context.timeline.call_at(at, self._renew)

    def _renew(self) -> None:
        """A sign-on brings new keys; a host is asked for them, for ever, and payments go on under
        the old ones until they are too old."""
        if self._dialect.sign_on.brings_keys:
            self.want_sign_on("key age")
        elif self.state is State.READY:
            if self._asked:
                _log.error("alarm", invariant="I10", text="no new keys come", **self._names())
            self._asked = True
            self.feed(Event.AGED)
            now_ms = self._context.timeline.now_ms()
            self._arm_renewal(Millis(now_ms + self._channel.sign_on_retry_ms))
