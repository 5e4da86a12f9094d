"""Processing restrictions (EMV book 3, 10.4): TVR byte 2. None of them ends the payment here: the
issuer, asked online, decides about an expired card."""

from terminal_agent.emv.context import Context, Tvr

_DOMESTIC, _INTERNATIONAL = 0x28, 0x14
"""9F07 byte 1: valid for goods or services at home, abroad."""
_OUTSIDE_ATM = 0x01


def restrict(context: Context) -> None:
    """Compare versions, dates and the card's permitted use with this payment."""
    version = context.card.get("9F08")
    if version is not None and version != context.get("9F09"):
        context.found(Tvr.OTHER_VERSION)
    today = _ordered(context.payment.date)
    if today > _ordered(context.card["5F24"].hex()):
        context.found(Tvr.EXPIRED)
    effective = context.card.get("5F25")
    if effective is not None and today < _ordered(effective.hex()):
        context.found(Tvr.NOT_YET_EFFECTIVE)
    if not _use_allowed(context):
        context.found(Tvr.SERVICE_NOT_ALLOWED)
    context.note("restrictions", context_tvr(context))


def context_tvr(context: Context) -> str:
    """The TVR so far, for a step."""
    return (context.get("95") or b"").hex().upper()


def _ordered(date: str) -> str:
    """YYMMDD with its century: 50 to 99 are the last one's (EMV book 4)."""
    return ("19" if date[:2] >= "50" else "20") + date


def _use_allowed(context: Context) -> bool:
    """9F07 allows it: terminals that are no ATM, and goods or services here. A country of one
    byte, seen on a card, says nothing."""
    control = context.card.get("9F07")
    if control is None:
        return True
    if not control[0] & _OUTSIDE_ATM:
        return False
    country = context.card.get("5F28")
    if country is None or len(country) != 2:
        return True
    domestic = country == context.get("9F1A")
    return bool(control[0] & (_DOMESTIC if domestic else _INTERNATIONAL))
