"""Plays one payment by hand, event by event, with times: for tests that read like the law."""

from switch.model.outcome import Millis, Verb
from switch.model.payment import Effect, EffectKind, Event, LegKind, LegPolicy, LegState
from switch.model.payment import EventKind as E
from switch.payment import begin, decide
from tests.payment.cases import case
from tests.payment.world import Counterparty


class Play:
    """``payment`` and the effects of the last decision."""

    def __init__(self, *plan: tuple[LegKind, LegPolicy], ledger_ok: bool = True) -> None:
        new = case("play", *((kind, policy, Counterparty()) for kind, policy in plan)).payment
        self.now = 1_000
        self.payment, self.effects = begin(
            new, Event(kind=E.TIMER, at=Millis(self.now), ledger_ok=ledger_ok)
        )

    def __call__(
        self,
        leg: int,
        kind: E,
        *,
        after_ms: int = 0,
        code: str = "",
        ledger_ok: bool = True,
        doubtful: bool = False,
    ) -> "Play":
        """Feed one event; an answer belongs to the exchange that is out."""
        self.now += after_ms
        legs = self.payment.legs
        attempt = legs[leg].attempt if kind.startswith("do_") else 0
        event = Event(
            kind=kind, at=Millis(self.now), leg=leg, attempt=attempt, code=code,
            ledger_ok=ledger_ok, doubtful=doubtful,
        )  # fmt: skip
        self.payment, self.effects = decide(self.payment, event)
        return self

    def timer(self, leg: int) -> "Play":
        """The wait of ``leg`` is over, at its own time."""
        self.now = max(self.now, self.payment.legs[leg].wake_at)
        return self(leg, E.TIMER)

    @property
    def states(self) -> list[LegState]:
        return [leg.state for leg in self.payment.legs]

    @property
    def sent(self) -> list[tuple[Verb, int]]:
        """What is to be sent after the last decision: (verb, leg)."""
        return [(x.verb, x.leg) for x in self.effects if x.kind is EffectKind.SEND]

    @property
    def alarms(self) -> list[str]:
        return [x.invariant for x in self.effects if x.kind is EffectKind.ALARM]

    def effect(self, kind: EffectKind) -> Effect:
        return next(x for x in self.effects if x.kind is kind)
