"""What a bank's book allows: who may take from an original, and what may be reversed."""

from collections.abc import Container
from random import Random

from switch.model.operation import Operation
from tests.sim.entry import Entry
from tests.sim.mix import Mix
from tests.sim.reading import Identity

PARTS = frozenset({Operation.REFUND, Operation.QR_REFUND})
"""Take a part of their original; the others take it whole."""
VOIDS = frozenset(
    {Operation.VOID, Operation.QR_VOID, Operation.PREAUTH_VOID, Operation.COMPLETION_VOID}
)
REFERS = PARTS | VOIDS | {Operation.COMPLETION}
TAKES = frozenset({Operation.SALE, Operation.QR_SALE, Operation.PREAUTH, Operation.COMPLETION})
"""What a bank may refuse to reverse, where it allows a void."""


class Book:
    """``closed``: batches that are settled."""

    def __init__(
        self,
        random: Random,
        mix: Mix,
        entries: dict[Identity, Entry],
        closed: Container[tuple[str, ...]],
    ) -> None:
        self._random = random
        self._mix = mix
        self._entries = entries
        self._closed = closed
        self._shut: set[Identity] = set()
        """Operations whose reversal is refused from now on."""

    def covers(self, entry: Entry) -> bool:
        """Whether enough is left of the original; a lax bank does not look. A void is of its
        original's batch, and where the bank allows refunds instead it may be refused."""
        if entry.operation in VOIDS and (
            entry.original[:3] in self._closed  # type: ignore[index]
            or self._random.random() < self._mix.bank_shut
        ):
            return False
        original = self._entries.get(entry.original)  # type: ignore[arg-type]
        if original is None or not original.booked:
            return False
        if self._mix.bank_lax and entry.operation in PARTS:
            return True  # of what was reversed, too
        return bool(original.net_fen) and (
            self._mix.bank_lax
            or self._taken_of(entry.original) == 0
            or (
                entry.operation in PARTS
                and self._taken_of(entry.original) + entry.amount_fen <= original.net_fen
            )
        )

    def _taken_of(self, original: Identity | None) -> int:
        """What stands of all that refers to ``original``: the whole of it for a void or a
        completion, a part for a refund."""
        return sum(
            entry.amount_fen if entry.operation in PARTS else self._entries[original].amount_fen
            for entry in self._entries.values()
            if original is not None and entry.original == original and entry.net_fen
        )

    def refuses(self, identity: Identity, entry: Entry) -> bool:
        """Whether the bank takes no reversal of it; refused once, refused for ever."""
        if not entry.booked or entry.operation not in TAKES:
            return False
        final = self._mix.bank_final and entry.heard_at is not None and entry.reversed_at is None
        if final or self._random.random() < self._mix.bank_shut:
            self._shut.add(identity)
        return identity in self._shut

    def voided(self, identity: Identity) -> bool:
        """Whether a void of it stands."""
        return any(
            one.original == identity and one.net_fen and one.operation in VOIDS
            for one in self._entries.values()
        )
