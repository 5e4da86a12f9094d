"""The sign-on session (签到) of a key set: a table over (state, event), sans-IO.

Rules
- No debit before sign-on, and none while the keys are being changed (rule 16 of
  docs/payment-law.md): READY → DRAINING lets what is in flight end first.
- New keys count only when their check values are right and they are stored; until then the old
  set stays, whole. A failure is alarmed and tried again, for ever, every ``sign_on_retry_ms``.
- The session ends with the last link: whoever comes back signs on first.
- It ends as well when another node takes the terminal; the one that gets it goes on with the keys
  stored by the one before, and signs on only when there are none or they are old (rule 16).
- A bank that sends keys of its own accord (a host) is asked for them when they are missing or in
  doubt: AWAITING. Keys that grow old are good until they are too old: it is asked for new ones and
  payments go on. Keys that it sends at any other time count from their storing on.

Every pair of state and event is in :data:`TABLE` or in :data:`IGNORED` with its reason; a test
proves it.
"""

from enum import StrEnum


class State(StrEnum):
    """Where a session stands."""

    OFF = "off"
    SIGNING = "signing"
    """The sign-on is out."""
    CHECKING = "checking"
    """The keys are with the HSM."""
    AWAITING = "awaiting"
    """Signed on; the bank's key resets are to come."""
    WAITING = "waiting"
    """Failed; the retry timer runs."""
    READY = "ready"
    DRAINING = "draining"
    """A new sign-on is wanted; exchanges in flight end first."""


class Event(StrEnum):
    """What can happen to it."""

    LINK_UP = "link_up"
    """A link is there and the session is this node's: sign on."""
    RESUMED = "resumed"
    """It came from another node, with stored keys that are good."""
    LOST = "lost"
    """It is another node's now, or nobody's."""
    LINK_DOWN = "link_down"
    """The last link of the bank is gone."""
    WANTED = "wanted"
    """77, 99, A0, 处理要求 3, too many wrong MACs, or keys that a sign-on brings grow old."""
    AGED = "aged"
    """Keys that the bank sends itself grow old."""
    DRAINED = "drained"
    ANSWERED = "answered"
    """Signed on, and the answer brings keys."""
    ACCEPTED = "accepted"
    """Signed on with a bank that sends keys itself; the stored ones are good."""
    KEYLESS = "keyless"
    """Signed on with such a bank; the stored keys are missing, old or in doubt."""
    FAILED = "failed"
    """No answer, a refusal, or an answer that is none."""
    KEYS_GOOD = "keys_good"
    KEYS_BAD = "keys_bad"
    KEYS_RESET = "keys_reset"
    """The bank has sent whole new keys; they are checked and stored."""
    RETRY = "retry"


class Command(StrEnum):
    """What the shell does next."""

    SEND = "send"
    CHECK = "check"
    ASK_KEYS = "ask_keys"
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
    (State.SIGNING, Event.ACCEPTED): (State.READY, (Command.TELL_READY,)),
    (State.SIGNING, Event.KEYLESS): (State.AWAITING, (Command.ASK_KEYS, Command.ARM_RETRY)),
    (State.SIGNING, Event.FAILED): (State.WAITING, (Command.ALARM, Command.ARM_RETRY)),
    (State.SIGNING, Event.LINK_DOWN): (State.OFF, ()),
    (State.SIGNING, Event.LOST): (State.OFF, ()),
    (State.CHECKING, Event.KEYS_GOOD): (State.READY, (Command.TELL_READY,)),
    (State.CHECKING, Event.KEYS_BAD): (State.WAITING, (Command.ALARM, Command.ARM_RETRY)),
    (State.CHECKING, Event.LINK_DOWN): (State.OFF, ()),
    (State.CHECKING, Event.LOST): (State.OFF, ()),
    (State.AWAITING, Event.KEYS_RESET): (State.READY, (Command.CANCEL_RETRY, Command.TELL_READY)),
    (State.AWAITING, Event.RETRY): (
        State.AWAITING,
        (Command.ALARM, Command.ASK_KEYS, Command.ARM_RETRY),
    ),
    (State.AWAITING, Event.LINK_DOWN): (State.OFF, (Command.CANCEL_RETRY,)),
    (State.AWAITING, Event.LOST): (State.OFF, (Command.CANCEL_RETRY,)),
    (State.WAITING, Event.RETRY): (State.SIGNING, (Command.SEND,)),
    (State.WAITING, Event.LINK_DOWN): (State.OFF, (Command.CANCEL_RETRY,)),
    (State.WAITING, Event.LOST): (State.OFF, (Command.CANCEL_RETRY,)),
    (State.READY, Event.WANTED): (State.DRAINING, ()),
    (State.READY, Event.AGED): (State.READY, (Command.ASK_KEYS,)),
    (State.READY, Event.KEYS_RESET): (State.READY, (Command.TELL_READY,)),
    (State.READY, Event.LINK_DOWN): (State.OFF, ()),
    (State.READY, Event.LOST): (State.OFF, ()),
    (State.DRAINING, Event.DRAINED): (State.SIGNING, (Command.SEND,)),
    (State.DRAINING, Event.KEYS_RESET): (State.READY, (Command.TELL_READY,)),
    (State.DRAINING, Event.LINK_DOWN): (State.OFF, ()),
    (State.DRAINING, Event.LOST): (State.OFF, ()),
}

_EVERYWHERE = frozenset(State)
_NOT_SIGNING = _EVERYWHERE - {State.SIGNING}
_RESET = frozenset({State.AWAITING, State.READY, State.DRAINING})

IGNORED: dict[Event, tuple[frozenset[State], str]] = {
    Event.LINK_UP: (_EVERYWHERE - {State.OFF}, "one link more changes nothing"),
    Event.RESUMED: (_EVERYWHERE - {State.OFF}, "the first link came meanwhile and signs on"),
    Event.LOST: (frozenset({State.OFF}), "it had no session"),
    Event.LINK_DOWN: (frozenset({State.OFF}), "it was down"),
    Event.WANTED: (_EVERYWHERE - {State.READY}, "a sign-on is under way or comes with the link"),
    Event.AGED: (_EVERYWHERE - {State.READY}, "new keys come, or are seen to with the sign-on"),
    Event.DRAINED: (_EVERYWHERE - {State.DRAINING}, "nothing waits for it"),
    Event.ANSWERED: (_NOT_SIGNING, "the link went down meanwhile"),
    Event.ACCEPTED: (_NOT_SIGNING, "the link went down meanwhile"),
    Event.KEYLESS: (_NOT_SIGNING, "the link went down meanwhile"),
    Event.FAILED: (_NOT_SIGNING, "the link went down meanwhile"),
    Event.KEYS_GOOD: (_EVERYWHERE - {State.CHECKING}, "stored all the same; the next sign-on"),
    Event.KEYS_BAD: (_EVERYWHERE - {State.CHECKING}, "the link went down meanwhile"),
    Event.KEYS_RESET: (_EVERYWHERE - _RESET, "stored; the sign-on finds them good"),
    Event.RETRY: (_EVERYWHERE - {State.WAITING, State.AWAITING}, "the timer lost a race"),
}


def step(state: State, event: Event) -> Step:
    """The next state and what to do, in order; ignored events change nothing."""
    return TABLE.get((state, event), (state, ()))
