"""Codes of PIN block formats on the wire, and what the policy lets them do."""

from typing import Final

from hsm.errors import CommandError
from hsm.lmk import HeldKey
from hsm.policy import Policy
from hsm.primitives import PIN_FORMS, PinAccount, PinForm, account12

_TWELVE: Final = 12
_ISO_4: Final = "48"


def form_of(policy: Policy, code: str) -> PinForm:
    """The form behind a code. CommandError 23: no such code; 69: the policy has it off."""
    name = policy.profile.pin_codes.get(code)
    if name is None:
        raise CommandError("23")
    if code not in policy.pin_formats:
        raise CommandError("69")
    return PIN_FORMS[name]


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
