"""What an operator may change at a terminal from afar: a closed table, shared by both sides.

Nothing secret, no address, no driver, no limit of the link: a wrong setting may make a terminal
slow or impolite, never unreachable. A further setting is one row more; its path is one of the
terminal's own configuration file (``terminal_agent.config.AgentConfig``).
"""

import re
from collections.abc import Mapping

from msgspec import Struct

_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_SAID_MAX = 64


class Words(Struct, frozen=True, kw_only=True):
    """Text that is shown or printed."""

    characters_max: int

    def rule(self, value: str) -> str:
        """What is wrong with it; empty when nothing is."""
        if 0 < len(value) <= self.characters_max and value.isprintable():
            return ""
        return f"must be 1 to {self.characters_max} printable characters"


class Number(Struct, frozen=True, kw_only=True):
    """A whole number in a range."""

    least: int
    most: int

    def rule(self, value: str) -> str:
        """What is wrong with it; empty when nothing is."""
        if _NUMBER.fullmatch(value) and self.least <= int(value) <= self.most:
            return ""
        return f"must be a whole number from {self.least} to {self.most}"


PUSHABLE: dict[str, Words | Number] = {
    "receipt.hospital_name": Words(characters_max=32),
    "payment.patient_wait_ms": Number(least=5_000, most=600_000),
    "payment.query_interval_ms": Number(least=500, most=600_000),
    "devices.timeout_ms": Number(least=5_000, most=600_000),
    "flows.choose_ms": Number(least=10_000, most=600_000),
    "flows.card_ms": Number(least=10_000, most=600_000),
    "flows.result_ms": Number(least=3_000, most=120_000),
}
"""Path → what its value may be."""


def first_mistake(settings: Mapping[str, str]) -> str:
    """Path and rule of the first setting that may not be pushed; empty when all may.

    >>> first_mistake({"payment.patient_wait_ms": "60000"})
    ''
    >>> first_mistake({"switch.url": "wss://elsewhere/kiosk"})
    'switch.url: may not be pushed'
    """
    if not settings:
        return "settings: none given"
    for path, value in settings.items():
        known = PUSHABLE.get(path)
        rule = "may not be pushed" if known is None else known.rule(value)
        if rule:
            return f"{path[:_SAID_MAX]}: {rule}"
    return ""
