"""Codes of PIN block formats on the wire, and what the policy lets them do."""

from typing import Final

from hsm.errors import CommandError
from hsm.lmk import HeldKey
from hsm.policy import Policy
from hsm.primitives import PIN_FORMS, PinAccount, PinForm, account12

STANDARD: Final = {
    "01": PIN_FORMS["iso-0"],
    "02": PIN_FORMS["docutel"],
    "03": PIN_FORMS["diebold"],
    "04": PIN_FORMS["plus"],
    "05": PIN_FORMS["iso-1"],
    "34": PIN_FORMS["iso-2"],
    "47": PIN_FORMS["iso-3"],
    "48": PIN_FORMS["iso-4"],
}
"""The payShield family's codes."""

_TWELVE: Final = 12
_ISO_4: Final = "48"


def form_of(policy: Policy, code: str) -> PinForm:
    """The form behind a code. CommandError 23: no such code; 69: the policy has it off."""
    form = STANDARD.get(code)
    if form is None:
        raise CommandError("23")
    if code not in policy.pin_formats:
        raise CommandError("69")
    return form


def forms_of(policy: Policy, source: str, target: str) -> tuple[PinForm, PinForm]:
    """Both forms of a translation. CommandError 23; 69: one of them, or the pair, is off."""
    forms = form_of(policy, source), form_of(policy, target)
    if (source, target) not in policy.pin_translations:
        raise CommandError("69")
    return forms


def fit(form: PinForm, key: HeldKey, where: str) -> None:
    """CommandError A7, or 23 for a key outside a key block: its algorithm carries no such form."""
    if key.algorithm not in form.algorithms:
        raise CommandError("A7" if key.header is not None else "23", where)


def account_of(text: str, *codes: str) -> PinAccount:
    """The parts of an account field for these formats: 12 digits; for PLUS 18, the whole number
    without its check digit, filled with F; for ISO 4 a card number of 13-19.

    CommandError 22: too short.
    """
    if len(text) == _TWELVE:
        return PinAccount(text, text, text)
    if _ISO_4 in codes:
        return PinAccount(account12(text), text[:-1][:_TWELVE], text)
    number = text.lstrip("F")
    if len(number) < _TWELVE:
        raise CommandError("22", "account")
    return PinAccount(number[-_TWELVE:], number[:_TWELVE], number)
