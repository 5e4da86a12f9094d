"""Keys that a configuration names. A plugin's settings may offer ``held_keys() -> iterable of
(field, key type, text)``; what they do not offer is not known to be a key."""

from collections.abc import Iterator
from typing import NamedTuple

from switch.keys.ring import StoredKeyRing
from switch.model.held_key import named_key
from switch.ports import KeyServiceError
from switch.settings import Settings
from switch.settings.hooks import told
from switch.settings.whole import plugin_settings


class ConfiguredKey(NamedTuple):
    """One key of the configuration, and where it stands."""

    place: str
    key_type: str
    text: str


class UnknownKeysError(Exception):
    """The configuration names keys that the key store does not hold; one line for each."""


def configured_keys(settings: Settings) -> Iterator[ConfiguredKey]:
    """Every key that a section names, by ``group instance: field``."""
    for group, instance, _plugin, section in plugin_settings(settings):
        for field, key_type, text in told(section, "held_keys", tuple[tuple[str, str, str], ...]()):
            place = f"{group.value.removeprefix('yyt.')} {instance}: {field}"
            yield ConfiguredKey(place, key_type, text)


def literals(settings: Settings) -> list[ConfiguredKey]:
    """Those that are cryptograms, not names."""
    return [key for key in configured_keys(settings) if not named_key(key.text)]


def require_known(settings: Settings, source: str, ring: StoredKeyRing) -> None:
    """Raise UnknownKeysError naming file, section and field of each name without a key."""
    wrong = []
    for key in configured_keys(settings):
        try:
            ring.resolve(key.text)
        except KeyServiceError as error:
            wrong.append(f"{source}: {key.place}: {error.text} (yyt key list)")
    if wrong:
        raise UnknownKeysError("\n".join(wrong))
