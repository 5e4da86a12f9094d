"""``step(state, event, now_ms, rules) -> (state, commands)``: the kiosk, pure.

Rules
- A tap counts on what was offered when it was made, and on nothing that is not shown any more.
- What belongs to a visit that is over changes nothing but the house's own state.
- ``Pay`` leaves :mod:`terminal_agent.flows.paying` only, at the confirmed check, once for each
  confirmation. From ``Stage.SENT`` on no tap and no time-out leaves the screen: only the payment's
  end does (I7), and that always comes, since the wait for it is bounded.
- Every screen with a patient before it has a deadline, but those that wait for the payment's end
  or for the card to be taken. At home nothing of a patient is left (I12).
- No clock, device, link, journal or chance: those are the shell's (:mod:`terminal_agent.visits`).

A pair of screen and event that stands in no table is ignored: a late answer, a tap of a finger
that was slower than the page.
"""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from terminal_agent.flows import attendant, choosing, paying
from terminal_agent.flows.events import (
    Admitted,
    CardNews,
    DeviceNews,
    Ended,
    Event,
    Failed,
    Found,
    Identified,
    LinkNews,
    LockNews,
    News,
    Offered,
    Progress,
    Services,
    SlipNews,
    Tapped,
    TimeUp,
    Unfinished,
)
from terminal_agent.flows.state import Rules, State, Step, enter, home, leave
from terminal_agent.flows.view import Button, Screen

Move = Callable[[State, Any, int, Rules], Step]

_CHOOSING = frozenset({Screen.IDENTIFY, Screen.BUSY, Screen.PICK, Screen.CHECK, Screen.LISTING})
_PREFERENCES = {
    Button.LANGUAGE: lambda state: replace(
        state, language="en" if state.language == "zh" else "zh"
    ),
    Button.ELDER: lambda state: replace(state, elder=not state.elder),
    Button.CONTRAST: lambda state: replace(state, contrast=not state.contrast),
    Button.VOICE: lambda state: replace(state, voice=not state.voice),
}


def step(state: State, event: Event, now_ms: int, rules: Rules) -> Step:
    """What ``event`` changes and what is to be done. The same state when it changes nothing."""
    if _is_of_another_visit(state, event):
        return state, ()
    after, commands = _moved(state, event, now_ms, rules)
    if after is state or after == state:
        return state, commands
    revision = state.revision + 1
    since = state.offered_since if _offers(after) == _offers(state) else revision
    return replace(after, revision=revision, offered_since=since), commands


def _is_of_another_visit(state: State, event: Event) -> bool:
    """An answer to a question of a patient who has left."""
    visit = getattr(event, "visit", None)
    return visit is not None and visit != state.visit


def _offers(state: State) -> tuple[object, ...]:
    """What a finger could mean; a tap made before this changed does nothing."""
    return state.screen, state.visit, state.choices, state.tries, state.stage


def _moved(state: State, event: Event, now_ms: int, rules: Rules) -> Step:
    if isinstance(event, Tapped):
        return _tapped(state, event, now_ms, rules)
    if isinstance(event, TimeUp):
        return _time_up(state, now_ms, rules)
    move = _HOUSE.get(type(event)) or _SCREENS.get((state.screen, type(event)))
    return move(state, event, now_ms, rules) if move else (state, ())


def _tapped(state: State, event: Tapped, now_ms: int, rules: Rules) -> Step:
    tap = event.tap
    if not state.offered_since <= tap.revision <= state.revision:
        return state, ()
    if tap.what in _PREFERENCES:
        return _preferred(_PREFERENCES[Button(tap.what)](state), now_ms, rules), ()
    if tap.what == Button.STAY and state.deadline_at:
        return replace(state, deadline_at=now_ms + state.deadline_whole_ms), ()
    move = _TAPS.get((state.screen, tap.what))
    return move(state, tap.id, now_ms, rules) if move else (state, ())


def _preferred(state: State, now_ms: int, rules: Rules) -> State:
    """At home a preference is one patient's too: it goes with its deadline."""
    return (
        enter(state, state.screen, now_ms, rules.choose_ms)
        if state.screen is Screen.HOME
        else state
    )


def _time_up(state: State, now_ms: int, rules: Rules) -> Step:
    """A timer that was set for an earlier screen has nothing to say."""
    if not state.deadline_at or now_ms < state.deadline_at:
        return state, ()
    if state.screen in (Screen.CARD, Screen.PIN):
        return paying.give_up(state, now_ms, rules)
    return leave(state, now_ms)


# ---- the house: whatever is shown ----------------------------------------------------------------


def _services(state: State, event: Services, _now_ms: int, _rules: Rules) -> Step:
    return replace(state, services=event.businesses), ()


def _link(state: State, event: LinkNews, _now_ms: int, _rules: Rules) -> Step:
    return replace(state, link_up=event.up), ()


def _lock(state: State, event: LockNews, _now_ms: int, _rules: Rules) -> Step:
    return replace(state, lock_text=event.text), ()


def _devices(state: State, event: DeviceNews, _now_ms: int, _rules: Rules) -> Step:
    return replace(state, devices=event.devices), ()


def _card(state: State, event: CardNews, _now_ms: int, _rules: Rules) -> Step:
    state = replace(state, card_inside=event.inside)
    if state.screen is Screen.TAKE_CARD and not event.inside:
        return home(state), ()
    return state, ()


def _home(state: State, _id: str, now_ms: int, _rules: Rules) -> Step:
    return leave(state, now_ms)


_HOUSE: dict[type, Move] = {
    Services: _services,
    LinkNews: _link,
    LockNews: _lock,
    DeviceNews: _devices,
    CardNews: _card,
    SlipNews: paying.slip_news,
    News: paying.news,
}

_SCREENS: dict[tuple[Screen, type], Move] = {
    (Screen.HOME, Unfinished): paying.unfinished,
    (Screen.IDENTIFY, Identified): choosing.identified,
    (Screen.IDENTIFY, Failed): choosing.not_identified,
    (Screen.BUSY, Found): choosing.found,
    (Screen.BUSY, Offered): choosing.offered,
    (Screen.BUSY, Failed): choosing.failed,
    (Screen.CARD, Progress): paying.progress,
    (Screen.PIN, Progress): paying.progress,
    (Screen.PAYING, Progress): paying.progress,
    (Screen.CARD, Ended): paying.ended,
    (Screen.PIN, Ended): paying.ended,
    (Screen.PAYING, Ended): paying.ended,
    (Screen.CODE, Admitted): attendant.admitted,
}

_TAPS: dict[tuple[Screen, str], Move] = {
    (Screen.HOME, "tile"): choosing.begin,
    (Screen.HOME, Button.ATTENDANT): attendant.ask_code,
    (Screen.PICK, "choice"): choosing.picked,
    (Screen.PICK, Button.BACK): choosing.back,
    (Screen.CHECK, Button.BACK): choosing.back,
    (Screen.CHECK, Button.CONFIRM): paying.confirmed,
    (Screen.CARD, "choice"): paying.application,
    (Screen.CARD, Button.CANCEL): paying.cancelled,
    (Screen.PIN, Button.CANCEL): paying.cancelled,
    (Screen.RESULT, Button.CONFIRM): paying.again,
    (Screen.RESULT, Button.HOME): _home,
    (Screen.CODE, Button.DIGIT): attendant.digit,
    (Screen.CODE, Button.CLEAR): attendant.clear,
    (Screen.CODE, Button.CONFIRM): attendant.check,
    (Screen.CODE, Button.CANCEL): _home,
    (Screen.ATTENDANT, Button.HOME): _home,
    (Screen.ATTENDANT, "payment"): attendant.reprint,
    (Screen.ATTENDANT, Button.LOCK): attendant.lock,
    (Screen.ATTENDANT, Button.UNLOCK): attendant.unlock,
    (Screen.ATTENDANT, Button.RESTART): attendant.restart,
    **{(screen, Button.CANCEL): _home for screen in _CHOOSING},
    **{(screen, Button.HOME): _home for screen in _CHOOSING},
}
