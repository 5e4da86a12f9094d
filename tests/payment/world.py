"""The abstract world behind one leg: what its counterparty truly holds, and what is on the way.

Messages are sets. A request may be delivered at any later time or never (loss, delay, reordering);
a reply once made stays and may be delivered again and again (duplication, lateness). A request
delivered twice is modelled where it can matter: a reversal that found nothing stays on the way.
"""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from switch.model.payment import EventKind as E
from switch.model.payment import LegState, RungKind

NONE, STANDS, GONE, BARRED, VOIDED = "none", "stands", "gone", "barred", "voided"
"""``barred``: refused or tombstoned, it can never take effect any more. ``gone``: it took effect
and was undone."""
TWICE, OVER = "twice", "over"
"""Booked twice; given back twice."""

CURRENT, OLD = "current", "old"


class Request(NamedTuple):
    """``verb``: do, ask, a rung's kind, or ``unvoid``. ``rung``: its index in the ladder."""

    verb: str
    age: str = CURRENT
    rung: int = 0


class Reply(NamedTuple):
    kind: E
    age: str = CURRENT


class Cell(NamedTuple):
    """Truth and messages of one leg. ``closed``: rungs below this one are refused from now on
    (past the cutover)."""

    truth: str = NONE
    closed: int = 0
    requests: frozenset[Request] = frozenset()
    replies: frozenset[Reply] = frozenset()


@dataclass(frozen=True)
class Counterparty:
    """Habits of the other side of a leg, the bad ones included."""

    idempotent: bool = True
    """A second ``do`` under the same key or STAN changes nothing. Otherwise it happens twice."""
    refuses: bool = True
    grumbles: bool = False
    """May answer a repeat of what it has done with a refusal (已缴费) instead of its old answer."""
    doubts: bool = False
    """May say no without proof before it has decided: the request is still on its way."""
    again: bool = False
    """May answer A0 or 77: refused, try once more."""
    forgets: bool = False
    """Answers 25 to an undo that overtook its original, and makes the original afterwards."""
    closes: bool = False
    """May refuse an undo for good (past the cutover; the service was used)."""
    knows_absent: bool = False
    """Its query can say *definitely not*; else only *not found*."""
    no_money: bool = False
    """A lock or the completion of a card: what becomes of it at the end is no matter of money."""

    def same_key(self, kind: str, request: Request) -> bool:
        """Does a new exchange say the same thing again, so that an old *done* answers it too?"""
        return not self.again if kind == "do" else kind == "ask" or _repeats_first(request)


Steps = tuple[tuple[str, Cell], ...]
_ASKS = frozenset({E.ASK_FOUND, E.ASK_ABSENT, E.ASK_NOT_FOUND, E.ASK_UNKNOWN})
_UNDOS = frozenset({E.UNDO_DONE, E.UNDO_REFUSED, E.UNDO_NOT_FOUND, E.UNDO_NOT_SENT, E.UNDO_UNKNOWN})


def _class(reply: Reply) -> str:
    return "ask" if reply.kind in _ASKS else "undo" if reply.kind in _UNDOS else "do"


def _verb_class(request: Request) -> str:
    return request.verb if request.verb in ("do", "ask") else "undo"


@cache
def send(party: Counterparty, cell: Cell, request: Request) -> Cell:
    """A new exchange: what was on the way for the same verb is of an older one from now on.

    An older answer is worth something only when it says *done* of the same message (``test_table``
    and ``core`` prove that the machine looks at no other); the rest is dropped here.
    """
    kind = _verb_class(request)
    aged = ("do", "ask") if kind == "do" else (kind,)
    requests = {r for r in cell.requests if _verb_class(r) not in aged}
    replies = {r for r in cell.replies if _class(r) not in aged}
    for reply in cell.replies - replies:
        if reply.kind in (E.DO_DONE, E.UNDO_DONE, E.ASK_FOUND):
            replies.add(reply if party.same_key(kind, request) else reply._replace(age=OLD))
    if kind == "do":
        requests |= {r._replace(age=OLD) for r in cell.requests if r.verb == "do"}
    if kind == "undo" and not _repeats_first(request):
        # the reversal of a void names its void; a plain refund executes as often as it is sent
        kept = (RungKind.REVERSAL, RungKind.CANCEL, RungKind.REFUND)
        requests |= {r._replace(age=OLD) for r in cell.requests if r.verb in kept}
    return cell._replace(requests=frozenset(requests | {request}), replies=frozenset(replies))


def _repeats_first(request: Request) -> bool:
    """The ladder's first rung said again: one message, and one of it on the way is enough."""
    return request.rung == 0 and request.verb not in (RungKind.VOID, "unvoid")


@cache
def unsent(cell: Cell) -> Cell | None:
    """The current ``do`` never left; None when it is no longer waiting to be delivered."""
    request = Request("do")
    if request not in cell.requests:
        return None
    return cell._replace(requests=cell.requests - {request})


@cache
def undo_unsent(cell: Cell) -> Cell | None:
    """The current undo never left; None when it is no longer waiting to be delivered."""
    mine = {r for r in cell.requests if _verb_class(r) == "undo" and r.age == CURRENT}
    return cell._replace(requests=cell.requests - mine) if mine else None


def dead_line(cell: Cell) -> Cell:
    """The longest processing time, or the settling of the books: what is not there now will not
    come any more."""
    return cell._replace(requests=frozenset())


@cache
def deliveries(party: Counterparty, cell: Cell) -> Steps:
    """Every way in which the counterparty may handle one of the requests on the way."""
    steps = []
    for request in sorted(cell.requests):
        for truth, kind, closed, stays in _handle(party, cell, request):
            requests = cell.requests if stays else cell.requests - {request}
            replies = cell.replies | {Reply(kind, request.age)}
            after = Cell(truth, closed, requests, replies)
            if after != cell:
                steps.append((f"{request.verb} arrives → {truth}, answers {kind}", after))
    return tuple(steps)


Handled = list[tuple[str, E, int, bool]]


def _handle(party: Counterparty, cell: Cell, request: Request) -> Handled:
    if request.verb == "do":
        outcomes = _do(party, cell.truth)
        if party.doubts and cell.truth == NONE:
            return [
                *((truth, kind, cell.closed, False) for truth, kind in outcomes),
                (NONE, E.DO_DOUBTED, cell.closed, True),
            ]
    elif request.verb == "ask":
        outcomes = _ask(party, cell.truth)
    elif request.verb == "unvoid":
        outcomes = _unvoid(cell.truth)
    else:
        return _undo(party, cell, request)
    return [(truth, kind, cell.closed, False) for truth, kind in outcomes]


def _do(party: Counterparty, truth: str) -> list[tuple[str, E]]:
    if truth == NONE:
        return [
            (STANDS, E.DO_DONE),
            *([(BARRED, E.DO_REFUSED)] if party.refuses else []),
            *([(NONE, E.DO_AGAIN)] if party.again else []),
        ]
    if truth in (STANDS, TWICE):
        grumble = [(truth, E.DO_REFUSED)] if party.grumbles else []
        return [(STANDS if party.idempotent else TWICE, E.DO_DONE), *grumble]
    return [(truth, E.DO_REFUSED)]


def _ask(party: Counterparty, truth: str) -> list[tuple[str, E]]:
    if truth in (STANDS, TWICE):
        return [(truth, E.ASK_FOUND)]
    if truth == NONE:
        definite = [(BARRED, E.ASK_ABSENT)] if party.knows_absent else []
        return [(NONE, E.ASK_NOT_FOUND), *definite]
    return [(truth, E.ASK_ABSENT if party.knows_absent else E.ASK_NOT_FOUND)]


def _unvoid(truth: str) -> list[tuple[str, E]]:
    if truth == VOIDED:
        return [(STANDS, E.UNDO_DONE)]
    return [(truth, E.UNDO_DONE), (truth, E.UNDO_NOT_FOUND)]


def _undo(party: Counterparty, cell: Cell, request: Request) -> Handled:
    truth, closed, rung = cell.truth, cell.closed, request.rung
    if truth in (NONE, BARRED):
        if request.verb == RungKind.REFUND:
            return [(OVER, E.UNDO_DONE, closed, False)]
        if request.verb in (RungKind.CANCEL, RungKind.UNLOCK, RungKind.REVERSAL):
            missed = [(truth, E.UNDO_NOT_FOUND, closed, truth == NONE)] if party.forgets else []
            unheard = [(truth, E.UNDO_REFUSED, closed, False)] if party.closes else []
            return [(BARRED, E.UNDO_DONE, closed, False), *missed, *unheard]
        no = (E.UNDO_NOT_FOUND, E.UNDO_REFUSED)
        return [(truth, kind, closed, False) for kind in no]
    if rung < closed:
        return [(truth, E.UNDO_REFUSED, closed, False)]
    if truth == STANDS:
        after = VOIDED if request.verb == RungKind.VOID else GONE
        refused = [(STANDS, E.UNDO_REFUSED, rung + 1, False)] if party.closes else []
        return [(after, E.UNDO_DONE, closed, False), *refused]
    if truth == GONE and request.verb == RungKind.REFUND:
        return [(OVER, E.UNDO_DONE, closed, False)]
    if truth == GONE and request.verb != RungKind.VOID:
        shut = [(GONE, E.UNDO_REFUSED, rung + 1, False)] if party.closes else []
        return [(GONE, E.UNDO_DONE, closed, False), *shut]
    return [(truth, E.UNDO_REFUSED, closed, False)]


@cache
def prune(party: Counterparty, cell: Cell, state: LegState) -> Cell:
    """Drop messages that can change nothing more, so that equal states are seen to be equal.

    What is used: an idempotent counterparty that has decided a key does nothing more for it; rows
    of the table look at a *no* to a do, an ask or an undo only while that exchange is out, and no
    row leaves REFUSED or UNDONE (test_table proves both); a query that was not delivered in its
    time is lost, for what it would say too late a late *done* says as well.
    """
    settled = state in (LegState.REFUSED, LegState.UNDONE)
    if settled and party.no_money:
        late = any(r.verb == "do" for r in cell.requests)
        late = late or any(r.kind is E.DO_DONE for r in cell.replies)
        return Cell(replies=frozenset({Reply(E.DO_DONE)} if late else ()))
    asking = state is LegState.ASKING
    requests = [r for r in cell.requests if asking or r.verb != "ask"]
    if cell.truth != NONE and party.idempotent:
        doing = state is LegState.DOING
        requests = [r for r in requests if r.verb != "do" or (doing and r.age == CURRENT)]
    if cell.truth == BARRED and settled:
        requests = []
    if cell.truth == GONE and settled:
        requests = [r for r in requests if r.verb == RungKind.REFUND]
    replies = frozenset(r for r in cell.replies if _matters(r.kind, state))
    return cell._replace(requests=frozenset(requests), replies=replies)


_ONLY_WHILE = {
    E.DO_REFUSED: LegState.DOING,
    E.DO_DOUBTED: LegState.DOING,
    E.DO_AGAIN: LegState.DOING,
    E.ASK_NOT_FOUND: LegState.ASKING,
    E.UNDO_REFUSED: LegState.UNDOING,
    E.UNDO_NOT_FOUND: LegState.UNDOING,
}


def _matters(kind: E, state: LegState) -> bool:
    if kind in _ONLY_WHILE:
        return _ONLY_WHILE[kind] is state
    if state in (LegState.REFUSED, LegState.UNDONE, LegState.DONE):
        return kind is E.DO_DONE
    return True
