"""Load a switch configuration: own sections, plugins' sections, and what must fit together."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from switch.plugins import Group, PluginError, find
from switch.settings.convert import Resolver, convert, struct_fields
from switch.settings.crosscheck import crosscheck
from switch.settings.document import Mapping, Node, Place, Problem, SettingsError, read
from switch.settings.schema import Settings
from switch.settings.secrets import resolve

GROUPS = {
    "hsm": Group.HSM,
    "hospitals": Group.HIS,
    "channels": Group.CHANNELS,
    "fronts": Group.FRONTS,
}
"""Sections whose entries name a plugin and carry its ``settings``."""


def load(path: Path, resolver: Resolver = resolve) -> Settings:
    """Read and check the file; each ``settings`` comes back as its plugin's own struct.

    Raises SettingsError with the first mistake of every section; OSError if it cannot be read.
    """
    return from_document(read(path), resolver)


def from_document(root: Mapping, resolver: Resolver = resolve) -> Settings:
    """As :func:`load`, from a document already read."""
    problems: list[Problem] = []
    sections: dict[str, Any] = {}
    known = struct_fields(Settings)
    for key, node in root.items.items():
        if key not in known:
            problems.append(
                Problem(node.place.file, node.place.line, key, f"unknown ({', '.join(known)})")
            )
    for name in known:
        try:
            sections[name] = _section(name, root, resolver)
        except SettingsError as error:
            problems.extend(error.problems)
    if not problems:
        settings = Settings(**sections)
        problems.extend(crosscheck(settings, root))
    if problems:
        raise SettingsError(*sorted(problems, key=lambda problem: problem.line))
    return settings


def _section(name: str, root: Mapping, resolver: Resolver) -> Any:
    node = root.items.get(name)
    if node is None:
        raise Place(root.place.file, root.place.line, name).problem("missing")
    # One-field struct: the section is checked alone, so each can report its own first mistake.
    alone = msgspec.defstruct("Section", [(name, struct_fields(Settings)[name].type)])
    value = getattr(convert(Mapping(root.place, {name: node}), alone, resolver), name)
    if name not in GROUPS:
        return value
    if isinstance(value, tuple):
        return tuple(_with_plugin(entry, GROUPS[name], resolver) for entry in value)
    return _with_plugin(value, GROUPS[name], resolver)


def _with_plugin(entry: Any, group: Group, resolver: Resolver) -> Any:
    node: Node = entry.settings
    try:
        plugin = find(group, entry.plugin)
    except PluginError as error:
        path = node.place.path.removesuffix("settings") + "plugin"
        raise Place(node.place.file, node.place.line, path).problem(str(error)) from None
    return msgspec.structs.replace(entry, settings=convert(node, plugin.config_schema, resolver))


def version_of(path: Path) -> str:
    """What is stamped on every payment to tell by which configuration it was born."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def plugin_settings(settings: Settings) -> Iterator[tuple[Group, str, str, Struct]]:
    """(group, instance name, plugin name, its settings) of everything configured."""
    yield Group.HSM, "hsm", settings.hsm.plugin, settings.hsm.settings
    for hospital in settings.hospitals:
        yield Group.HIS, hospital.id, hospital.plugin, hospital.settings
    for channel in settings.channels:
        yield Group.CHANNELS, channel.name, channel.plugin, channel.settings
    for front in settings.fronts:
        yield Group.FRONTS, front.name, front.plugin, front.settings
