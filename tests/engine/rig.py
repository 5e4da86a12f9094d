"""A house in a test: the real engine on a Clock, with counterparties that answer as told."""

from collections import deque
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from switch.engine import Engine, Limits, Route
from switch.model.answer import Answer
from switch.model.operation import Operation
from switch.model.outcome import Outcome, Reply
from switch.model.payment import GiveUp, LegKind, LegPolicy, OnUnknown, Payment, Rung, RungKind
from switch.model.secret import Secret, masked_pan
from switch.ports import CardSecrets, Identity, InquiryReply, Order, PaymentRequest, Prepared
from switch.store.memory import MemoryDatabase, MemoryJournal
from switch.timeline import ReactorTimeline

LEASE_MS = 30_000
DONE = Reply(outcome=Outcome.DONE)
REFUSED = Reply(outcome=Outcome.REFUSED, code="51")
UNKNOWN = Reply(outcome=Outcome.UNKNOWN, code="timeout")
NOT_FOUND = Reply(outcome=Outcome.UNKNOWN, code="25", not_found=True)

HOLD = LegPolicy(timeout_ms=5_000, on_unknown=OnUnknown.UNDO, lapses=True)
DEBIT = LegPolicy(
    timeout_ms=30_000,
    on_unknown=OnUnknown.UNDO,
    give_up=GiveUp.UNDO,
    ladder=(Rung(RungKind.REVERSAL),),
    attempts=2,
)
FINISH = LegPolicy(
    timeout_ms=15_000,
    on_unknown=OnUnknown.ASK,
    give_up=GiveUp.ABANDON,
    lapses=True,
    ask_times=3,
    ask_wait_ms=2_000,
    resend_waits_ms=(2_000,),
)
VOID = LegPolicy(
    timeout_ms=30_000, on_unknown=OnUnknown.UNDO, ladder=(Rung(RungKind.REVERSAL),), attempts=2
)
REFUND = LegPolicy(timeout_ms=30_000, on_unknown=OnUnknown.STOP)
UNBOOK = LegPolicy(timeout_ms=5_000, on_unknown=OnUnknown.RESEND, give_up=GiveUp.STOP, pivot=True)
BOOK = LegPolicy(
    timeout_ms=5_000,
    on_unknown=OnUnknown.RESEND,
    give_up=GiveUp.UNDO,
    ladder=(Rung(RungKind.CANCEL),),
)
LIMITS = Limits(
    payments_in_flight=100,
    answer_wait_ms=60_000,
    payment_deadline_ms=120_000,
    recovery_every_ms=5_000,
    recovery_batch=100,
)


ROUTES = tuple(
    Route(hospital="h1", business=business, medium="bank_card", channel="bank")
    for business in ("outpatient_bill", "pos_sale", "pos_preauth")
)


class Sent:
    """One exchange that reached a counterparty."""

    def __init__(self, order: Order, secrets: CardSecrets | None, at: int) -> None:
        self.order = order
        self.secrets = secrets
        self.at = at
        self.reply: Deferred[Reply] = Deferred()


class Scripted:
    """A counterparty that says what the test puts into ``script``; empty: it says Done; HANG:
    it says nothing until the test answers ``sent[i].reply``."""

    HANG = object()

    def __init__(self, name: str, timeline: Any, policies: Mapping[LegKind, LegPolicy]) -> None:
        self.name = name
        self.is_ready = True
        self.script: deque[Any] = deque()
        self.sent: list[Sent] = []
        self.released: list[int] = []
        self.identities: deque[Identity] = deque()
        self.unprepared = 0
        self._timeline = timeline
        self._policies = policies
        self._stan = 0

    def policy(self, kind: LegKind, clearing: str, operation: Operation | None = None) -> LegPolicy:
        if kind is LegKind.CREDIT and operation is not Operation.REFUND:
            return VOID
        return self._policies[kind]

    def ready(self, clearing: str) -> bool:
        return self.is_ready

    def business_date(self) -> str:
        return "20260722"

    async def prepare(self, order: Order, secrets: CardSecrets | None) -> Prepared | None:
        if self.unprepared:
            self.unprepared -= 1
            return None
        if order.leg.kind not in {LegKind.DEBIT, LegKind.CREDIT}:
            return Prepared()
        self._stan += 1
        identity = self.identities.popleft() if self.identities else self.identity(self._stan)
        facts = {"F11": identity.stan}
        if secrets is not None:
            facts["masked_pan"] = masked_pan(secrets.pan.reveal())
        return Prepared(facts=facts, identity=identity)

    def identity(self, stan: int) -> Identity:
        return Identity(
            bank=self.name,
            merchant="898330180620001",
            terminal="10000001",
            batch="000001",
            stan=f"{stan:06d}",
            business_date="20260722",
        )

    async def exchange(self, order: Order, secrets: CardSecrets | None) -> Reply:
        sent = Sent(order, secrets, self._timeline.now_ms())
        self.sent.append(sent)
        reply = self.script.popleft() if self.script else DONE
        return await sent.reply if reply is self.HANG else reply

    def release(self, order: Order) -> None:
        self.released.append(order.leg_index)

    async def inquire(self, function: str, request: object) -> InquiryReply:
        return InquiryReply(ok=True, body=function)

    def start(self) -> None:
        """Nothing to start."""

    async def stop(self) -> None:
        """Nothing to stop."""

    def health(self) -> Mapping[str, str]:
        return {self.name: "up"}

    def verbs(self) -> list[str]:
        return [sent.order.rung or str(sent.order.verb) for sent in self.sent]


class Faults:
    """What tests do to the road between a node and its database."""

    def __init__(self, clock: Clock) -> None:
        self.is_down = False
        self.slow_ms = 0
        self._clock = clock

    def down(self) -> bool:
        return self.is_down

    def commit_ms(self) -> int:
        return self.slow_ms

    def tell_ms(self) -> int:
        return 0


class Town:
    """What several nodes share."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.timeline = timeline_of(self.clock)
        self.database = MemoryDatabase()


class House:
    """A node: an engine over its journal, one bank and one hospital."""

    beating = True

    def __init__(self, node: str = "node-a", town: "Town | None" = None, **policies: Any) -> None:
        self.town = town or Town()
        self.clock = self.town.clock
        self.timeline = self.town.timeline
        self.faults = Faults(self.clock)
        self.journal = MemoryJournal(self.town.database, self.timeline, node, LEASE_MS, self.faults)
        self.bank = Scripted(
            "bank",
            self.timeline,
            {LegKind.DEBIT: policies.get("debit", DEBIT), LegKind.CREDIT: REFUND},
        )
        self.bank_b = Scripted("bank-b", self.timeline, {LegKind.DEBIT: DEBIT})
        self.his = Scripted(
            "his",
            self.timeline,
            {
                LegKind.HOLD: policies.get("hold", HOLD),
                LegKind.BOOK: policies.get("book", BOOK),
                LegKind.UNBOOK: UNBOOK,
            },
        )
        self.engine = Engine(
            journal=self.journal,
            timeline=self.timeline,
            services={"bank": self.bank, "bank-b": self.bank_b, "his": self.his},
            hospitals={"h1": "his"},
            routes=policies.get("routes", ROUTES),
            limits=policies.get("limits", LIMITS),
        )
        self.kiosks = Scripted("kiosks", self.timeline, {LegKind.FINISH: FINISH})
        self.engine.finish_by("kiosks", self.kiosks)

    def pay(self, key: str = "k1", **changes: Any) -> "Outcoming":
        """Ask for a payment; the result appears when the engine answers."""
        return self.run(self.engine.start(request(key, **changes), secrets()))

    def ask(self, key: str = "k1", terminal: str = "t1") -> Answer:
        return self.run(self.engine.query("h1", terminal, key)).answer

    def stored(self, key: str = "k1") -> Payment:
        return self.town.database.rows[key].payment()

    def run(self, coroutine: Any) -> "Outcoming":
        outcoming = Outcoming(coroutine)
        self.settle()
        return outcoming

    def settle(self) -> None:
        """Let everything happen that needs no time (commits, reads)."""
        for _ in range(60):
            self.clock.advance(0)

    def pass_s(self, seconds: float) -> None:
        """Let time pass in steps of a tenth of a second, with the heartbeats of the lease."""
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)
            if self.beating:
                self.journal.renew()
        self.settle()

    def late(self, leg: int = 1, attempt: int = 1) -> None:
        """The bank's approval of k1 arrives after its exchange had ended."""
        self.engine.late("k1", leg, attempt, DONE)
        self.settle()


class Outcoming:
    """What a coroutine will come to."""

    def __init__(self, coroutine: Any) -> None:
        self.results: list[Any] = []
        Deferred.fromCoroutine(coroutine).addBoth(self.results.append)

    @property
    def value(self) -> Any:
        assert self.results, "not answered yet"
        return self.results[0]

    @property
    def answer(self) -> Answer:
        assert isinstance(self.value, Answer), self.value
        return self.value

    @property
    def pending(self) -> bool:
        return not self.results


def timeline_of(clock: Clock) -> ReactorTimeline:
    """Virtual time that starts in July 2026."""
    return ReactorTimeline(clock, clock.seconds, lambda: 1_784_700_000.0 + clock.seconds())


def request(key: str = "k1", **changes: Any) -> PaymentRequest:
    fields: dict[str, Any] = {
        "key": key,
        "hospital": "h1",
        "business": "outpatient_bill",
        "terminal": "t1",
        "amount_fen": 12_345,
        "patient": "P1",
        "bill": f"bill-{key}",
    }
    return PaymentRequest(**{**fields, **changes})


def secrets() -> CardSecrets:
    return CardSecrets(
        pan=Secret("6222020200112233445"),
        track2=Secret("6222020200112233445=30122010000000000"),
        pin_block=Secret("0123456789ABCDEF"),
        pin_key="U0123456789ABCDEF0123456789ABCDEF",
    )
