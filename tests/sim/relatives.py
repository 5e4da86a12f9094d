"""The auditor of payments that refer to another one, and of those that were taken back.

I1 over an original and all that refers to it: what was given back never exceeds what was taken, and
what is reserved of an original is explained by payments that took effect or still may.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise

from switch.catalogue import BUSINESSES, PERMILLE
from switch.model.answer import AnswerState
from switch.model.payment import LegKind, Payment, Rest
from switch.store.memory import MemoryDatabase
from tests.sim.origins import Purchase
from tests.sim.violation import Violation

_GIVEN = frozenset({AnswerState.RETURNED, AnswerState.DECLINED, AnswerState.UNKNOWN_KEY})
"""Answers to a reversal by which its origin holds that nothing stands."""


class Relatives:
    """``net`` is what stands at the bank for a payment."""

    def __init__(
        self,
        payments: dict[str, Payment],
        net: Callable[[str], int],
        database: MemoryDatabase,
        purchases: list[Purchase],
    ) -> None:
        self._payments = payments
        self._net = net
        self._database = database
        self._purchases = purchases
        self._referring: dict[str, list[Payment]] = defaultdict(list)
        for payment in payments.values():
            if payment.original:
                self._referring[payment.original].append(payment)

    def findings(self) -> Iterator[Violation]:
        """Everything that is wrong at rest."""
        for key, referring in self._referring.items():
            yield from self._family(self._payments[key], referring)
        for key in self._database.reserved:
            yield from self._reserve(self._payments[key])
        for purchase in self._purchases:
            if purchase.taken_back and purchase.key in self._payments:
                yield from self._taken_back(purchase, self._payments[purchase.key])

    # ---- originals -------------------------------------------------------------------------------

    def _family(self, original: Payment, referring: list[Payment]) -> Iterator[Violation]:
        """Money: at the bank, no more is given back than stands of what was taken."""
        taken_fen = 0
        for payment in referring:
            net_fen = self._net(payment.key)
            rule = BUSINESSES[payment.business].original
            assert rule is not None
            if net_fen * PERMILLE > original.amount_fen * rule.limit_permille:
                yield Violation("I1", f"{payment.key}: {net_fen} of {original.amount_fen}")
            taken_fen += original.amount_fen if net_fen and rule.whole else net_fen
        if taken_fen > self._net(original.key):
            yield Violation(
                "I1",
                f"{original.key}: {self._net(original.key)} stand of {original.amount_fen}, and "
                f"{taken_fen} are taken of it: {' '.join(map(_shown, referring))}",
            )

    def _reserve(self, original: Payment) -> Iterator[Violation]:
        """What is reserved is what took effect, may have, or still may; nothing else."""
        holders = [p for p in self._referring[original.key] if self._may_stand(p)]
        wanted = sum(payment.reserved_fen for payment in holders)
        wanted += original.amount_fen if self._left_done(original.key) else 0
        reserved = self._database.reserved[original.key]
        if reserved != wanted:
            yield Violation("I1", f"{original.key}: {reserved} reserved, {wanted} explained")
        if reserved > original.amount_fen:
            yield Violation("I1", f"{original.key}: {reserved} reserved of {original.amount_fen}")

    def _may_stand(self, payment: Payment) -> bool:
        """It is done, on its way, or only people and files know."""
        return payment.rest not in (Rest.DECLINED, Rest.UNDONE) or payment.unproven

    def _left_done(self, key: str) -> bool:
        """Its origin took it back after the end, and so took the whole of it."""
        trail = [
            where
            for (known, _), (where, _) in sorted(self._database.events.items())
            if known == key
        ]
        return any(
            before.startswith("done") and not after.startswith("done")
            for before, after in pairwise(trail)
        )

    # ---- what was taken back ---------------------------------------------------------------------

    def _taken_back(self, purchase: Purchase, payment: Payment) -> Iterator[Violation]:
        """An answered reversal is a promise (rule 11): unless it was answered that it cannot be,
        others have a part of it, or it is a refund, nothing of the payment is done at the end."""
        key = payment.key
        answers = [told for told in purchase.told if told.how.startswith("reverse")]
        states = {told.answer.state for told in answers} - {AnswerState.REFUSED}
        for_good = any(leg.kind is LegKind.CREDIT and not leg.policy.ladder for leg in payment.legs)
        excused = for_good or bool(self._referring[key]) or AnswerState.APPROVED in states
        if payment.rest is Rest.DONE and not excused:
            yield Violation("I3", f"{key}: its reversal was answered {states}, and it is done")
        for told in answers:
            if told.answer.state in _GIVEN and payment.rest is Rest.DONE:
                yield Violation("I7", f"{key}: told {told.answer.state}, and it is done")
            stands = told.answer.state is AnswerState.APPROVED and told.how == "reverse_settled"
            if stands and purchase.take_backs == 1 and payment.rest is not Rest.DONE:
                yield Violation("I7", f"{key}: told that it stands, is {payment.rest}")


def _shown(payment: Payment) -> str:
    legs = " ".join(f"{leg.kind}:{leg.state}" for leg in payment.legs)
    return f"[{payment.key} {payment.amount_fen} {payment.phase} {legs}]"
