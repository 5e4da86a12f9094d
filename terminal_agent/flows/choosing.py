"""Who is there, and what they want: from the home page to the amounts to be checked."""

from msgspec.structs import replace

from terminal_agent.flows.businesses import FLOWS, Flow, Goal, Source
from terminal_agent.flows.events import (
    AskChoices,
    AskPatient,
    Failed,
    Found,
    Identified,
    Identify,
    Offered,
    Print,
    Stop,
)
from terminal_agent.flows.state import (
    Rules,
    State,
    Step,
    enter,
    home,
    is_served,
    preferences,
    usable_media,
)
from terminal_agent.flows.view import Screen
from terminal_agent.journal import PaymentOrder
from terminal_agent.protocol import Choice

_SHOW_AGAIN = frozenset({"userError", "invalidData"})
"""Ends of reading a medium after which another try may read it."""


def begin(state: State, business: str, now_ms: int, rules: Rules) -> Step:
    """A tile: a new visit begins."""
    flow = FLOWS.get(business)
    if flow is None or not is_served(state, flow, rules) or state.lock_text is not None:
        return state, ()
    return _arrived(state, business, now_ms, rules)


def _arrived(state: State, business: str, now_ms: int, rules: Rules) -> Step:
    """Somebody nobody knows yet: a visit of its own."""
    after = replace(home(state), **preferences(state), business=business)
    after = enter(after, Screen.IDENTIFY, now_ms, rules.choose_ms)
    return after, (Identify(visit=after.visit, media=usable_media(state, rules)),)


def identified(state: State, event: Identified, now_ms: int, rules: Rules) -> Step:
    """A medium was read: who is it?"""
    ask = AskPatient(visit=state.visit, medium=event.medium, number=event.number)
    return enter(state, Screen.BUSY, now_ms, rules.choose_ms, notice=""), (ask,)


def not_identified(state: State, event: Failed, now_ms: int, rules: Rules) -> Step:
    """What was shown could not be read: say so, and wait for the next try. A device that is gone
    cannot be waited for: that is the end of this visit."""
    if event.code not in _SHOW_AGAIN:
        return _sorry(state, event.code, event.text, now_ms, rules)
    return _identify_again(state, event.code, now_ms, rules)


def _identify_again(state: State, code: str, now_ms: int, rules: Rules) -> Step:
    after = enter(state, Screen.IDENTIFY, now_ms, rules.choose_ms, notice=code)
    return after, (Identify(visit=state.visit, media=usable_media(state, rules)),)


def found(state: State, event: Found, now_ms: int, rules: Rules) -> Step:
    """The patient is known: on to the first pick."""
    return _offer(replace(state, patient=event.patient), now_ms, rules)


def offered(state: State, event: Offered, now_ms: int, rules: Rules) -> Step:
    """What may be picked, or read."""
    flow = _flow(state)
    last = len(state.chosen) + 1 == len(flow.picks)
    if not event.choices:
        return _sorry(state, f"no_{flow.picks[len(state.chosen)].step}", "", now_ms, rules)
    screen = Screen.LISTING if flow.goal is Goal.READ and last else Screen.PICK
    return enter(state, screen, now_ms, rules.choose_ms, choices=event.choices), ()


def failed(state: State, event: Failed, now_ms: int, rules: Rules) -> Step:
    """The hospital or the line said no: say so, with the way out. No money has moved."""
    if state.patient is None:
        again = replace(state, text=event.text)
        return _identify_again(again, event.code, now_ms, rules)
    return _sorry(state, event.code, event.text, now_ms, rules)


def picked(state: State, choice_id: str, now_ms: int, rules: Rules) -> Step:
    """One of them: on to the next step, or to the check, or print it."""
    choice = next((one for one in state.choices if one.id == choice_id and one.left), None)
    if choice is None:
        return state, ()
    flow = _flow(state)
    after = replace(state, chosen=(*state.chosen, choice), choices=(), notice="")
    if len(after.chosen) < len(flow.picks):
        return _offer(after, now_ms, rules)
    if flow.goal is Goal.PRINT:
        after = enter(
            after, Screen.RESULT, now_ms, rules.result_ms, key=choice.id, slip="waiting", outcome=""
        )
        return after, (Print(choice.id),)
    order = _order(after)
    return enter(after, Screen.CHECK, now_ms, rules.choose_ms, order=order), ()


def back(state: State, _id: str, now_ms: int, rules: Rules) -> Step:
    """To the pick before; from the first one to the start of the visit."""
    if state.screen is Screen.CHECK or state.chosen:
        return _offer(replace(state, chosen=state.chosen[:-1], order=None), now_ms, rules)
    after, commands = _arrived(state, state.business, now_ms, rules)
    return after, (Stop(), *commands)


def _offer(state: State, now_ms: int, rules: Rules) -> Step:
    """Ask for what may be picked at the next step."""
    pick = _flow(state).picks[len(state.chosen)]
    if pick.source is Source.AMOUNTS:
        choices = tuple(
            Choice(id=str(amount_fen), title="", amount_fen=amount_fen)
            for amount_fen in rules.amounts_fen
        )
        return enter(state, Screen.PICK, now_ms, rules.choose_ms, choices=choices), ()
    assert state.patient is not None
    ask = AskChoices(
        visit=state.visit,
        business=state.business,
        pick=pick,
        patient=state.patient,
        chosen=tuple(zip((p.step for p in _flow(state).picks), _ids(state), strict=False)),
    )
    return enter(state, Screen.BUSY, now_ms, rules.choose_ms, choices=()), (ask,)


def _order(state: State) -> PaymentOrder:
    """What is to be paid: the last pick says how much, all of them what for."""
    assert state.patient is not None
    last = state.chosen[-1]
    amount = _flow(state).picks[-1].source is Source.AMOUNTS
    return PaymentOrder(
        business=state.business,
        amount_fen=last.amount_fen,
        patient=state.patient.patient_id,
        bill="" if amount else last.id,
        patient_name=state.patient.name,
        title=" ".join(choice.title for choice in state.chosen if choice.title)[:64],
    )


def _sorry(state: State, code: str, text: str, now_ms: int, rules: Rules) -> Step:
    after = enter(
        state,
        Screen.RESULT,
        now_ms,
        rules.result_ms,
        outcome="failed",
        notice=code,
        text=text,
        choices=(),
    )
    return after, ()


def _ids(state: State) -> tuple[str, ...]:
    return tuple(choice.id for choice in state.chosen)


def _flow(state: State) -> Flow:
    flow = state.flow
    assert flow is not None
    return flow
