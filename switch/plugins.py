"""The bus (总线 + 插件): plugins are found by entry point, built-ins through the same door.

``switch`` never imports a plugin by name. Each entry point names a :class:`switch.ports.Plugin`
object; it states its API version, its capabilities and the schema of its own configuration.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import msgspec

from switch.ports import Plugin

API_VERSION = 1


class Group(StrEnum):
    """The kinds of socket on the bus."""

    CHANNELS = "yyt.channels"
    HIS = "yyt.his"
    HSM = "yyt.hsm"
    FRONTS = "yyt.fronts"


class PluginError(Exception):
    """A plugin is unknown, of another API version, not what it must be, or lacks a capability."""


def names(group: Group) -> list[str]:
    """What is installed in a group, sorted; nothing is imported."""
    return sorted(_entries(group))


def find(group: Group, name: str) -> Plugin:
    """Import one plugin. Raises PluginError when there is none or it does not fit this house."""
    entry = _entries(group).get(name)
    if entry is None:
        known = ", ".join(names(group)) or "none is installed"
        raise PluginError(f"no plugin {name!r} in {group} ({known})")
    plugin = entry.load()
    _check(group, name, plugin)
    return plugin  # type: ignore[no-any-return]


def load(group: Group) -> dict[str, Plugin]:
    """Import every plugin of a group. Raises PluginError on the first that does not fit."""
    return {name: find(group, name) for name in names(group)}


def require(plugin: Plugin, needed: Iterable[str], purpose: str) -> None:
    """Refuse a use that the plugin does not declare. Raises PluginError naming what is missing."""
    missing = sorted(set(needed) - plugin.capabilities)
    if missing:
        raise PluginError(f"{purpose}: plugin {plugin.name!r} cannot do {', '.join(missing)}")


def table(chosen: Mapping[str, Plugin]) -> list[dict[str, str]]:
    """Instance name → plugin, as rows for the start-up log."""
    return [
        {
            "name": name,
            "plugin": plugin.name,
            "capabilities": " ".join(sorted(plugin.capabilities)),
        }
        for name, plugin in sorted(chosen.items())
    ]


def _entries(group: Group) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=group.value)}


def _check(group: Group, name: str, plugin: Any) -> None:
    where = f"plugin {name!r} of {group}"
    if getattr(plugin, "api_version", None) != API_VERSION:
        raise PluginError(f"{where}: API version is not {API_VERSION}")
    if plugin.name != name:
        raise PluginError(f"{where}: calls itself {plugin.name!r}")
    schema = plugin.config_schema
    if not (isinstance(schema, type) and issubclass(schema, msgspec.Struct)):
        raise PluginError(f"{where}: config_schema is not a msgspec Struct")
    if not callable(plugin.build):
        raise PluginError(f"{where}: build is not callable")
