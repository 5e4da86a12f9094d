"""Terminals as patients and power cuts make them: they ask, ask again, ask late, ask twice.

A terminal writes down everything it was told: the auditor reads it (I7).
"""

from collections.abc import Callable
from random import Random

from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from switch.model.answer import Answer, AnswerState
from switch.model.secret import Secret
from switch.ports import CardSecrets, JournalDown, PaymentRequest
from tests.sim.chips import LAST_WORD, Chips
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


class Told(Struct, frozen=True):
    """One answer that reached a terminal."""

    at: float
    how: str
    """``start``, ``other`` (the same key with other content), ``query``."""
    answer: Answer


class Purchase:
    """One key and its story."""

    def __init__(self, request: PaymentRequest) -> None:
        self.request = request
        self.told: list[Told] = []
        self.final = False
        self.chip = False

    @property
    def key(self) -> str:
        return self.request.key


class Kiosks:
    """All terminals of the world."""

    def __init__(
        self,
        clock: SimClock,
        random: Random,
        mix: Mix,
        nodes: Callable[[], list[Node]],
        trace: Callable[..., None],
        chips: Chips,
    ) -> None:
        self._chips = chips
        self.purchases: list[Purchase] = []
        self._clock = clock
        self._random = random
        self._mix = mix
        self._nodes = nodes
        self._trace = trace

    def plan(self, count: int, within_s: float) -> None:
        """``count`` purchases at random times."""
        for number in range(count):
            bill = f"B{number}"
            if number and self._random.random() < self._mix.same_bill:
                bill = self._random.choice(self.purchases).request.bill
            request = PaymentRequest(
                key=f"k{number}",
                hospital="h1",
                business="outpatient_bill",
                terminal=f"t{number % 3}",
                amount_fen=self._random.randint(1, 99_999),
                patient=f"P{number}",
                bill=bill,
            )
            purchase = Purchase(request)
            purchase.chip = self._chips.chance("chip")
            self.purchases.append(purchase)
            at = self._random.uniform(0, within_s)
            self._clock.callLater(at, self._begin, purchase)

    def all_told(self) -> bool:
        return all(purchase.final for purchase in self.purchases)

    def ask_everything_again(self) -> None:
        """The auditor asks for every key once more."""
        for purchase in self.purchases:
            purchase.final = False
            self._query(purchase)

    # ---- one purchase ---------------------------------------------------------------------------

    def _begin(self, purchase: Purchase) -> None:
        random, mix, clock = self._random, self._mix, self._clock
        request = purchase.request
        self._start(purchase, request, "start")
        if random.random() < mix.double_tap:
            clock.callLater(random.uniform(0, 2), self._start, purchase, request, "start")
        if random.random() < mix.other_content:
            other = replace(request, amount_fen=request.amount_fen + 1)
            clock.callLater(random.uniform(0, 20), self._start, purchase, other, "other")
        if random.random() < mix.impatient:
            clock.callLater(random.uniform(0, 40), self._query, purchase)
        if random.random() < mix.unknown_key:
            ghost = Purchase(replace(request, key=f"ghost-{request.key}"))
            self.purchases.append(ghost)
            self._query(ghost)
            clock.callLater(random.uniform(0, 9), self._start, ghost, ghost.request, "start")
            clock.callLater(PATIENCE_S, self._still_waiting, ghost)
        clock.callLater(PATIENCE_S, self._still_waiting, purchase)

    def _still_waiting(self, purchase: Purchase) -> None:
        if not purchase.final:
            self._query(purchase)
        self._clock.callLater(self._random.uniform(15, 45), self._still_waiting, purchase)

    def _start(self, purchase: Purchase, request: PaymentRequest, how: str) -> None:
        if not purchase.chip:
            self._send(purchase, how, lambda node: node.engine.start(request, _card()))
            return
        # The same request may come again by a link of the kiosk's program of yesterday.
        can = self._chips.random.random() < 0.9
        asked = replace(request, finisher="kiosks" if can else "")
        if how == "start":
            self._chips.terminals[request.terminal].inserted(request.key)
        self._send(purchase, how, lambda node: node.engine.start(asked, _card(_CHIP)))

    def _query(self, purchase: Purchase) -> None:
        request = purchase.request
        self._send(
            purchase,
            "query",
            lambda node: node.engine.query(request.hospital, request.terminal, request.key),
        )

    # ---- the road to a node ---------------------------------------------------------------------

    def _send(self, purchase: Purchase, how: str, call: Callable[[Node], object]) -> None:
        if self._random.random() < self._mix.ask_lost:
            return
        nodes = self._nodes()
        if nodes:
            node = self._random.choice(nodes)
            delay = self._random.uniform(0.001, 0.3)
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
        if not node.process.effect("answer") or self._random.random() < self._mix.answer_lost:
            return
        delay = self._random.uniform(0.001, 0.3)
        self._clock.callLater(delay, self._hear, purchase, how, answer)

    def _hear(self, purchase: Purchase, how: str, answer: Answer) -> None:
        purchase.told.append(Told(self._clock.rightNow, how, answer))
        self._trace("told", purchase.key, how, answer.state, answer.version, answer.code)
        if how != "other" and answer.state in FINAL:
            purchase.final = True
        elif how == "start" and answer.state is AnswerState.REFUSED:
            wait = self._random.uniform(1, 30)
            if self._random.random() < 0.7:  # "busy, try again": the same key once more
                self._clock.callLater(wait, self._start, purchase, purchase.request, "start")
            else:
                self._clock.callLater(wait, self._query, purchase)


_CHIP = bytes.fromhex(LAST_WORD)


def _card(chip: bytes = b"") -> CardSecrets:
    return CardSecrets(
        chip=Secret(chip) if chip else None,
        pan=Secret("6222020200112233445"),
        track2=Secret("6222020200112233445=30122010000000000"),
        pin_block=Secret("0123456789ABCDEF"),
        pin_key="U0123456789ABCDEF0123456789ABCDEF",
    )


def _no_answer(failure: Failure) -> None:
    """The front cannot answer while the database is away; anything else is a defect."""
    failure.trap(JournalDown)
