"""Places in a pad for PIN keys that are not shared with the switch: a bank's own.

A slot is named by bank and merchant role (``icbc.outpatient``) and holds two keys: the bank's
master key (TMK), which custodians load at the pad, and the PIN key under it, which the bank gives
at sign-on. No two slots share a place, so a PIN block is never made under another bank's key, or
under the other merchant number's (norm 17: cross use of keys is refused).
"""

import re
from pathlib import Path
from typing import Final, NamedTuple

from terminal_agent.config import ConfigError
from terminal_agent.devices.interfaces import Completion, DeviceError

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,126}")


class PinSlot(NamedTuple):
    """Where its two keys are, as the pad numbers them; ``key`` empty: the pad keeps none."""

    master: str
    key: str = ""


class PinSlots:
    """The slots of one pad: its own, by the name "", and those of banks."""

    def __init__(self, own: PinSlot, text: str, places: str, taken: tuple[str, ...] = ()) -> None:
        """``text``: the option, ``NAME=PLACES`` with spaces between; ``places``: the pattern of
        PLACES, master and key parted by a slash; ``taken``: key places of other uses. Raises
        ConfigError."""
        self._slots = {"": own}
        for name, value in read_pairs(text, "slots"):
            if re.fullmatch(places, value) is None:
                raise ConfigError(f"slots: {name}: not places of this pad")
            self._slots[name] = PinSlot(*value.split("/"))
        masters = [slot.master for slot in self._slots.values()]
        keys = [slot.key for slot in self._slots.values() if slot.key]
        if len(set(masters)) < len(masters) or len({*keys, *taken}) < len(keys) + len(taken):
            raise ConfigError("slots: two keys at one place")

    @property
    def several(self) -> bool:
        """Whether there is one beside the pad's own."""
        return len(self._slots) > 1

    def __getitem__(self, name: str) -> PinSlot:
        """A slot by its name. Raises DeviceError (unsupportedCommand)."""
        if name not in self._slots:
            raise DeviceError(Completion.UNSUPPORTED_COMMAND, f"no key slot {name}")
        return self._slots[name]


def read_pairs(text: str, option: str) -> list[tuple[str, str]]:
    """``NAME=VALUE`` with spaces between. Raises ConfigError."""
    found: dict[str, str] = {}
    for pair in text.split():
        name, mark, value = pair.partition("=")
        if not mark or not value or _NAME.fullmatch(name) is None or name in found:
            raise ConfigError(f"{option}: must be NAME=VALUE with spaces between, each name once")
        found[name] = value
    return list(found.items())


def read_files(text: str, option: str) -> dict[str, Path]:
    """The same where the values are files. Raises ConfigError."""
    return {name: Path(value) for name, value in read_pairs(text, option)}
