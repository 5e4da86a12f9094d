"""The sign-on session of one logical terminal (签到): a table over (state, event), sans-IO.

Rules
- No debit before sign-on, and none while the keys are being changed (rule 16 of
  docs/payment-law.md): READY → DRAINING lets what is in flight end first.
- New keys count only when their check values are right and they are stored; until then the old
  set stays, whole. A failure is alarmed and tried again, for ever, every ``sign_on_retry_ms``.
- The session ends with the last link: whoever comes back signs on first.
- It ends as well when another node takes the terminal; the one that gets it goes on with the keys
  stored by the one before, and signs on only when there are none or they are old (rule 16).

Every pair of state and event is in :data:`TABLE` or in :data:`IGNORED` with its reason; a test
proves it.
"""

from enum import StrEnum


class State(StrEnum):
    """Where a terminal's session stands."""

    OFF = "off"
    SIGNING = "signing"
    """0800 is out."""
    CHECKING = "checking"
    """The keys are with the HSM."""
    WAITING = "waiting"
    """Failed; the retry timer runs."""
    READY = "ready"
    DRAINING = "draining"
    """A new sign-on is wanted; exchanges in flight end first."""


class Event(StrEnum):
    """What can happen to it."""

    LINK_UP = "link_up"
    """A link is there and the terminal is this node's: sign on."""
    RESUMED = "resumed"
    """The terminal came from another node, with stored keys that are good."""
    LOST = "lost"
    """It is another node's now, or nobody's."""
    LINK_DOWN = "link_down"
    """The last link of the bank is gone."""
    WANTED = "wanted"
    """77, 99, A0, 处理要求 3, too many wrong MACs, or the keys grow old."""
    DRAINED = "drained"
    ANSWERED = "answered"
    """0810 with 00 and a key block."""
    FAILED = "failed"
    """No answer, a refusal, or an answer that is none."""
    KEYS_GOOD = "keys_good"
    KEYS_BAD = "keys_bad"
    RETRY = "retry"


class Command(StrEnum):
    """What the shell does next."""

    SEND = "send"
    CHECK = "check"
    ARM_RETRY = "arm_retry"
    CANCEL_RETRY = "cancel_retry"
    ALARM = "alarm"
    TELL_READY = "tell_ready"
    TELL_RESUMED = "tell_resumed"


Step = tuple[State, tuple[Command, ...]]

TABLE: dict[tuple[State, Event], Step] = {
    (State.OFF, Event.LINK_UP): (State.SIGNING, (Command.SEND,)),
    (State.OFF, Event.RESUMED): (State.READY, (Command.TELL_RESUMED,)),
    (State.SIGNING, Event.ANSWERED): (State.CHECKING, (Command.CHECK,)),
    (State.SIGNING, Event.FAILED): (State.WAITING, (Command.ALARM, Command.ARM_RETRY)),
    (State.SIGNING, Event.LINK_DOWN): (State.OFF, ()),
    (State.SIGNING, Event.LOST): (State.OFF, ()),
    (State.CHECKING, Event.KEYS_GOOD): (State.READY, (Command.TELL_READY,)),
    (State.CHECKING, Event.KEYS_BAD): (State.WAITING, (Command.ALARM, Command.ARM_RETRY)),
    (State.CHECKING, Event.LINK_DOWN): (State.OFF, ()),
    (State.CHECKING, Event.LOST): (State.OFF, ()),
    (State.WAITING, Event.RETRY): (State.SIGNING, (Command.SEND,)),
    (State.WAITING, Event.LINK_DOWN): (State.OFF, (Command.CANCEL_RETRY,)),
    (State.WAITING, Event.LOST): (State.OFF, (Command.CANCEL_RETRY,)),
    (State.READY, Event.WANTED): (State.DRAINING, ()),
    (State.READY, Event.LINK_DOWN): (State.OFF, ()),
    (State.READY, Event.LOST): (State.OFF, ()),
    (State.DRAINING, Event.DRAINED): (State.SIGNING, (Command.SEND,)),
    (State.DRAINING, Event.LINK_DOWN): (State.OFF, ()),
    (State.DRAINING, Event.LOST): (State.OFF, ()),
}

_EVERYWHERE = frozenset(State)

IGNORED: dict[Event, tuple[frozenset[State], str]] = {
    Event.LINK_UP: (_EVERYWHERE - {State.OFF}, "one link more changes nothing"),
    Event.RESUMED: (_EVERYWHERE - {State.OFF}, "the first link came meanwhile and signs on"),
    Event.LINK_DOWN: (frozenset({State.OFF}), "it was down"),
    Event.LOST: (frozenset({State.OFF}), "it had no session"),
    Event.WANTED: (_EVERYWHERE - {State.READY}, "a sign-on is under way or comes with the link"),
    Event.DRAINED: (_EVERYWHERE - {State.DRAINING}, "nothing waits for it"),
    Event.ANSWERED: (_EVERYWHERE - {State.SIGNING}, "the link went down meanwhile"),
    Event.FAILED: (_EVERYWHERE - {State.SIGNING}, "the link went down meanwhile"),
    Event.KEYS_GOOD: (_EVERYWHERE - {State.CHECKING}, "stored all the same; the next sign-on"),
    Event.KEYS_BAD: (_EVERYWHERE - {State.CHECKING}, "the link went down meanwhile"),
    Event.RETRY: (_EVERYWHERE - {State.WAITING}, "the timer lost a race"),
}


def step(state: State, event: Event) -> Step:
    """The next state and what to do, in order; ignored events change nothing."""
    return TABLE.get((state, event), (state, ()))
