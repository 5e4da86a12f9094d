"""From the kiosk's state to what the page shows. The names of people are masked here (I12)."""

from collections.abc import Callable

from terminal_agent.flows.businesses import FLOWS, Source
from terminal_agent.flows.events import Stage
from terminal_agent.flows.paying import is_payable, may_retry
from terminal_agent.flows.state import Rules, State, is_served, usable_media
from terminal_agent.flows.view import Button, Fact, Line, Screen, Tile, View
from terminal_agent.receipt import masked_name

_PREFERENCES = (Button.LANGUAGE, Button.ELDER, Button.CONTRAST, Button.VOICE)
_NEXT = {
    "approved": "take_slip",
    "declined": "other_card_or_counter",
    "returned": "money_back",
    "pending": "wait_or_counter",
    "exception": "slip_to_counter",
    "refused": "try_later",
    "unknown_key": "try_later",
    "failed": "try_later",
    "cancelled": "nothing_taken",
}
"""Outcome → what the patient should do now."""
_OF_NO_USE = frozenset({"card_unusable", "card_blocked", "card_declined"})
"""Reasons for which the same card will not do at a second try either."""

Fields = dict[str, object]


def view_of(state: State, now_ms: int, rules: Rules) -> View:
    """The whole view."""
    screen = state.screen
    if screen is Screen.HOME and (state.lock_text is not None or not state.link_up):
        screen = Screen.CLOSED
    fields: Fields = _SCREENS[screen](state, rules)
    if state.flow is not None:
        fields |= {"title": _title(state), "steps": state.flow.steps, "step": _step(state)}
    left_ms = max(0, state.deadline_at - now_ms) if state.deadline_at else 0
    buttons = fields.pop("buttons", ())
    assert isinstance(buttons, tuple)
    if left_ms:
        buttons = (*buttons, Button.STAY)
    return View(
        revision=state.revision,
        screen=screen,
        terminal=rules.terminal,
        hospital=rules.hospital,
        language=state.language,
        elder=state.elder,
        contrast=state.contrast,
        voice=state.voice,
        now_ms=now_ms,
        countdown_ms=left_ms,
        countdown_whole_ms=state.deadline_whole_ms if left_ms else 0,
        business=state.business,
        buttons=(*buttons, *_PREFERENCES),
        **fields,  # type: ignore[arg-type]
    )


def _title(state: State) -> str:
    flow = state.flow
    return state.services.get(flow.serves, "") if flow and flow.serves == flow.business else ""


def _step(state: State) -> int:
    """Which of the flow's steps is now. What came to nothing stands where it ended: only what is
    done is at the last one."""
    flow = state.flow
    assert flow is not None
    last, paying = len(flow.steps) - 1, len(flow.picks) + 2
    places = {
        Screen.IDENTIFY: 0,
        Screen.CHECK: len(flow.picks) + 1,
        Screen.CARD: paying,
        Screen.PIN: paying,
        Screen.PAYING: paying,
    }
    if state.screen is Screen.RESULT and (state.outcome == "approved" or not state.outcome):
        return last
    if state.screen is Screen.RESULT and state.order is not None:
        return paying
    picking = min(1 + len(state.chosen), last) if state.patient is not None else 0
    return places.get(state.screen, picking)


# ---- one function a screen -----------------------------------------------------------------------


def _home(state: State, rules: Rules) -> Fields:
    tiles = tuple(
        Tile(
            id=flow.business,
            title=state.services.get(flow.business, ""),
            group=flow.group,
            open=is_served(state, flow, rules),
        )
        for flow in FLOWS.values()
        if flow.elder or not state.elder
    )
    return {"tiles": tiles, "buttons": (Button.ATTENDANT,) if rules.attended else ()}


def _closed(state: State, rules: Rules) -> Fields:
    locked = state.lock_text is not None
    return {
        "notice": "locked" if locked else "offline",
        "text": state.lock_text or "",
        "buttons": (Button.ATTENDANT,) if rules.attended else (),
    }


def _identify(state: State, rules: Rules) -> Fields:
    return {
        "media": usable_media(state, rules),
        "prompt": "identify",
        "notice": state.notice,
        "text": state.text,
        "buttons": (Button.CANCEL,),
    }


def _busy(_state: State, _rules: Rules) -> Fields:
    return {"prompt": "asking_hospital", "buttons": (Button.CANCEL,)}


def _pick(state: State, _rules: Rules) -> Fields:
    assert state.flow is not None
    pick = state.flow.picks[len(state.chosen)]
    return {
        "prompt": f"pick_{pick.step}",
        "choices": _lines(state, priced=pick.source is not Source.CHOICES),
        "facts": _who(state),
        "buttons": (Button.BACK, Button.CANCEL),
    }


def _listing(state: State, _rules: Rules) -> Fields:
    return {
        "prompt": "listing",
        "choices": _lines(state, priced=True),
        "facts": _who(state),
        "buttons": (Button.HOME,),
    }


def _check(state: State, _rules: Rules) -> Fields:
    assert state.order is not None
    assert state.flow is not None
    payable = is_payable(state.order)
    picked = zip(state.flow.picks, state.chosen, strict=False)
    facts = tuple(
        Fact(label=pick.step, value=" ".join((choice.title, choice.detail)).strip())
        for pick, choice in picked
        if choice.title
    )
    return {
        "prompt": "check",
        "facts": (*_who(state), *facts),
        "amount_fen": state.order.amount_fen,
        "notice": "" if payable else "nothing_to_pay",
        "buttons": (*((Button.CONFIRM,) if payable else ()), Button.BACK, Button.CANCEL),
    }


def _card(state: State, _rules: Rules) -> Fields:
    stopping = state.notice == "cancelling"
    return {
        "prompt": str(state.stage or Stage.INSERT),
        "choices": _lines(state, priced=False) if state.stage is Stage.APPLICATION else (),
        "amount_fen": _amount(state),
        "notice": state.notice,
        "buttons": () if stopping else (Button.CANCEL,),
    }


def _pin(state: State, rules: Rules) -> Fields:
    return {**_card(state, rules), "digits": state.digits}


def _paying(state: State, _rules: Rules) -> Fields:
    return {
        "prompt": "keep_card" if state.card_inside else "paying",
        "amount_fen": _amount(state),
        "notice": state.notice,
    }


def _result(state: State, rules: Rules) -> Fields:
    retry = (Button.CONFIRM,) if may_retry(state, rules) else ()
    number = state.told.receipt.get("masked_pan", "") if state.told else ""
    card = (Fact(label="bank_card", value=number),) if number else ()
    return {
        "outcome": state.outcome,
        "amount_fen": _amount(state),
        "facts": (*_who(state), *card),
        "notice": state.notice,
        "text": state.text if state.outcome in ("declined", "failed", "returned") else "",
        "code": state.code,
        "next": _next(state, retries=bool(retry)),
        "slip": state.slip,
        "buttons": (*retry, Button.HOME),
    }


def _next(state: State, *, retries: bool) -> str:
    """What the patient should do now."""
    if state.slip == "failed":
        return "counter_for_slip"
    if not state.outcome:  # something was printed, nothing was paid
        return "take_slip" if state.slip == "printed" else ""
    if retries and state.outcome != "cancelled":
        return "other_card_or_counter" if state.notice in _OF_NO_USE else "try_again"
    if state.outcome == "approved" and state.card_inside:
        return "take_card_and_slip"
    return _NEXT.get(state.outcome, "")


def _take_card(_state: State, _rules: Rules) -> Fields:
    return {"prompt": "take_card"}


def _code(state: State, _rules: Rules) -> Fields:
    return {
        "digits": len(state.typed),
        "notice": state.notice,
        "buttons": (Button.DIGIT, Button.CLEAR, Button.CONFIRM, Button.CANCEL),
    }


def _attendant(state: State, _rules: Rules) -> Fields:
    locked = Button.LOCK if state.lock_text is None else Button.UNLOCK
    return {
        "devices": state.devices,
        "payments": state.payments,
        "versions": state.versions,
        "notice": state.notice,
        "slip": state.slip,
        "buttons": (locked, Button.RESTART, Button.HOME),
    }


_SCREENS: dict[Screen, Callable[[State, Rules], Fields]] = {
    Screen.HOME: _home,
    Screen.CLOSED: _closed,
    Screen.IDENTIFY: _identify,
    Screen.BUSY: _busy,
    Screen.PICK: _pick,
    Screen.LISTING: _listing,
    Screen.CHECK: _check,
    Screen.CARD: _card,
    Screen.PIN: _pin,
    Screen.PAYING: _paying,
    Screen.RESULT: _result,
    Screen.TAKE_CARD: _take_card,
    Screen.CODE: _code,
    Screen.ATTENDANT: _attendant,
}


def _lines(state: State, *, priced: bool) -> tuple[Line, ...]:
    return tuple(
        Line(
            id=choice.id,
            title=choice.title,
            detail=choice.detail,
            amount_fen=choice.amount_fen if priced or choice.amount_fen else None,
            open=choice.left != 0,
        )
        for choice in state.choices
    )


def _who(state: State) -> tuple[Fact, ...]:
    if state.patient is None:
        return ()
    return (
        Fact(label="name", value=masked_name(state.patient.name)),
        Fact(label="patient_id", value=state.patient.patient_id),
    )


def _amount(state: State) -> int | None:
    return state.order.amount_fen if state.order else None
