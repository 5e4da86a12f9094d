"""The Mermaid diagrams of docs/payment-machine.md, drawn from the table.

The table says which event makes which move; ``LEADS`` says where a move may lead. The exhaustive
walk of tests/payment proves ``LEADS`` exact: nothing else happens, and each of them does.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import product
from typing import NamedTuple

from switch.payment import moves, undos
from switch.payment.table import EVENTS, OPEN, PHASES, RULES, STATES, UNDO, Move

ITS_TURN = "its turn"


class Lead(NamedTuple):
    """From ``phase``, ``move`` leaves its leg in one of ``states`` (``=``: as it was) and the
    payment in one of ``phases``. ``of``: said of this leg state only."""

    move: Move
    phase: str
    states: str
    phases: str
    of: str = ""


class Change(NamedTuple):
    """One thing that can happen: (phase, leg state) and event, and what follows."""

    phase: str
    state: str
    event: str
    next_phase: str
    next_state: str


# fmt: off
LEADS: tuple[Lead, ...] = (
    Lead(moves.done, "forward", "done undoing", "forward backward done"),
    Lead(moves.done, "backward", "done undoing stuck", "backward declined exception"),
    Lead(moves.refused, "forward", "ask_wait refused undo_wait stuck",
         "forward backward declined undone exception"),
    Lead(moves.refused, "backward", "refused undo_wait stuck",
         "backward declined undone exception"),
    Lead(moves.doubted, "forward", "unproven stuck", "backward undone exception"),
    Lead(moves.doubted, "backward", "unproven stuck", "backward undone exception"),
    Lead(moves.again, "forward", "refused", "backward declined"),
    Lead(moves.again, "backward", "refused", "backward declined"),
    Lead(moves.not_sent, "forward", "do_wait ask_wait refused undo_wait stuck",
         "forward backward declined undone exception"),
    Lead(moves.not_sent, "backward", "refused undo_wait stuck",
         "backward declined undone exception"),
    Lead(moves.unknown, "forward", "do_wait ask_wait refused undo_wait stuck",
         "forward backward declined exception"),
    Lead(moves.unknown, "backward", "ask_wait refused undo_wait stuck",
         "backward declined exception"),
    Lead(moves.wake, "forward", "doing", "forward", "do_wait"),
    Lead(moves.wake, "forward", "asking", "forward", "ask_wait"),
    Lead(moves.wake, "backward", "asking", "backward", "ask_wait"),
    Lead(moves.wake, "backward", "undoing", "backward", "undo_wait"),
    Lead(moves.wake, "exception", "undoing", "exception"),
    Lead(moves.absent, "forward", "refused stuck", "backward declined undone exception"),
    Lead(moves.absent, "backward", "refused", "backward declined"),
    Lead(moves.ask_not_found, "forward", "doing ask_wait refused undo_wait stuck",
         "forward backward declined exception"),
    Lead(moves.ask_not_found, "backward", "ask_wait refused undo_wait stuck",
         "backward declined exception"),
    Lead(moves.ask_failed, "forward", "ask_wait refused undo_wait stuck",
         "forward backward exception"),
    Lead(moves.ask_failed, "backward", "ask_wait refused undo_wait stuck", "backward exception"),
    Lead(moves.deadline, "forward", "refused undo_wait stuck",
         "backward declined undone exception"),
    Lead(moves.batch_deadline, "forward", "stuck", "exception"),
    Lead(moves.batch_deadline, "backward", "stuck", "exception"),
    Lead(moves.batch_deadline, "exception", "stuck", "exception"),
    Lead(moves.origin_reverses_in_flight, "forward", "=", "backward"),
    Lead(moves.origin_reverses_waiting, "forward", "ask_wait refused undo_wait stuck",
         "backward declined undone exception"),
    Lead(undos.undone, "backward", "undo_wait undone", "backward declined undone"),
    Lead(undos.undone, "exception", "undone", "exception"),
    Lead(undos.undo_refused, "backward", "undo_wait stuck", "backward exception"),
    Lead(undos.undo_refused, "exception", "stuck", "exception"),
    Lead(undos.undo_not_found, "backward", "undo_wait undone unproven stuck",
         "backward declined undone exception"),
    Lead(undos.undo_not_sent, "backward", "undo_wait", "backward"),
    Lead(undos.undo_not_sent, "exception", "undo_wait", "exception"),
    Lead(undos.undo_unknown, "backward", "undo_wait stuck", "backward exception"),
    Lead(undos.undo_unknown, "exception", "undo_wait", "exception"),
    Lead(moves.closing, "backward", "undoing", "backward"),
    Lead(moves.proven_absent, "backward", "undone", "backward declined undone"),
    Lead(moves.proven_absent, "undone", "undone", "undone"),
    Lead(moves.proven_absent, "exception", "undone", "backward declined undone exception"),
    Lead(moves.undo_again, "backward", "undo_wait", "backward"),
    Lead(moves.undo_again, "undone", "undo_wait", "backward"),
    Lead(moves.undo_again, "exception", "undo_wait", "exception"),
    Lead(moves.stuck_stands, "exception", "done undo_wait", "forward backward done exception"),
    Lead(moves.stuck_absent, "exception", "doing refused undone",
         "forward backward declined undone exception"),
    Lead(moves.origin_reverses_done, "done", "undoing undone stuck", "backward exception"),
)
# fmt: on

_BACK = f"{UNDO} unproven undone refused stuck"


def changes(lead: Lead) -> Iterator[Change]:
    """Everything that ``lead`` and the table say may happen."""
    for (phase, state, event), row in RULES.items():
        if row.move is not lead.move or phase != lead.phase or lead.of not in ("", state):
            continue
        for next_phase, next_state in product(lead.phases.split(), lead.states.split()):
            yield Change(phase, state, event, next_phase, next_state.replace("=", state))


@cache
def all_changes() -> frozenset[Change]:
    """Every change the diagrams know."""
    return frozenset(change for lead in LEADS for change in changes(lead))


def forward() -> str:
    """A leg while the payment goes forward."""
    return _legs("forward", f"idle {OPEN}", ("idle", "doing"))


def backward() -> str:
    """A leg while the payment goes back."""
    return _legs("backward", f"{OPEN} {_BACK}", ("done", "undoing"))


def rests() -> str:
    """The phases of a payment and the doors between them."""
    edges: dict[tuple[str, str], set[str]] = defaultdict(set)
    for change in all_changes():
        edges[change.phase, change.next_phase].add(change.event)
    return _mermaid(edges, PHASES)


def _legs(phase: str, states: str, turn: tuple[str, str]) -> str:
    edges: dict[tuple[str, str], set[str]] = defaultdict(set, {turn: {ITS_TURN}})
    for change in all_changes():
        if change.phase == phase and change.state in states.split():
            edges[change.state, change.next_state].add(change.event)
    return _mermaid(edges, STATES)


def _words(events: Iterable[str]) -> str:
    order = [ITS_TURN, *EVENTS]
    return ", ".join(sorted(events, key=order.index))


def _mermaid(edges: dict[tuple[str, str], set[str]], order: tuple[str, ...]) -> str:
    ordered = sorted(edges, key=lambda edge: (order.index(edge[0]), order.index(edge[1])))
    lines = [f"    {a} --> {b}: {_words(edges[a, b])}" for a, b in ordered if a != b]
    return "\n".join(["stateDiagram-v2", *lines])


DIAGRAMS = {"forward": forward, "backward": backward, "rests": rests}
"""By the name that marks each one's place in the page."""
