"""Notices of issuer scripts (脚本结果通知) at the bank, and the auditor's look at them."""

from collections.abc import Iterator

from msgspec import Struct

from switch.model.notice import NoticeEnd
from switch.model.payment import LegKind, LegState
from tests.sim.chips import KEPT, End
from tests.sim.reading import Identity
from tests.sim.violation import Violation
from tests.sim.watched import Watched

_TERMINAL_RESULT = KEPT[:14]
"""Tag 95, which goes with the results."""


class Notice(Struct, frozen=True):
    """One, as the bank heard it: of which payment, and its field 55."""

    at: float
    original: Identity
    chip: str


def all_told(database: Watched) -> bool:
    """No notice is on its way any more."""
    return database.notices.owed.keys() <= database.notices.ended.keys()


def findings(
    database: Watched, notices: list[Notice], ends: dict[str, End], *, has_notices: bool
) -> Iterator[Violation]:
    """A notice says of a payment's own card what its terminal wrote down, after its word was
    committed; none is lost."""
    heard = set()
    for notice in notices:
        key = database.owners.get(notice.original, "")
        heard.add(key)
        end = ends.get(key)
        if end is None or not end.scripts:
            yield Violation("I8", f"{notice.original}: a notice, and its card ran no script")
        elif notice.chip != end.scripts + _TERMINAL_RESULT:
            yield Violation("I8", f"{key}: its notice says {notice.chip}, its card {end.scripts}")
        elif notice.at < _spoken_at(database, key):
            yield Violation("I4", f"{key}: its notice left before its card's word was committed")
    for payment in database.payments():
        finish = next((leg for leg in payment.legs if leg.kind is LegKind.FINISH), None)
        ended = database.notices.ended.get(payment.key)
        if ended is not None and ended[0] is NoticeEnd.ACKNOWLEDGED and payment.key not in heard:
            yield Violation("I7", f"{payment.key}: its notice acknowledged, the bank has none")
        if finish is None or "DF31" not in finish.facts.get("chip", "") or not has_notices:
            continue
        if payment.key not in heard:
            yield Violation("I3", f"{payment.key}: its script results never reached the bank")


def _spoken_at(database: Watched, key: str) -> float:
    """When the word of its card was first committed."""
    said = (f"|finish:{LegState.DONE}", f"|finish:{LegState.REFUSED}")
    times = [
        database.committed[known, version]
        for (known, version), (where, _) in database.events.items()
        if known == key and any(one in where for one in said)
    ]
    return min(times, default=float("inf"))
