"""The host commands this project speaks, as tables. Daemon, client and docs all read them here."""

from typing import Final

from hsm.codec import Command
from hsm.layouts import cards, china, common, data, keys, legacy, macs, pin_checks, pins, status
from hsm.layouts.data import M0, M2
from hsm.layouts.keys import A0, A6, BU
from hsm.layouts.macs import M6, M8, mac_width
from hsm.layouts.pins import CA
from hsm.layouts.status import B2, NC, NO

__all__ = [
    "A0", "A6", "B2", "BU", "CA", "COMMANDS", "M0", "M2", "M6", "M8", "NC", "NO", "common",
    "mac_width",
]  # fmt: skip


def _declared(*modules: object) -> dict[str, Command]:
    found = [value for module in modules for value in vars(module).values()]
    return {command.code: command for command in found if isinstance(command, Command)}


COMMANDS: Final = _declared(status, keys, legacy, pins, pin_checks, macs, data, cards, china)
"""Every declared command by its code."""
