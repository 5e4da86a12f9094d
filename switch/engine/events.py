"""From the end of an exchange to the event the machine decides."""

from switch.model.outcome import Millis, Outcome, Reply, Verb
from switch.model.payment import Event, EventKind, LegKind, Payment
from switch.observe.crash import crash_point

_KINDS: dict[tuple[Verb, Outcome], EventKind] = {
    (Verb.DO, Outcome.DONE): EventKind.DO_DONE,
    (Verb.DO, Outcome.REFUSED): EventKind.DO_REFUSED,
    (Verb.DO, Outcome.NOT_SENT): EventKind.DO_NOT_SENT,
    (Verb.DO, Outcome.UNKNOWN): EventKind.DO_UNKNOWN,
    (Verb.ASK, Outcome.DONE): EventKind.ASK_FOUND,
    (Verb.ASK, Outcome.REFUSED): EventKind.ASK_ABSENT,
    (Verb.ASK, Outcome.NOT_SENT): EventKind.ASK_UNKNOWN,
    (Verb.ASK, Outcome.UNKNOWN): EventKind.ASK_UNKNOWN,
    (Verb.UNDO, Outcome.DONE): EventKind.UNDO_DONE,
    (Verb.UNDO, Outcome.REFUSED): EventKind.UNDO_REFUSED,
    (Verb.UNDO, Outcome.NOT_SENT): EventKind.UNDO_NOT_SENT,
    (Verb.UNDO, Outcome.UNKNOWN): EventKind.UNDO_UNKNOWN,
}
_NOT_FOUND = {Verb.ASK: EventKind.ASK_NOT_FOUND, Verb.UNDO: EventKind.UNDO_NOT_FOUND}


def event_of(
    verb: Verb, reply: Reply, leg: int, attempt: int, at: Millis, *, fresh_attempt: bool
) -> Event:
    """``fresh_attempt``: the PIN block is still in memory, so a Refused for stale keys may be
    tried again under a new STAN; after a restart it is a plain Refused (rule 17)."""
    kind = _KINDS[verb, reply.outcome]
    if reply.not_found and reply.outcome is Outcome.UNKNOWN:
        kind = _NOT_FOUND.get(verb, kind)
    if kind is EventKind.DO_REFUSED and reply.again and fresh_attempt:
        kind = EventKind.DO_AGAIN
    elif kind is EventKind.DO_REFUSED and reply.doubtful:
        kind = EventKind.DO_DOUBTED
    return Event(
        kind=kind,
        at=at,
        leg=leg,
        attempt=attempt,
        code=reply.code,
        text=reply.text,
        facts=reply.facts,
        doubtful=reply.doubtful,
    )


def die_before_commit(payment: Payment, event: Event) -> None:
    """For the crash matrix: what is known and not yet committed."""
    kind = payment.legs[event.leg].kind
    if event.kind is EventKind.DO_DONE and kind is LegKind.DEBIT:
        crash_point("K5")
    if event.kind is EventKind.DO_DONE and kind is LegKind.FINISH:
        crash_point("F2 card finished, not committed")
    if event.kind is EventKind.DO_DONE and kind is LegKind.BOOK:
        crash_point("K8")
    if event.kind is EventKind.UNDO_DONE:
        crash_point("K13")
