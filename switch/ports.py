"""The sockets of the house: what the shell asks of the outside, and what plugins get from it.

A plugin imports this module, ``switch.model``, ``switch.net`` and ``switch.observe`` and nothing
else of the switch. Every method that talks is ``async`` (a coroutine over Twisted Deferreds).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from switch.model.answer import Answer, Answered
from switch.model.bank_day import BankDays as BankDays  # noqa: PLC0414 - part of this page
from switch.model.batch import BatchBank as BatchBank  # noqa: PLC0414
from switch.model.batch import Batches as Batches  # noqa: PLC0414
from switch.model.card import BalanceQuery as BalanceQuery  # noqa: PLC0414 - part of this page
from switch.model.card import CardSecrets as CardSecrets  # noqa: PLC0414
from switch.model.key_service import IssuedKey as IssuedKey  # noqa: PLC0414
from switch.model.key_service import KeyRing as KeyRing  # noqa: PLC0414
from switch.model.key_service import KeyService as KeyService  # noqa: PLC0414
from switch.model.key_service import KeyServiceError as KeyServiceError  # noqa: PLC0414
from switch.model.logical_terminal import LogicalTerminal as LogicalTerminal  # noqa: PLC0414
from switch.model.logical_terminal import StanBlock as StanBlock  # noqa: PLC0414
from switch.model.logical_terminal import Terminals as Terminals  # noqa: PLC0414
from switch.model.logical_terminal import WorkingKeys as WorkingKeys  # noqa: PLC0414
from switch.model.notice import Notices as Notices  # noqa: PLC0414
from switch.model.operation import Operation
from switch.model.outcome import Millis, Reply, Verb
from switch.model.payment import Leg, LegKind, LegPolicy, Payment, RungKind
from switch.model.pin import PinFor as PinFor  # noqa: PLC0414
from switch.model.pin import PinPlan as PinPlan  # noqa: PLC0414
from switch.model.pin import PinRoute as PinRoute  # noqa: PLC0414
from switch.model.request import PaymentRequest as PaymentRequest  # noqa: PLC0414 - part of this page
from switch.model.secret import Secret


class Cancellable(Protocol):
    """A pending call of the time line."""

    def cancel(self) -> None:
        """Not to be called any more; after it was called, nothing."""
        ...


class Timeline(Protocol):
    """The one clock of the shell (I14): wall time at start plus monotonic time since.

    A step of the wall clock never moves a timer. Tests put Twisted's Clock behind it.
    """

    def now_ms(self) -> Millis: ...

    def call_at(self, at: Millis, what: Callable[[], object]) -> Cancellable: ...

    def wall_clock(self) -> tuple[str, str]:
        """Local date ``YYYYMMDD`` and time ``hhmmss`` for fields 12 and 13 (never for keys)."""
        ...


def _always() -> bool:
    return True


class Order(Struct, frozen=True, kw_only=True):
    """One exchange to be made for one leg."""

    payment: Payment
    leg_index: int
    verb: Verb
    rung: RungKind | None = None
    unvoiding: bool = False
    may_send: Callable[[], bool] = _always
    """Asked just before the first byte is written, after everything that had to be waited for
    (HSM, connection): False = this node drives the payment no longer (I13), or it comes too late
    for the reversal's time to be known (rule 9); so it ends NotSent."""
    issuer: Secret[bytes] | None = None
    """The issuer's data of the approval before, for the ``do`` that finishes a card. None: lost
    with the process that had it, so the card can only be asked how it ended."""

    @property
    def leg(self) -> Leg:
        """The leg it is for, as committed."""
        return self.payment.legs[self.leg_index]


class Counterparty(Protocol):
    """Whoever does legs: a bank channel, a hospital, the terminal itself."""

    name: str

    def policy(self, kind: LegKind, clearing: str, operation: Operation | None = None) -> LegPolicy:
        """How a leg of this kind behaves here, from the channel's or profile's data; ``operation``
        for a money leg."""
        ...

    async def prepare(self, order: Order, secrets: CardSecrets | None) -> "Prepared | None":
        """Before the commit that starts a ``do``, or an undo that is a message of its own (void,
        refund): what to journal with it. None = cannot (no free terminal in time, HSM away …): it
        ends NotSent. Raises nothing."""
        ...

    async def exchange(self, order: Order, secrets: CardSecrets | None) -> Reply:
        """After the commit: make the exchange. Raises nothing: every failure is an Outcome.
        ``secrets`` is None after a restart and for every UNDO and ASK."""
        ...

    def release(self, order: Order) -> None:
        """The leg needs its logical terminal no longer (definite, or its reversal is stored)."""
        ...


class LateReplies(Protocol):
    """Where a counterparty hands in an answer that came after its exchange had ended."""

    def late(self, payment_key: str, leg_index: int, attempt: int, reply: Reply) -> None: ...


class Inquirer(Protocol):
    """Answers inquiries: no money, one bounded exchange (patient, bills, card balance)."""

    async def inquire(self, function: str, request: Struct) -> "InquiryReply": ...


class InquiryReply(Struct, frozen=True, kw_only=True):
    """``ok`` with ``body`` (typed values of model.hospital as built-ins), or a sentence why not."""

    ok: bool
    code: str = ""
    text: str = ""
    body: Any = None


class Identity(Struct, frozen=True, kw_only=True):
    """What makes a message unique at a bank for ever (I8); a database constraint guards it."""

    bank: str
    merchant: str
    terminal: str
    batch: str
    stan: str
    business_date: str


class Prepared(Struct, frozen=True, kw_only=True):
    """What a ``do`` needs in the journal before its first byte leaves (I4, rule 18)."""

    facts: dict[str, str] = {}
    identity: Identity | None = None


# ---- the journal -------------------------------------------------------------------------------


class Reserve(Struct, frozen=True, kw_only=True):
    """(Part of) an original's amount kept for one payment, in the same commit: all that refers to
    an original never takes more than ``limit_fen`` of it."""

    original: str
    amount_fen: int
    limit_fen: int


class Write(Struct, frozen=True, kw_only=True):
    """One compare-and-set of one payment, committed with others in one batch.

    ``payment.version`` is the new version; the row must be at ``payment.version - 1`` under our
    fence, or absent when the version is 1. ``event`` and ``effects`` are kept as its history.
    """

    payment: Payment
    event: bytes
    """JSON of the event that led here (for version 1: the request's safe digest)."""
    identities: tuple[Identity, ...] = ()
    reserve: Reserve | None = None
    """Taken with this write, or the write is lost (``reserve``)."""
    release: Reserve | None = None
    """Given back with it: what had reserved it rests without effect."""


class CommitResult(Struct, frozen=True, kw_only=True):
    """``existing`` is what the row holds when the write lost (same key, or another driver)."""

    committed: bool
    existing: Payment | None = None
    reason: str = ""
    """``exists`` (I8 key), ``bill`` (one live payment per bill), ``fence`` (I13), ``identity``,
    ``reserve`` (what is left of the original is not enough)."""


class JournalDown(Exception):  # noqa: N818 - a state of the world, told as one
    """The database cannot take the write now; nothing was committed and nothing may be sent."""


class Journal(Protocol):
    """The only store of truth. One writer; a returned result is durable."""

    async def commit(self, write: Write) -> CommitResult:
        """Group commit. Resolves a *commit result unknown* itself by reading the row (K19).
        Raises JournalDown when a **new** payment (version 1) finds the queue full or the database
        away; for later versions it keeps trying: an answer is never given up for a database."""
        ...

    async def load(self, key: str) -> Payment | None: ...

    async def of_terminal(self, terminal: str, prefix: str, limit: int) -> Sequence[Payment]:
        """Payments of a terminal behind a door (its name has a ``/``) whose keys begin with
        ``prefix``, by key; ``limit`` of them at most. Tombstones are among them."""
        ...

    async def unfinished(self, limit: int) -> Sequence[Payment]:
        """Claim payments that are not at rest, or whose undo is still repeated beside an exception
        (I3), and whose driver's lease has run out (or that were this node's before its restart):
        fence raised, ours now. Oldest first."""
        ...

    async def claim(self, key: str) -> Payment | None:
        """Take over one payment, at rest or not, to drive it from here (a late approval, evidence
        at its door): fence raised, ours now. None when it does not exist or another living node
        drives it. Our own is returned as it is."""
        ...

    def lease_term(self) -> int:
        """Grows when a lease that had run out is renewed: what was committed in an earlier term
        may be another node's by now, although we have a lease again (I13)."""
        ...

    def lease_left_ms(self) -> int:
        """What is left of this node's lease on the monotonic clock; 0 = it is gone (I13)."""
        ...

    async def record_late(self, key: str, what: bytes) -> None:
        """Append to the unfenced exchange log, for whichever node drives it (rule 13)."""
        ...

    async def late_open(self) -> list[tuple[int, str, bytes]]:
        """Late answers (id, payment key, what) that are for this node and not handled yet."""
        ...

    async def late_handled(self, number: int) -> None:
        """Its event is committed: never shown again."""
        ...


# ---- numbers and keys of logical terminals ------------------------------------------------------


class Numbers(Protocol):
    """STAN and batch per logical terminal, from the database; a number once given never returns."""

    async def reserve(self, terminal: LogicalTerminal, count: int) -> StanBlock: ...

    async def open_batch(self, terminal: LogicalTerminal) -> str:
        """The batch as the database has it now; "" before the first. Changes nothing."""
        ...

    async def adopt_batch(self, terminal: LogicalTerminal, batch: str) -> None:
        """The bank named a batch at sign-on. STANs go on: a late answer is known by terminal and
        STAN, so the next batch must not repeat them (I5, I8)."""
        ...


class Keys(Protocol):
    """Working keys of logical terminals; installing is a compare-and-set on the generation."""

    async def load(self, terminal: LogicalTerminal) -> WorkingKeys | None: ...

    async def install(self, terminal: LogicalTerminal, keys: WorkingKeys) -> bool:
        """False when another node installed this generation first: load again."""
        ...


# ---- plugins -------------------------------------------------------------------------------------


class Context(Protocol):
    """What the composition root hands a plugin's ``build``."""

    timeline: Timeline
    reactor: Any
    """Twisted's reactor, or the simulator's: connectTCP, listenTCP, callLater."""
    key_service: KeyService
    numbers: Numbers
    keys: Keys
    terminals: Terminals
    batches: Batches
    notices: Notices
    bank_days: BankDays
    late: LateReplies

    def random(self) -> float:
        """0 ≤ x < 1, for jitter; seeded in the simulator."""
        ...


class Plugin(Protocol):
    """A door in the bus (总线 + 插件): found by entry point, built-ins alike."""

    name: str
    api_version: int
    config_schema: type[Struct]
    capabilities: frozenset[str]
    """``purchase``, ``reversal``, ``query``, ``balance`` … for channels; ``hold``, ``confirm``,
    ``cancel``, ``order_query``, ``patient_query``, ``bill_query`` for hospitals."""

    def build(self, name: str, config: Any, context: Context) -> "Service": ...


class Service(Counterparty, Inquirer, Protocol):
    """A built plugin: does legs, answers inquiries, is started and stopped."""

    def ready(self, clearing: str) -> bool:
        """False while new money legs must not start (link down, breaker open, keys too old)."""
        ...

    def business_date(self) -> str:
        """YYYYMMDD of a payment born now: the configured calendar (cutover time), later the
        bank's cutover message; never plain *today* (I14)."""
        ...

    def start(self) -> None: ...

    async def stop(self) -> None: ...

    def health(self) -> Mapping[str, str]:
        """For ``/health``: name → ``up`` or a reason."""
        ...


class FrontService(Protocol):
    """A built front: serves terminals. Built before recovery, started after it."""

    name: str
    finisher: Counterparty | None
    """Does the legs that finish chip cards at its terminals, under its name; None: it cannot."""

    def start(self) -> None: ...

    async def stop(self) -> None: ...

    def health(self) -> Mapping[str, str]:
        """For ``/health``: name → ``up`` or a reason."""
        ...

    def addresses(self) -> Mapping[str, int]:
        """Name of a door → the port listened on."""
        ...


class Front(Protocol):
    """What serves terminals needs of the engine."""

    async def start(self, request: "PaymentRequest", secrets: CardSecrets | None) -> Answer:
        """Take a payment (or answer a repeat, I7). Returns at rest, or PENDING after the wait."""
        ...

    async def query(self, hospital: str, terminal: str, key: str) -> Answer:
        """The answer for a key; an unknown key becomes a tombstone (rule 12)."""
        ...

    async def reverse(self, hospital: str, terminal: str, key: str, *, settled: bool) -> Answer:
        """The origin takes its payment back (a POS's or a bank's 0400). The wish is committed
        before this returns; an unknown key becomes a tombstone that refuses the late original
        (rule 11). ``settled``: wait, as long as a terminal's call may, for the end. APPROVED in
        the answer: it cannot be taken back any more. Raises JournalDown: nothing is promised."""
        ...

    async def payments(
        self, hospital: str, terminal: str, prefix: str, limit: int
    ) -> Sequence[Answered]:
        """A terminal's payments whose keys begin with ``prefix``, as it was answered: for the
        totals of its batch, and to find an original. Nothing is buried. Raises JournalDown."""
        ...

    async def inquire(self, hospital: str, function: str, body: Mapping[str, Any]) -> InquiryReply:
        """Patient, bills: by name, body as JSON built-ins."""
        ...

    async def balance(
        self, hospital: str, business: str, secrets: CardSecrets, clearing: str = ""
    ) -> InquiryReply:
        """Balance of a bank card (0200, 310000); ``body`` = {"balance_fen": n}. ``clearing``: the
        merchant role of a terminal that has its own."""
        ...

    def route(self, hospital: str, business: str, medium: str, pan: str) -> PinRoute | None:
        """Where a payment by this card (or the beginning of its number) would go, for a terminal
        that must know before the PIN is typed. None: nowhere."""
        ...

    async def pin_plan(
        self, hospital: str, terminal: str, business: str, medium: str, pan: str
    ) -> PinPlan | None:
        """How this terminal's pad shall make the PIN block of a card, of which the beginning of the
        number is enough. None: the card cannot pay this business now."""
        ...

    def watch(self, terminal: str, tell: Callable[[Answer], None]) -> Callable[[], None]:
        """Call ``tell`` on every new answer for this terminal's payments; returns *unwatch*."""
        ...
