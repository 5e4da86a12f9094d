"""The attendant's screens: behind a code, beside the patients'."""

from msgspec.structs import replace

from terminal_agent.flows.events import Admitted, CheckCode, Print, Restart, SetLock
from terminal_agent.flows.state import Rules, State, Step, enter, home
from terminal_agent.flows.view import Screen
from terminal_agent.protocol import Opaque

CODE_DIGITS_MAX = 12
LOCKED_BY_HAND = ""
"""No text of its own: the page says it in its own words."""


def ask_code(state: State, _id: str, now_ms: int, rules: Rules) -> Step:
    """The code, please."""
    if not rules.attended:
        return state, ()
    after = enter(home(state), Screen.CODE, now_ms, rules.card_ms, language=state.language)
    return after, ()


def digit(state: State, one: str, now_ms: int, rules: Rules) -> Step:
    """One more digit."""
    if one not in tuple("0123456789") or len(state.typed) >= CODE_DIGITS_MAX:
        return state, ()
    typed = state.typed + one
    return enter(state, Screen.CODE, now_ms, rules.card_ms, typed=typed, notice=""), ()


def clear(state: State, _id: str, _now_ms: int, _rules: Rules) -> Step:
    """All digits away."""
    return replace(state, typed="", notice=""), ()


def check(state: State, _id: str, _now_ms: int, _rules: Rules) -> Step:
    """Is it right? Only the shell knows, and it counts the tries."""
    if not state.typed:
        return state, ()
    code = CheckCode(visit=state.visit, code=Opaque(state.typed))
    return replace(state, typed=""), (code,)


def admitted(state: State, event: Admitted, now_ms: int, rules: Rules) -> Step:
    """In, or not."""
    if not event.right:
        return replace(state, notice="wrong_code"), ()
    after = enter(
        state,
        Screen.ATTENDANT,
        now_ms,
        rules.choose_ms,
        payments=event.payments,
        versions=event.versions,
    )
    return after, ()


def reprint(state: State, key: str, now_ms: int, rules: Rules) -> Step:
    """One of the last payments, again."""
    if key not in {payment.key for payment in state.payments}:
        return state, ()
    after = enter(state, Screen.ATTENDANT, now_ms, rules.choose_ms, key=key, slip="waiting")
    return after, (Print(key),)


def lock(state: State, _id: str, _now_ms: int, _rules: Rules) -> Step:
    """No more patients."""
    return state, (SetLock(LOCKED_BY_HAND),)


def unlock(state: State, _id: str, _now_ms: int, _rules: Rules) -> Step:
    """Patients again."""
    return state, (SetLock(None),)


def restart(state: State, _id: str, now_ms: int, rules: Rules) -> Step:
    """The program anew, once; the journal keeps what matters."""
    if state.notice == "restarting":
        return state, ()
    return enter(state, Screen.ATTENDANT, now_ms, rules.choose_ms, notice="restarting"), (
        Restart(),
    )
