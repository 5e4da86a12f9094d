"""Whoever asks for payments: they ask, ask again, ask late, ask twice, and take back.

An origin writes down everything it was told: the auditor reads it (I7).
"""

from collections.abc import Callable
from random import Random

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from switch.model.answer import Answer, AnswerState
from switch.ports import CardSecrets, JournalDown, PaymentRequest
from tests.sim.clock import SimClock
from tests.sim.mix import Mix
from tests.sim.node import Node

FINAL = frozenset(
    {
        AnswerState.APPROVED,
        AnswerState.DECLINED,
        AnswerState.RETURNED,
        AnswerState.EXCEPTION,
        AnswerState.UNKNOWN_KEY,
    }
)
PATIENCE_S = 75.0
"""Longer than the switch's answer_wait_ms."""
TAKE_BACK_AGAIN_S = 70.0
TAKE_BACKS_MAX = 40


class Told(Struct, frozen=True):
    """One answer that reached an origin."""

    at: float
    how: str
    """``start``, ``other`` (the same key with other content), ``query``, ``reverse`` (wished),
    ``reverse_settled``."""
    answer: Answer


def _nothing() -> CardSecrets | None:
    return None


class Purchase:
    """One key and its story."""

    def __init__(
        self,
        request: PaymentRequest,
        secrets: Callable[[], CardSecrets | None] = _nothing,
        asked: Callable[[], PaymentRequest] | None = None,
    ) -> None:
        """``secrets`` and ``asked`` give what goes with one asking: the card, and the request as
        it is asked this time."""
        self.request = request
        self.secrets = secrets
        self.asked = asked or (lambda: request)
        self.told: list[Told] = []
        self.final = False
        self.approved: list[Callable[[], None]] = []
        """Called once, when the origin first hears that it was approved."""
        self.taking_back = False
        """The origin sent at least one reversal of it."""
        self.take_backs = 0

    @property
    def key(self) -> str:
        return self.request.key

    @property
    def taken_back(self) -> bool:
        """A reversal of it was answered: the wish stands in the journal."""
        return any(
            told.how.startswith("reverse") and told.answer.state is not AnswerState.REFUSED
            for told in self.told
        )


class Origins:
    """The road between origins and nodes; ``purchases`` is what they all asked for."""

    def __init__(
        self,
        clock: SimClock,
        random: Random,
        mix: Mix,
        nodes: Callable[[], list[Node]],
        trace: Callable[..., None],
    ) -> None:
        self.clock = clock
        self.random = random
        self.mix = mix
        self.purchases: list[Purchase] = []
        self._nodes = nodes
        self._trace = trace

    def chance(self, fault: str) -> bool:
        return bool(self.random.random() < getattr(self.mix, fault))

    def all_told(self) -> bool:
        return all(
            purchase.final and (purchase.taken_back or not purchase.taking_back)
            for purchase in self.purchases
        )

    def ask_everything_again(self) -> None:
        """The auditor asks for every key once more."""
        for purchase in self.purchases:
            purchase.final = False
            self.query(purchase)

    # ---- what an origin does ---------------------------------------------------------------------

    def begin(self, purchase: Purchase) -> None:
        """Ask for it, and ask on until the end is known."""
        self.start(purchase)
        if self.chance("double_tap"):
            self.clock.callLater(self.random.uniform(0, 2), self.start, purchase)
        self.clock.callLater(PATIENCE_S, self.still_waiting, purchase)

    def start(self, purchase: Purchase, how: str = "start") -> None:
        request, secrets = purchase.asked(), purchase.secrets()
        self.send(purchase, how, lambda node: node.engine.start(request, secrets))

    def query(self, purchase: Purchase) -> None:
        request = purchase.request
        self.send(
            purchase,
            "query",
            lambda node: node.engine.query(request.hospital, request.terminal, request.key),
        )

    def take_back(self, purchase: Purchase, *, settled: bool) -> None:
        """A reversal; it is repeated until it is answered."""
        request = purchase.request
        purchase.taking_back = True
        purchase.take_backs += 1
        self.send(
            purchase,
            "reverse_settled" if settled else "reverse",
            lambda node: node.engine.reverse(
                request.hospital, request.terminal, request.key, settled=settled
            ),
        )
        again = self.random.uniform(5, TAKE_BACK_AGAIN_S)
        self.clock.callLater(again, self._take_back_again, purchase, settled)

    def _take_back_again(self, purchase: Purchase, settled: bool) -> None:
        if not purchase.taken_back and purchase.take_backs < TAKE_BACKS_MAX:
            self.take_back(purchase, settled=settled)

    def still_waiting(self, purchase: Purchase) -> None:
        if not purchase.final:
            self.query(purchase)
        self.clock.callLater(self.random.uniform(15, 45), self.still_waiting, purchase)

    # ---- the road to a node ---------------------------------------------------------------------

    def send(self, purchase: Purchase, how: str, call: Callable[[Node], object]) -> None:
        if self.chance("ask_lost"):
            return
        nodes = self._nodes()
        if nodes:
            node = self.random.choice(nodes)
            delay = self.random.uniform(0.001, 0.3)
            node.process.callLater(delay, self._reach, node, purchase, how, call)

    def _reach(
        self, node: Node, purchase: Purchase, how: str, call: Callable[[Node], object]
    ) -> None:
        deferred = Deferred.fromCoroutine(call(node))  # type: ignore[arg-type]
        deferred.addCallbacks(
            lambda answer: self._answered(node, purchase, how, answer),
            _no_answer,
        )

    def _answered(self, node: Node, purchase: Purchase, how: str, answer: Answer) -> None:
        if not node.process.effect("answer") or self.chance("answer_lost"):
            return
        delay = self.random.uniform(0.001, 0.3)
        self.clock.callLater(delay, self._hear, purchase, how, answer, self.clock.rightNow)

    def _hear(self, purchase: Purchase, how: str, answer: Answer, said_at: float) -> None:
        purchase.told.append(Told(said_at, how, answer))
        self._trace("told", purchase.key, how, answer.state, answer.version, answer.code)
        if how in ("start", "query") and answer.state in FINAL:
            purchase.final = True
            if answer.state is AnswerState.APPROVED:
                then, purchase.approved = purchase.approved, []
                for go_on in then:
                    go_on()
        elif how == "start" and answer.state is AnswerState.REFUSED:
            wait = self.random.uniform(1, 30)
            if self.random.random() < 0.7:  # "busy, try again": the same key once more
                self.clock.callLater(wait, self.start, purchase)
            else:
                self.clock.callLater(wait, self.query, purchase)


def _no_answer(failure: Failure) -> None:
    """The front cannot answer while the database is away; anything else is a defect."""
    failure.trap(JournalDown)
