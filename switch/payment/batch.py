"""What belongs to a batch, what of it is still open, and what it adds up to. Pure."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from switch.model.batch import Batch, BatchTerms, Totals
from switch.model.operation import Operation
from switch.model.payment import Leg, LegState, Payment, RungKind
from switch.model.undo import as_leg, messages, undoing_message

_UNSETTLED = frozenset(
    {
        *(LegState.DOING, LegState.ASKING, LegState.UNDOING),
        *(LegState.DO_WAIT, LegState.ASK_WAIT, LegState.UNDO_WAIT),
    }
)


class Member(Struct, frozen=True, kw_only=True):
    """A money leg whose message carried the batch's number."""

    payment: Payment
    index: int
    undo: RungKind | None = None
    """The message is the one that undoes the leg."""

    @property
    def leg(self) -> Leg:
        """As last committed; an undo as a leg of its own."""
        leg = self.payment.legs[self.index]
        return leg if self.undo is None else as_leg(leg, self.undo)

    @property
    def place(self) -> str:
        """Where it stands in the order of its batch; nothing that comes in later moves it."""
        return f"{self.leg.facts['F11']} {self.payment.key}"

    @property
    def open(self) -> bool:
        """Unknown, going back, or on its way: the batch must not settle (rule 19)."""
        return self.unsettled or self.turning

    @property
    def unsettled(self) -> bool:
        """Something is out for it, or waits to be sent."""
        return self.leg.state in _UNSETTLED

    @property
    def out(self) -> bool:
        """Only its answer or its time-out says what it is; both come by themselves."""
        return self.leg.state in (LegState.DOING, LegState.UNDOING)

    @property
    def turning(self) -> bool:
        """It stands, and its payment is not at its end: it may have to go back yet."""
        return self.leg.state is LegState.DONE and self.payment.rest is None

    @property
    def waits_after_25(self) -> bool:
        """Its reversal found no original and waits to be said again (rule 9)."""
        return self.leg.state is LegState.UNDO_WAIT and self.leg.not_founds > 0

    @property
    def stands(self) -> bool:
        """Money moved, and was not reversed, as far as the journal knows."""
        leg = self.payment.legs[self.index]
        undone_by = undoing_message(leg)
        if self.undo is not None:
            return undone_by is self.undo
        stuck = leg.state is LegState.STUCK and leg.took_effect
        return leg.state is LegState.DONE or stuck or undone_by is not None


def members(batch: Batch, payments: Iterable[Payment]) -> list[Member]:
    """By the number they were sent with. A number used again: only what is newer than the former
    batch of that number."""
    found = [
        member
        for payment in payments
        for index, leg in enumerate(payment.legs)
        for member in (
            Member(payment=payment, index=index),
            *(Member(payment=payment, index=index, undo=kind) for kind in messages(leg)),
        )
        if _in(batch, member.leg)
    ]
    return sorted(found, key=lambda one: one.place)


def totals(terms: BatchTerms, standing: Sequence[Member]) -> Totals:
    """Of what stands. A sale that was voided counts as a debit, and its void as a credit."""
    taken = [one.leg.amount_fen for one in standing if _operation(one) in terms.debits]
    given = [one.leg.amount_fen for one in standing if _operation(one) in terms.credits]
    return Totals(
        debit_count=len(taken),
        debit_fen=sum(taken),
        credit_count=len(given),
        credit_fen=sum(given),
    )


def counted(terms: BatchTerms, all_members: Iterable[Member]) -> list[Member]:
    """What goes into the totals, and is sent one by one when they differ."""
    kinds = terms.debits | terms.credits
    return [one for one in all_members if one.stands and _operation(one) in kinds]


def next_number(number: str) -> str:
    """The batch after this one; after 999999 comes 000001.

    >>> next_number("000041"), next_number("999999")
    ('000042', '000001')
    """
    return f"{int(number) % 999_999 + 1:06d}"


def _in(batch: Batch, leg: Leg) -> bool:
    facts, terminal = leg.facts, batch.terminal
    return (
        leg.counterparty == terminal.bank
        and facts.get("batch") == batch.number
        and facts.get("F42") == terminal.merchant
        and facts.get("F41") == terminal.terminal
        and leg.sent_at >= batch.since
    )


def _operation(member: Member) -> Operation:
    return member.leg.operation or Operation.SALE
