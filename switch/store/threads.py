"""How results come back from the journal's threads to the reactor."""

import os
import select
import sys
from collections.abc import Callable, Iterable
from typing import Any

import psycopg2
from psycopg2.extensions import connection
from twisted.internet.defer import Deferred

from switch.observe.logs import get_logger

_log = get_logger("journal")

CallFromThread = Callable[..., object]
"""``reactor.callFromThread``, or what a test puts in its place."""

Fired = tuple[Deferred[Any], object]
"""A Deferred and its result: a value, or a twisted Failure."""


def fire(results: Iterable[Fired]) -> None:
    """In the reactor's thread: give every waiter its result. One hand-over for a whole batch."""
    for deferred, result in results:
        deferred.callback(result)


def fail_stop(run: Callable[[], None]) -> Callable[[], None]:
    """``run`` as a thread's target. A defect in it ends the process, loudly: a switch without its
    journal must not go on, and a restart recovers everything (I4)."""

    def guarded() -> None:
        try:
            run()
        except Exception:  # the boundary of the thread: nobody above would ever hear of it
            _log.exception("journal_thread_failed", invariant="I4")
            sys.stdout.flush()
            os._exit(70)

    return guarded


def close_quietly(conn: connection | None) -> None:
    """Close a session that may be broken already."""
    if conn is not None:
        try:
            conn.close()
        except psycopg2.Error:
            return  # it was broken: that is why it is closed


def hung_up(conn: connection) -> bool:
    """The server has closed this idle session. Seen before sending: nothing was sent."""
    poller = select.poll()
    poller.register(conn.fileno(), select.POLLRDHUP)
    return bool(poller.poll(0))


def error_name(error: psycopg2.Error) -> str:
    """What may be logged of a database error: never its text, which can repeat a row (I12)."""
    return f"{type(error).__name__} {error.pgcode or 'connection'}"


def is_broken(error: psycopg2.Error) -> bool:
    """The session is of no use any more: psycopg2 does not always call it closed. A read-only
    server (25) is a former primary: connect again."""
    return error.pgcode is None or error.pgcode.startswith("25")
