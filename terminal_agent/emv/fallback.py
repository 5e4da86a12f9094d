"""May the magnetic stripe of this card be read instead of its chip? (降级使用磁条)

A chip card is paid by its chip. Its stripe counts only when the chip cannot be used through no
decision of the card or its issuer, and when the bank's profile allows that.
"""

from enum import StrEnum
from typing import Final

from terminal_agent.emv.profile import Fallback

_CHIP_SERVICES: Final = ("2", "6")
"""First digit of the service code on track 2: this card has a chip."""


class ChipTrouble(StrEnum):
    """Why the chip was not used."""

    NOT_TRIED = "not_tried"
    UNREADABLE = "unreadable"
    NO_APPLICATION = "no_application"
    REFUSED = "refused"
    """Blocked, declined, broken off, pulled: whatever else ended the chip payment."""


def has_chip(service_code: str) -> bool:
    """Whether the stripe says that there is a chip."""
    return service_code[:1] in _CHIP_SERVICES


def stripe_allowed(rule: Fallback, service_code: str, trouble: ChipTrouble, tries: int) -> bool:
    """``tries``: insertions so far at which the chip gave no answer."""
    if not has_chip(service_code):
        return True
    if trouble is ChipTrouble.UNREADABLE:
        return rule.unreadable and tries >= rule.reset_tries
    return trouble is ChipTrouble.NO_APPLICATION and rule.no_application
