"""From the confirmed check to the payment's end, and what the patient is told of it."""

from msgspec.structs import replace

from terminal_agent.flows.events import (
    AwaitOutcome,
    Choose,
    Ended,
    GiveBack,
    News,
    Pay,
    Progress,
    SlipNews,
    Stage,
    Stop,
    Unfinished,
)
from terminal_agent.flows.state import Rules, State, Step, enter
from terminal_agent.flows.view import Screen
from terminal_agent.journal import PaymentOrder
from terminal_agent.protocol import Choice

WRONG_PIN = "55"
"""Field 39; the only refusal after which the same card is asked again (rule 17)."""

_SCREENS = {
    Stage.INSERT: Screen.CARD,
    Stage.READING: Screen.CARD,
    Stage.APPLICATION: Screen.CARD,
    Stage.PIN: Screen.PIN,
    Stage.SENT: Screen.PAYING,
    Stage.FINISHING: Screen.PAYING,
}


def confirmed(state: State, _id: str, now_ms: int, rules: Rules) -> Step:
    """The amounts are right: the card, please."""
    flow, order = state.flow, state.order
    if flow is None or order is None or not is_payable(order):
        return state, ()
    after = enter(
        state,
        Screen.CARD,
        now_ms,
        rules.card_ms,
        stage=Stage.INSERT,
        digits=0,
        notice="",
        text="",
        code="",
    )
    return after, (Pay(visit=state.visit, order=order, clearing=flow.clearing),)


def is_payable(order: PaymentOrder) -> bool:
    """What costs nothing is not paid here."""
    return order.amount_fen >= 1


def progress(state: State, event: Progress, now_ms: int, rules: Rules) -> Step:
    """The card is in, the PIN is typed, it is sent. Never back from what is sent."""
    if state.screen is Screen.PAYING and event.stage not in (Stage.SENT, Stage.FINISHING):
        return state, ()
    screen = _SCREENS[event.stage]
    # A key on the pad is as good as a tap: more time. What is sent has all the time it needs.
    wait_ms = 0 if screen is Screen.PAYING else rules.card_ms
    choices = tuple(Choice(id=str(place), title=label) for place, label in enumerate(event.labels))
    after = enter(
        state,
        screen,
        now_ms,
        wait_ms,
        stage=event.stage,
        digits=event.digits,
        choices=choices,
        key=event.key or state.key,
        notice="",
    )
    return after, ()


def application(state: State, place: str, _now_ms: int, _rules: Rules) -> Step:
    """The holder chose among the card's applications."""
    if state.stage is not Stage.APPLICATION or place not in {one.id for one in state.choices}:
        return state, ()
    return replace(state, choices=(), stage=Stage.READING), (Choose(int(place)),)


def cancelled(state: State, _id: str, now_ms: int, rules: Rules) -> Step:
    """The patient does not want to; nothing is sent yet."""
    return give_up(state, now_ms, rules)


def give_up(state: State, now_ms: int, _rules: Rules) -> Step:
    """Stop waiting at the card and the pad. Its end comes as Ended: what was sent in this very
    moment after all is told there (I7)."""
    if state.notice == "cancelling":
        return state, ()
    return enter(state, state.screen, now_ms, 0, notice="cancelling"), (Stop(),)


def ended(state: State, event: Ended, now_ms: int, rules: Rules) -> Step:
    """The end, or what is known of it."""
    told = event.told
    if told is None:
        outcome = "cancelled" if event.code in ("canceled", "timeOut") else "failed"
        after = replace(state, outcome=outcome, notice=event.code, code="", text="")
    else:
        after = replace(
            state,
            told=told,
            key=told.key,
            outcome=told.state,
            notice="",
            code=told.code,
            text=told.text,
        )
    after = enter(after, Screen.RESULT, now_ms, rules.result_ms, stage=None, choices=())
    # The card comes out while the patient reads, unless it is asked again.
    return after, () if may_retry(after, rules) else (GiveBack(),)


def may_retry(state: State, rules: Rules) -> bool:
    """Whether the result offers another try: after a wrong PIN, and after what came to nothing at
    the card."""
    if state.order is None or state.tries >= rules.retries_max:
        return False
    if state.told is None:
        return state.outcome in ("failed", "cancelled")
    return state.outcome == "declined" and state.code == WRONG_PIN


def again(state: State, _id: str, now_ms: int, rules: Rules) -> Step:
    """A new payment, which names the one before (rule 17)."""
    if not may_retry(state, rules):
        return state, ()
    assert state.order is not None
    retry_of = state.told.key if state.told else state.order.retry_of
    after = replace(
        state,
        order=replace(state.order, retry_of=retry_of),
        tries=state.tries + 1,
        told=None,
        key="",
        outcome="",
        slip="",
    )
    return confirmed(after, "", now_ms, rules)


def unfinished(state: State, event: Unfinished, now_ms: int, _rules: Rules) -> Step:
    """The power was gone in the middle of a payment: show that it is looked after (I7)."""
    after = replace(
        state,
        visit=state.visit + 1,
        business=event.order.business,
        order=event.order,
        key=event.key,
        stage=Stage.SENT,
        notice="after_restart",
    )
    after = enter(after, Screen.PAYING, now_ms, 0)
    return after, (AwaitOutcome(visit=after.visit, key=event.key),)


def news(state: State, event: News, now_ms: int, rules: Rules) -> Step:
    """A newer answer for what is on the screen (pending becomes an end)."""
    told = event.told
    if state.screen is not Screen.RESULT or told.key != state.key or state.told is None:
        return state, ()
    after = replace(state, told=told, outcome=told.state, code=told.code, text=told.text)
    return enter(after, Screen.RESULT, now_ms, rules.result_ms), ()


def slip_news(state: State, event: SlipNews, _now_ms: int, _rules: Rules) -> Step:
    """The slip of what is on the screen."""
    return (replace(state, slip=event.slip), ()) if event.key == state.key else (state, ())
