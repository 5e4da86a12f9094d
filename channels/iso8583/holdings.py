"""Which logical terminals are this node's: taken as they are free, given up on demand.

Rules (15 and 16 of docs/payment-law.md, I13)
- A terminal belongs to one node at a time. Every ``terminal_share_ms`` each node takes what is
  free, and looks at what others want of it; one round trip, whatever the load.
- A node whose payments wait in line asks for terminals that others hold, one for each waiting.
- A holder gives a wanted terminal up as soon as no payment is on it. When payments wait at the
  holder too, it lets one go only to a node that has none, or at least two fewer than itself: two
  busy nodes come to rest at half each, and share a single terminal by turns.
- The next holder goes on with the stored keys; see :meth:`.sign_on.Session.resume`.
- Where the database is away nothing changes hands; what is ours lasts as long as our lease.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from twisted.internet.defer import Deferred

from channels.iso8583.config import Config
from channels.iso8583.pool import Pool
from switch.model.logical_terminal import Holding
from switch.model.outcome import Millis
from switch.observe import metrics
from switch.observe.logs import get_logger
from switch.ports import Cancellable, Context, JournalDown, LogicalTerminal

_log = get_logger("iso8583.terminals")

_Group = tuple[str, str]


class Held(Protocol):
    """A thing that belongs to one node at a time: a terminal, or a shared session."""

    identity: LogicalTerminal
    leaving: bool

    @property
    def group(self) -> _Group:
        """Things of one group can stand in for each other."""
        ...

    @property
    def held(self) -> bool: ...

    @property
    def idle(self) -> bool: ...

    @property
    def asleep(self) -> bool: ...

    async def seen(self, *, elsewhere: bool, generation: int) -> None: ...

    async def taken(self, *, at_start: bool) -> None: ...

    def lost(self) -> None: ...


class Holdings:
    """What of one bank belongs to nodes: its terminals, and the session they share at a host."""

    def __init__(
        self,
        *,
        bank: str,
        things: Sequence[Held],
        pool: Pool,
        config: Config,
        context: Context,
        looked: Callable[[], Awaitable[None]],
    ) -> None:
        """``looked`` is awaited after each look: what else nodes tell each other."""
        self._bank = bank
        self._things: Mapping[LogicalTerminal, Held] = {thing.identity: thing for thing in things}
        self._pool = pool
        self._config = config
        self._context = context
        self._looked_too = looked
        self._numbers: dict[LogicalTerminal, int] = {}
        """Of the holdings that we act on: another number is another holding."""
        self._looked = False
        self._looking = False
        self._stopped = False
        self._soon = False
        self._looked_at = 0
        self._timer: Cancellable | None = None
        self._held = metrics.BANK_TERMINALS_HELD.labels(bank)

    async def start(self) -> None:
        """Take what is free, then look on. Raises nothing."""
        await self._look()

    def look_soon(self) -> None:
        """A payment waits in line, or a wanted terminal is idle now. However often this is called,
        looks are a quarter of ``terminal_share_ms`` apart."""
        self._soon = True
        if not self._looking:
            self._arm()

    async def alone(self) -> bool:
        """Whether no other node is alive, asked now."""
        try:
            holdings = await self._context.terminals.hold(
                tuple(self._things), self._config.response_timeout_ms
            )
        except JournalDown:
            return False
        return all(holding.alone for holding in holdings)

    async def stop(self) -> None:
        """Give up what no payment is on, so that no other node needs to wait for our lease."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        for thing in self._things.values():
            if thing.held and thing.idle:
                await self._give_up(thing)

    # ---- one look --------------------------------------------------------------------------------

    async def _look(self) -> None:
        self._looking, self._soon = True, False
        began_at = self._context.timeline.now_ms()
        try:
            self._pool.reclaim()
            holdings = await self._context.terminals.hold(
                tuple(self._things), self._config.response_timeout_ms
            )
            for holding in holdings:
                await self._apply(holding)
            self._looked = True
            await self._looked_too()
            await self._give_up_wanted(holdings)
            await self._ask(holdings)
        except JournalDown as error:
            _log.warning("terminals_not_seen", bank=self._bank, why=str(error))
        finally:
            self._looking = False
            self._held.set(sum(thing.held for name, thing in self._things.items() if name.terminal))
            self._looked_at = began_at
            self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._stopped:
            return
        soon = self._soon or self._hungry()
        wait_ms = self._config.terminal_share_ms // (4 if soon else 1)
        at = max(self._context.timeline.now_ms(), self._looked_at + wait_ms)
        self._timer = self._context.timeline.call_at(
            Millis(at), lambda: Deferred.fromCoroutine(self._look()).addErrback(self._defect)
        )

    def _hungry(self) -> bool:
        """A payment waits for what another node has."""
        return any(one.elsewhere for ring in self._pool.waiting() for one in ring)

    def _defect(self, failure: object) -> None:
        _log.error("terminals_defect", bank=self._bank, invariant="I13", error=str(failure))

    async def _apply(self, holding: Holding) -> None:
        """What the database says of one thing becomes an event of it."""
        thing = self._things[holding.terminal]
        elsewhere = bool(holding.node) and not holding.ours
        await thing.seen(elsewhere=elsewhere, generation=holding.key_generation)
        number = holding.number if holding.ours else 0
        before = self._numbers.get(holding.terminal, 0)
        if number == before:
            if thing.asleep:
                await thing.taken(at_start=False)
            return
        self._numbers[holding.terminal] = number
        if before:
            _log.warning("terminal_lost", bank=self._bank, terminal=holding.terminal.terminal)
            thing.lost()
        thing.leaving = False
        if number:
            if self._looked:
                _log.info("terminal_taken", bank=self._bank, terminal=holding.terminal.terminal)
                metrics.BANK_TERMINAL_MOVES.labels(self._bank, "taken").inc()
            await thing.taken(at_start=not self._looked)

    # ---- giving and asking -----------------------------------------------------------------------

    async def _give_up_wanted(self, holdings: Sequence[Holding]) -> None:
        """Let go what others want; what is on its way out is given as soon as it is idle."""
        counts = Counter((holding.node, self._group(holding)) for holding in holdings)
        hungry = {ring[0].group for ring in self._pool.waiting()}
        for holding in holdings:
            thing = self._things[holding.terminal]
            if not holding.ours:
                continue
            group = self._group(holding)
            mine, theirs = counts[holding.node, group], counts[holding.wanted_by, group]
            fair = theirs == 0 or mine > theirs + 1
            thing.leaving = bool(holding.wanted_by) and (fair or group not in hungry)
            if thing.leaving and thing.idle and thing.held:
                counts[holding.node, group] -= 1
                counts[holding.wanted_by, group] += 1
                await self._give_up(thing)
        self._pool.serve()

    async def _give_up(self, thing: Held) -> None:
        _log.info("terminal_given_up", bank=self._bank, terminal=thing.identity.terminal)
        metrics.BANK_TERMINAL_MOVES.labels(self._bank, "given").inc()
        self._numbers.pop(thing.identity, None)
        thing.lost()
        try:
            await self._context.terminals.give_up(thing.identity)
        except JournalDown as error:
            _log.warning("terminal_not_given_up", bank=self._bank, why=str(error))
        thing.leaving = False

    async def _ask(self, holdings: Sequence[Holding]) -> None:
        """One terminal for each payment in line, of the node that has most of them."""
        elsewhere = [holding for holding in holdings if holding.node and not holding.ours]
        counts = Counter((holding.node, self._group(holding)) for holding in elsewhere)
        wanted: list[LogicalTerminal] = []
        for ring in self._pool.waiting():
            group = ring[0].group
            would_do = {terminal.identity for terminal in ring}
            fitting = [
                holding
                for holding in elsewhere
                if holding.terminal in would_do
                and holding.terminal not in wanted
                and holding.wanted_by in {"", self._context.terminals.node}
            ]
            if fitting:
                best = max(fitting, key=lambda one: counts[one.node, group])
                counts[best.node, group] -= 1
                wanted.append(best.terminal)
        if wanted:
            await self._context.terminals.want(wanted, self._config.wish_ms)

    def _group(self, holding: Holding) -> _Group:
        return self._things[holding.terminal].group
