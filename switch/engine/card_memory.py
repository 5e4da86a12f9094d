"""What of a payment's card this process holds in memory, and for how long (I12).

Two things that no journal ever sees: the card's secrets, until the debit needs them no more, and
what the issuer said to the chip, until the card is finished. A restart loses both on purpose.
"""

from collections.abc import Sequence

from switch.model.outcome import Reply, Verb
from switch.model.payment import Leg, LegKind, LegState
from switch.model.secret import Secret
from switch.ports import CardSecrets

_BY_CARD = (LegKind.DEBIT, LegKind.CREDIT)
_TO_DEBIT = frozenset({LegState.IDLE, LegState.DOING})
_TO_FINISH = frozenset({LegState.IDLE, LegState.DOING, LegState.DO_WAIT})


class CardMemory:
    """Of one payment on its way here."""

    def __init__(self, secrets: CardSecrets | None) -> None:
        self.secrets = secrets
        self._issuer: Secret[bytes] | None = None

    def issuer(self, kind: LegKind, verb: Verb) -> Secret[bytes] | None:
        """What goes with the order for a leg: the issuer's data for the ``do`` of a finish."""
        return self._issuer if kind is LegKind.FINISH and verb is Verb.DO else None

    def learn(self, reply: Reply) -> None:
        """Keep what an approving issuer says to the chip."""
        if reply.issuer is not None:
            self._issuer = reply.issuer
            if self.secrets is not None:
                self.secrets.issuer = reply.issuer

    def settle(self, legs: Sequence[Leg]) -> None:
        """After a commit: forget what no leg of the payment needs any more."""
        if self.secrets is not None and not any(_any(legs, kind, _TO_DEBIT) for kind in _BY_CARD):
            self.secrets.forget()
            self.secrets = None
        if not _any(legs, LegKind.FINISH, _TO_FINISH):
            self._issuer = None

    def drop(self) -> None:
        """The payment is let go of here."""
        self.secrets = self._issuer = None


def _any(legs: Sequence[Leg], kind: LegKind, states: frozenset[LegState]) -> bool:
    return any(leg.kind is kind and leg.state in states for leg in legs)
