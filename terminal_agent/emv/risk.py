"""Terminal risk management (EMV book 3, 10.6): floor limit, and the card's own offline limits."""

from terminal_agent.emv import apdu
from terminal_agent.emv.actions import Flow
from terminal_agent.emv.context import Context, Tsi, Tvr
from terminal_agent.emv.restrictions import context_tvr
from terminal_agent.emv.tlv import TlvError, find, parse


def manage(context: Context) -> Flow[None]:
    """Set TVR byte 4. Online only: nothing here decides anything, the issuer reads it."""
    floor = context.profile.floor_limit_fen
    if floor is not None and context.payment.amount_fen >= floor:
        context.found(Tvr.FLOOR_LIMIT)
    if context.profile.velocity and {"9F14", "9F23"} <= context.card.keys():
        yield from _velocity(context, context.card["9F14"], context.card["9F23"])
    context.done(Tsi.TERMINAL_RISK)
    context.note("risk", context_tvr(context))


def _velocity(context: Context, lower: bytes, upper: bytes) -> Flow[None]:
    counter = yield from _counter(context, "9F36")
    last_online = yield from _counter(context, "9F13")
    if last_online == 0:
        context.found(Tvr.NEW_CARD)
    if counter is None or last_online is None or counter <= last_online:
        context.found(Tvr.LOWER_OFFLINE_LIMIT)
        context.found(Tvr.UPPER_OFFLINE_LIMIT)
        return
    offline = counter - last_online
    if offline > lower[0]:
        context.found(Tvr.LOWER_OFFLINE_LIMIT)
    if offline > upper[0]:
        context.found(Tvr.UPPER_OFFLINE_LIMIT)


def _counter(context: Context, tag: str) -> Flow[int | None]:
    """A counter of the card, or None when it does not tell."""
    answer = yield from context.say(apdu.get_data(tag))
    try:
        found = find(parse(answer.data), tag) if answer.sw == apdu.OK else None
    except TlvError:
        found = None
    return int.from_bytes(found.value, "big") if found else None
