"""Cardholder verification (EMV book 3, 10.5): the card's list of methods, of which the terminal
knows online PIN and, when its capabilities (9F33) say so, signature and none."""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Final

from terminal_agent.emv.actions import EndKind, Flow, PinNeeded, PinOutcome, Stop
from terminal_agent.emv.context import Context, Tsi, Tvr
from terminal_agent.emv.reading import pan_of
from terminal_agent.emv.restrictions import context_tvr

_NEXT_IF_FAILED: Final = 0x40
_FAIL, _ONLINE_PIN, _SIGNATURE, _NO_CVM = 0x00, 0x02, 0x1E, 0x1F
_OFFLINE_PINS: Final = (0x01, 0x03, 0x04, 0x05)
_SUPPORT: Final[Mapping[int, int]] = {_ONLINE_PIN: 0x40, _SIGNATURE: 0x20, _NO_CVM: 0x08}
"""Method → its bit in byte 2 of 9F33."""
_NOTHING_DONE: Final = bytes([0x3F, 0x00, 0x00])
_NOTHING_FITS: Final = bytes([0x3F, 0x00, 0x01])
_CARD_CAN: Final = 0x10
_SHORTEST: Final = 10
"""Bytes of a list with two amounts and one rule; a list without a rule is none."""


class _Result(Enum):
    UNKNOWN = 0
    FAILED = 1
    SUCCESSFUL = 2


def verify(context: Context) -> Flow[bool]:
    """Go through the card's list; the result stands in 9F34 and TVR byte 3. Whether a PIN was
    typed. Raises Stop when the holder cancels."""
    methods = context.card.get("8E", b"")
    if not context.card["82"][0] & _CARD_CAN:
        context.own["9F34"] = _NOTHING_DONE
        typed = False
    elif len(methods) < _SHORTEST:
        context.own["9F34"] = _NOTHING_DONE
        context.found(Tvr.DATA_MISSING)
        typed = False
    else:
        typed = yield from _verify_by(context, methods)
        context.done(Tsi.HOLDER_VERIFICATION)
    context.note("cvm", f"{context.own['9F34'].hex().upper()} {context_tvr(context)}")
    return typed


def _verify_by(context: Context, methods: bytes) -> Flow[bool]:
    limits = int.from_bytes(methods[:4], "big"), int.from_bytes(methods[4:8], "big")
    context.own["9F34"] = _NOTHING_FITS
    outcome: PinOutcome | None = None
    for at in range(8, len(methods) - 1, 2):
        code, condition = methods[at], methods[at + 1]
        method = code & ~_NEXT_IF_FAILED
        if not _applies(context, method, condition, limits):
            continue
        if method == _ONLINE_PIN and _supported(context, method) and outcome is None:
            outcome = yield PinNeeded(pan_of(context), context.payment.amount_fen)
        result = _performed(context, method, outcome)
        context.own["9F34"] = bytes([code, condition, result.value])
        if result is not _Result.FAILED:
            return method == _ONLINE_PIN
        if not code & _NEXT_IF_FAILED:
            break
    context.found(Tvr.HOLDER_NOT_VERIFIED)
    return False


def _performed(context: Context, method: int, outcome: PinOutcome | None) -> _Result:
    """What the method came to; sets the TVR's reason when it failed."""
    if method == _ONLINE_PIN and _supported(context, method):
        if outcome is PinOutcome.CANCELLED:
            raise Stop("holder_cancelled", EndKind.CANCELLED)
        flags = {
            PinOutcome.ENTERED: Tvr.ONLINE_PIN,
            PinOutcome.BYPASSED: Tvr.PIN_NOT_ENTERED,
            PinOutcome.BROKEN: Tvr.NO_PIN_PAD,
        }
        assert outcome is not None
        context.found(flags[outcome])
        return _Result.UNKNOWN if outcome is PinOutcome.ENTERED else _Result.FAILED
    if _supported(context, method):
        return _Result.SUCCESSFUL if method == _NO_CVM else _Result.UNKNOWN
    if method == _ONLINE_PIN or method in _OFFLINE_PINS:
        context.found(Tvr.NO_PIN_PAD)
    elif method not in (_FAIL, *_SUPPORT):
        context.found(Tvr.UNKNOWN_CVM)
    return _Result.FAILED


def _supported(context: Context, method: int) -> bool:
    return bool((context.get("9F33") or bytes(3))[1] & _SUPPORT.get(method, 0))


def _applies(context: Context, method: int, condition: int, limits: tuple[int, int]) -> bool:
    """Whether the condition code holds for a purchase at this terminal; unknown codes do not."""
    amount, (x, y) = context.payment.amount_fen, limits
    known: Mapping[int, Callable[[], bool]] = {
        0x00: lambda: True,
        0x02: lambda: True,
        0x03: lambda: _supported(context, method),
        0x06: lambda: _own_currency(context) and amount < x,
        0x07: lambda: _own_currency(context) and amount > x,
        0x08: lambda: _own_currency(context) and amount < y,
        0x09: lambda: _own_currency(context) and amount > y,
    }
    return condition in known and known[condition]()


def _own_currency(context: Context) -> bool:
    return context.card.get("9F42", context.card.get("9F51")) == context.get("5F2A")
