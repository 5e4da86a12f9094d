"""Settings pushed from the switch: kept beside the journal, laid over the kiosk's own file.

Only what ``terminal_agent.protocol.PUSHABLE`` names. They are checked whole by the same schema as
the file, are in force from the next start, and a file that cannot be used is left aside (version
0): the kiosk then runs by its own file, and the switch pushes again.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from terminal_agent import durable, protocol
from terminal_agent.config import AgentConfig, ConfigError
from terminal_agent.logs import get_logger

_log = get_logger("settings")

TEXT_CHARACTERS_MAX = 256


class Kept(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One push as it is on the disk."""

    version: int
    settings: dict[str, str]


class Settings:
    """The pushed settings of one kiosk whose own file says ``base``."""

    def __init__(self, path: Path, base: AgentConfig) -> None:
        self._path = path
        self._base = base
        self._kept = Kept(version=0, settings={})
        self.config = base
        """What is in force in this process."""
        try:
            kept = msgspec.json.decode(path.read_bytes(), type=Kept)
            self.config = laid_over(base, kept.settings)
            self._kept = kept
        except FileNotFoundError:
            pass
        except (OSError, msgspec.DecodeError, ConfigError) as error:
            _log.error("settings_left_aside", reason=str(error))
        self.version = self._kept.version
        """Version in force; 0: none."""

    def push(self, pushed: protocol.SettingsPush) -> protocol.SettingsApplied:
        """Take a push, durably, or say what it is instead. Raises OSError."""
        kept = self._kept
        if pushed.version <= kept.version:
            same = pushed.version == kept.version and pushed.settings == kept.settings
            text = f"已有第 {kept.version} 版 version {kept.version} is kept already"
            return protocol.SettingsApplied(version=pushed.version, ok=same, text=text)
        try:
            laid_over(self._base, pushed.settings)
        except ConfigError as error:
            text = str(error)[:TEXT_CHARACTERS_MAX]
            return protocol.SettingsApplied(version=pushed.version, ok=False, text=text)
        kept = Kept(version=pushed.version, settings=pushed.settings)
        durable.write(self._path, msgspec.json.encode(kept))
        self._kept = kept
        text = "下次启动生效 in force after the next start"
        return protocol.SettingsApplied(version=pushed.version, ok=True, text=text)


def laid_over(base: AgentConfig, settings: Mapping[str, str]) -> AgentConfig:
    """The configuration with some settings changed. Raises ConfigError with the first mistake."""
    mistake = protocol.first_mistake(settings)
    if mistake:
        raise ConfigError(mistake)
    tree: dict[str, Any] = msgspec.to_builtins(base)
    for path, value in settings.items():
        *above, last = path.split(".")
        section: Any = tree
        for name in above:
            section = section.get(name)
            if not isinstance(section, dict):
                raise ConfigError(f"{path}: this terminal has no section {name}")
        section[last] = value
    try:
        return msgspec.convert(tree, AgentConfig, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(str(error)) from None
