"""One logical terminal: its keys, its numbers and its sign-on session, driven by session.py.

The owner of a key set, a batch and a STAN counter is (bank, F42, F41) (rule 15 of
docs/payment-law.md). Exchanges in flight hold ``busy``; a new sign-on waits until there are none.
"""

from typing import Protocol

from twisted.internet.defer import Deferred

from channels.iso8583.clocks import clock_skew_ms
from channels.iso8583.config import Config, TerminalConfig
from channels.iso8583.dialect import Dialect
from channels.iso8583.errors import Iso8583Error, RemoteError
from channels.iso8583.keyblock import KeyBlock, cut_keys, same_kcv
from channels.iso8583.message import Message
from channels.iso8583.rules import approves
from channels.iso8583.session import Command, Event, State, step
from channels.iso8583.stans import Stans
from channels.iso8583.template import compiled, filled, terminal_block
from switch.model.outcome import Millis
from switch.observe.crash import crash_point
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

PIK_TYPE = "001"
"""Key type of a PIK at the HSM: zone PIN key (ZPK)."""
MAK_TYPE = "003"
"""Key type of a MAK at the HSM: TAK."""


class KeysRefusedError(Exception):
    """The keys of a sign-on answer are not usable; the old set stays. The text names the rule."""


class TerminalOwner(Protocol):
    """The channel, as a terminal sees it."""

    @property
    def linked(self) -> bool:
        """Whether any link to the bank is up."""
        ...

    async def send_sign_on(
        self, terminal: "Terminal", mti: str, fields: dict[str, str]
    ) -> Message | None:
        """One 0800 exchange; None without a link or an answer. Raises Iso8583Error."""
        ...

    def terminal_ready(self) -> None: ...


class Terminal:
    """See the module. ``config`` names it; ``leases`` counts the payments that hold it."""

    def __init__(
        self,
        *,
        bank: str,
        config: TerminalConfig,
        channel: Config,
        dialect: Dialect,
        context: Context,
        owner: TerminalOwner,
    ) -> None:
        self.config = config
        self.identity = LogicalTerminal(
            bank=bank, merchant=config.merchant, terminal=config.terminal
        )
        self.state = State.OFF
        self.keys: WorkingKeys | None = None
        self.stans = Stans(context.numbers, self.identity, channel.stan_block)
        self.leases = 0
        self.leaving = False
        """Another node is to have it: no new payment begins on it."""
        self.elsewhere = False
        """Another node holds it, as last seen."""
        self.settling = False
        """Its batch settles: no new payment begins on it."""
        self._channel = channel
        self._dialect = dialect
        self._context = context
        self._owner = owner
        self._request = dialect.network["sign_on"]
        self.identity_block = terminal_block(dialect, config.serial)
        self._fills = compiled(self._request)
        self._busy = 0
        self._turn = 0
        self._block: KeyBlock | None = None
        self._timer: Cancellable | None = None
        self._renewal: Cancellable | None = None

    # ---- what the channel asks -------------------------------------------------------------------

    @property
    def mak(self) -> str:
        """The newest MAC key under the LMK; empty before the first sign-on ever."""
        return self.keys.mak if self.keys else ""

    async def newest_mak(self) -> str:
        """As :attr:`mak`; another node that holds the terminal may have stored a newer one. Raises
        JournalDown."""
        if not self.held or not self.mak:
            await self.load()
        return self.mak

    @property
    def held(self) -> bool:
        """This node's at this moment: only then a debit or a sign-on leaves it (I13)."""
        return self._context.terminals.holds(self.identity)

    @property
    def fresh(self) -> bool:
        """Ours and signed on, with keys young enough for new debits (reversals do not ask)."""
        if self.state is not State.READY or self.keys is None or not self.held:
            return False
        return self._age_ms() < self._channel.key_max_age_ms

    @property
    def asleep(self) -> bool:
        """Ours, with a link up, and yet without a session: when it came the lease had run out, or
        the database was away."""
        return self.state is State.OFF and self.held and self._owner.linked

    @property
    def idle(self) -> bool:
        """No payment has it and no sign-on is under way: it can change hands."""
        return not (self.leases or self.changing_keys)

    @property
    def changing_keys(self) -> bool:
        """The bank may be at the new keys already, we are not yet: nothing is sent."""
        return self.state in {State.SIGNING, State.CHECKING, State.DRAINING}

    def begin(self) -> None:
        """An exchange under this terminal's keys begins; a new sign-on waits for its end."""
        self._busy += 1

    def end(self) -> None:
        """It ended."""
        self._busy -= 1
        self._maybe_drained()

    async def load(self) -> None:
        """The newest stored keys: for reversals until the first sign-on of this process, and
        whenever another node may have signed on since. Raises JournalDown."""
        self.keys = await self._context.keys.load(self.identity)

    def connect(self) -> None:
        """Sign on if this node may: the terminal is ours and a link is up."""
        if self.held and self._owner.linked:
            self.feed(Event.LINK_UP)

    async def resume(self) -> None:
        """It came from another node while links are up: go on where that one stopped, with its
        keys and with numbers of the newest batch; without good keys, sign on."""
        self.stans.forget()
        try:
            await self.load()
        except JournalDown as error:
            _log.warning("keys_not_loaded", why=str(error), **self._names())
            self.keys = None
        good = self.keys is not None and self._age_ms() < self._renew_age_ms
        if good and self.held and self._owner.linked:
            self.feed(Event.RESUMED)
        else:
            self.connect()

    def want_sign_on(self, why: str) -> None:
        """77, 99, A0 and their like."""
        if self.state is State.READY:
            _log.info("sign_on_wanted", terminal=self.config.terminal, why=why)
        self.feed(Event.WANTED)
        self._maybe_drained()

    def stop(self) -> None:
        """Forget the timers."""
        for timer in (self._timer, self._renewal):
            if timer is not None:
                timer.cancel()
        self.feed(Event.LINK_DOWN)

    # ---- the session machine's shell ---------------------------------------------------------

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
        elif command is Command.ARM_RETRY:
            self._timer = self._after(self._channel.sign_on_retry_ms, Event.RETRY)
        elif command is Command.CANCEL_RETRY and self._timer is not None:
            self._timer.cancel()
        elif command is Command.ALARM:
            _log.error("alarm", invariant="I10", text="sign-on failed", **self._names())
        elif command is Command.TELL_READY:
            self._arm_renewal()
            _log.info("signed_on", **self._names())
            self._owner.terminal_ready()
        elif command is Command.TELL_RESUMED:
            self._arm_renewal()
            _log.info("resumed", **self._names())
            self._owner.terminal_ready()

    def _defect(self, failure: object) -> None:
        """A defect of ours: loud, and tried again like any other failure."""
        _log.error("sign_on_defect", error=str(failure), **self._names())
        self.feed(Event.KEYS_BAD if self.state is State.CHECKING else Event.FAILED)

    async def _sign_on(self, turn: int) -> None:
        """Send 0800 and read its answer. A result of an earlier turn is nobody's any more."""
        try:
            message = await self._ask()
            block = cut_keys(self._dialect, message.fields)
            await self._adopt_batch(message)
        except (Iso8583Error, JournalDown, KeyServiceError) as error:
            _log.warning("sign_on_failed", why=str(error), **self._names())
            self._tell(turn, Event.FAILED)
            return
        self._compare_clocks(message)
        self._block = block
        self._tell(turn, Event.ANSWERED)

    async def _ask(self) -> Message:
        batch, stan = await self.stans.take()
        date, time = self._context.timeline.wall_clock()
        values = {
            "sent_date": date[4:],
            "sent_time": time,
            "stan": stan,
            "batch": batch,
            "terminal": self.config.terminal,
            "merchant": self.config.merchant,
            "terminal_block": self.identity_block,
        }
        fields = filled(self._fills, values)
        message = await self._owner.send_sign_on(self, self._request.mti, fields)
        if message is None:
            raise RemoteError("sign-on", "no answer")
        if not approves(self._dialect, message.code):
            raise RemoteError("39", f"sign-on answered {message.code}")
        return message

    async def _check(self, turn: int) -> None:
        """Import, compare check values, store; only then are the new keys ours."""
        assert self._block is not None
        try:
            installed = await self._install(self._block)
        except (KeysRefusedError, KeyServiceError, JournalDown) as error:
            _log.error("keys_refused", why=str(error), **self._names())
            self._tell(turn, Event.KEYS_BAD)
            return
        self._tell(turn, Event.KEYS_GOOD if installed else Event.KEYS_BAD)

    async def _install(self, block: KeyBlock) -> bool:
        """False when another node installed this generation first: its keys are loaded, and the
        next sign-on makes ours the newest again (compare and set)."""
        pik = await self._import(PIK_TYPE, block.pik, block.pik_kcv)
        mak = await self._import(MAK_TYPE, block.mak, block.mak_kcv)
        crash_point("K17 keys verified, not installed")
        keys = WorkingKeys(
            generation=(self.keys.generation if self.keys else 0) + 1,
            pik=pik,
            mak=mak,
            pik_kcv=block.pik_kcv,
            mak_kcv=block.mak_kcv,
            installed_at=self._context.timeline.now_ms(),
            pik_cryptogram=block.pik if self.config.kiosk else "",
        )
        if not await self._context.keys.install(self.identity, keys):
            _log.warning("keys_installed_elsewhere", invariant="I13", **self._names())
            await self.load()
            return False
        crash_point("K17 keys installed, not used")
        self.keys = keys
        return True

    async def _import(self, key_type: str, cryptogram: str, kcv: str) -> str:
        """The key under our LMK, its check value compared in all digits both sides have."""
        service = self._context.key_service
        key, short = await service.import_key(key_type, self.config.tmk, cryptogram)
        whole = await service.check_value(key_type, key)
        if not (same_kcv(short, kcv) and same_kcv(whole, kcv)):
            raise KeysRefusedError(f"check value of the {key_type} key differs: old keys stay")
        return key

    async def _adopt_batch(self, message: Message) -> None:
        part = self._dialect.sign_on.batch
        if part is None:
            return
        batch = message.fields.get(part.field, "")[part.at : part.at + part.size]
        if len(batch) == part.size:
            await self.stans.adopt(batch)

    # ---- small things ----------------------------------------------------------------------------

    def _names(self) -> dict[str, str]:
        return {"bank": self.identity.bank, "terminal": self.config.terminal}

    def _age_ms(self) -> int:
        assert self.keys is not None
        return self._context.timeline.now_ms() - self.keys.installed_at

    def _after(self, wait_ms: int, event: Event) -> Cancellable:
        at = Millis(self._context.timeline.now_ms() + wait_ms)
        return self._context.timeline.call_at(at, lambda: self.feed(event))

    def _tell(self, turn: int, event: Event) -> None:
        if turn == self._turn:
            self.feed(event)

    def _maybe_drained(self) -> None:
        if self.state is State.DRAINING and not self._busy:
            self.feed(Event.DRAINED)

    @property
    def _renew_age_ms(self) -> int:
        """Renew at nine tenths of the age at which new debits would stop (rule 16)."""
        return self._channel.key_max_age_ms * 9 // 10

    def _arm_renewal(self) -> None:
        assert self.keys is not None
        if self._renewal is not None:
            self._renewal.cancel()
        at = Millis(self.keys.installed_at + self._renew_age_ms)
        self._renewal = self._context.timeline.call_at(at, lambda: self.want_sign_on("key age"))

    def _compare_clocks(self, message: Message) -> None:
        """F12 and F13 of the answer are the bank's clock; ours must not be far from it."""
        sign_on = self._dialect.sign_on
        theirs = message.fields.get(sign_on.date_field, "") + message.fields.get(
            sign_on.time_field, ""
        )
        date, time = self._context.timeline.wall_clock()
        skew_ms = clock_skew_ms(date + time, theirs)
        if skew_ms > self._channel.clock_skew_alarm_ms:
            _log.error(
                "alarm",
                invariant="I14",
                text="our clock and the bank's differ",
                skew_ms=skew_ms,
                **self._names(),
            )
