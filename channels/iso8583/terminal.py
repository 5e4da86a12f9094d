"""One logical terminal: its numbers, the payments on it, and the session whose keys it uses.

The owner of a batch and a STAN counter is (bank, F42, F41) (rule 15 of docs/payment-law.md).
"""

from channels.iso8583.config import TerminalConfig
from channels.iso8583.dialect import Dialect
from channels.iso8583.session import State
from channels.iso8583.sign_on import Session
from channels.iso8583.stans import Stans
from switch.ports import Context, LogicalTerminal, WorkingKeys


class Terminal:
    """See the module. ``config`` names it; ``leases`` counts the payments that hold it."""

    def __init__(
        self,
        *,
        config: TerminalConfig,
        dialect: Dialect,
        identity_block: str,
        stans: Stans,
        session: Session,
        context: Context,
    ) -> None:
        self.config = config
        self.identity = LogicalTerminal(
            bank=session.identity.bank, merchant=config.merchant, terminal=config.terminal
        )
        self.identity_block = identity_block
        """终端信息, as the dialect writes it."""
        self.dialect = dialect
        """The bank's, with this terminal's own operator number."""
        said = {
            "operator": dialect.constants.get("operator", "").strip(),
            "merchant_name": config.merchant_name,
        }
        self.slip_facts = {name: text for name, text in said.items() if text}
        """What slips say of this terminal besides its numbers."""
        self.stans = stans
        self.session = session
        self.leases = 0
        self.leaving = False
        """Another node is to have it: no new payment begins on it."""
        self.elsewhere = False
        """Another node holds it, as last seen."""
        self.settling = False
        """Its batch settles: no new payment begins on it."""
        self._context = context
        self._signs_on = session.identity == self.identity
        """By itself; else it shares the session of its bank's other terminals."""

    @property
    def state(self) -> State:
        """Of its session."""
        return self.session.state

    @property
    def keys(self) -> WorkingKeys | None:
        """The newest set this process knows."""
        return self.session.keys

    @property
    def mak(self) -> str:
        """The newest MAC key under the LMK; empty before there is one."""
        return self.session.mak

    async def newest_mak(self) -> str:
        """As :attr:`mak`; another node may have stored a newer one. Raises JournalDown."""
        return await self.session.newest_mak()

    @property
    def held(self) -> bool:
        """This node's at this moment: only then a debit leaves it (I13)."""
        return self._context.terminals.holds(self.identity)

    @property
    def fresh(self) -> bool:
        """Ours and signed on, with keys young enough for new debits (reversals do not ask)."""
        return self.held and self.session.usable

    @property
    def idle(self) -> bool:
        """No payment has it and no sign-on of its own is under way: it can change hands."""
        return not self.leases and (not self._signs_on or self.session.idle)

    @property
    def group(self) -> tuple[str, str]:
        """Terminals of one group can stand in for each other: (clearing, kiosk)."""
        return self.config.clearing, self.config.kiosk

    @property
    def changing_keys(self) -> bool:
        """See :attr:`Session.changing_keys`."""
        return self.session.changing_keys

    def begin(self) -> None:
        """An exchange under its keys begins; a new sign-on waits for its end."""
        self.session.begin()

    def end(self) -> None:
        """It ended."""
        self.session.end()

    def want_sign_on(self, why: str) -> None:
        """77, 99, A0 and their like."""
        self.session.want_sign_on(why)

    # ---- whose it is -----------------------------------------------------------------------------

    @property
    def asleep(self) -> bool:
        """See :attr:`Session.asleep`."""
        return self._signs_on and self.session.asleep

    async def taken(self, *, at_start: bool) -> None:
        """It is this node's now: numbers of the newest batch, and its session with it."""
        self.stans.forget()
        if self._signs_on:
            await self.session.taken(at_start=at_start)

    def lost(self) -> None:
        """It is another node's now, or nobody's."""
        if self._signs_on:
            self.session.lost()

    async def seen(self, *, elsewhere: bool, generation: int) -> None:
        """What the database says of it. Raises JournalDown."""
        self.elsewhere = elsewhere
        if self._signs_on:
            await self.session.seen(elsewhere=elsewhere, generation=generation)
