"""YAML as text: every scalar stays what was written, every node knows its line.

PyYAML's BaseLoader resolves nothing, so ``23:00``, ``01234567``, ``000001`` and ``no`` stay what
they say. Duplicate keys, aliases, tags and keys that are not plain text are refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import yaml

FILE_BYTES_MAX = 1_048_576
DEPTH_MAX = 32


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake. ``path`` is dotted, list items by their name: ``channels[icbc].settings``."""

    file: str
    line: int
    path: str
    text: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}"
        return f"{where}: {self.path}: {self.text}" if self.path else f"{where}: {self.text}"


class SettingsError(Exception):
    """A configuration file cannot be used. ``problems`` has at least one entry."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node stands, for messages."""

    file: str
    line: int
    path: str = ""

    def problem(self, text: str) -> SettingsError:
        """An error to raise about this place."""
        return SettingsError(Problem(self.file, self.line, self.path, text))


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text as written. ``absent`` is ``key:`` with nothing behind it (``""`` is a text)."""

    place: Place
    text: str
    absent: bool = False


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys in the order of the file. Its place is the line of its own key."""

    place: Place
    items: dict[str, "Node"]


@dataclass(frozen=True, slots=True)
class Sequence:
    """List items in order."""

    place: Place
    items: tuple["Node", ...]


Node: TypeAlias = Scalar | Mapping | Sequence


def read(path: Path) -> Mapping:
    """Read one file. Raises SettingsError for anything wrong with it, OSError if it cannot be
    opened."""
    raw = path.read_bytes()
    start = Place(str(path), 1)
    if len(raw) > FILE_BYTES_MAX:
        raise start.problem(f"larger than {FILE_BYTES_MAX} bytes")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise Place(str(path), line).problem("not UTF-8") from None
    return parse(text, str(path))


def parse(text: str, file: str) -> Mapping:
    """Read YAML from ``text``; ``file`` is for messages. Raises SettingsError."""
    try:
        _refuse_events(text, file)
        root = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise Place(file, line).problem(error.problem or "not YAML") from None
    except yaml.YAMLError:
        raise Place(file, 1).problem("not YAML: a character that may not be there") from None
    if root is None:
        raise Place(file, 1).problem("empty")
    node = _node(root, Place(file, 1))
    if not isinstance(node, Mapping):
        raise Place(file, 1).problem("must be keys and values")
    return node


def problem_at(root: Mapping, text: str, *path: str | int) -> Problem:
    """A problem at the node that ``path`` leads to (keys, numbers of list items), or at the last
    one on the way where the rest is not written."""
    node: Node = root
    for step in path:
        if isinstance(node, Mapping) and step in node.items:
            node = node.items[str(step)]
        elif isinstance(node, Sequence) and isinstance(step, int):
            node = node.items[step]
        else:
            break
    place = node.place
    return Problem(place.file, place.line, place.path, text)


def _refuse_events(text: str, file: str) -> None:
    """Aliases and tags before anything is built; depth before anything recurses."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.BaseLoader):
        place = Place(file, event.start_mark.line + 1 if event.start_mark else 1)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise place.problem("anchors and aliases (& *) are not used here")
        if getattr(event, "tag", None):
            raise place.problem("tags (!) are not used here")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEPTH_MAX:
                raise place.problem(f"nested deeper than {DEPTH_MAX}")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _node(node: yaml.Node, place: Place) -> Node:
    if isinstance(node, yaml.MappingNode):
        return Mapping(place, dict(_pairs(node, place)))
    if isinstance(node, yaml.SequenceNode):
        return Sequence(place, tuple(_items(node, place)))
    return Scalar(
        place, node.value, absent=node.value == "" and getattr(node, "style", None) is None
    )


def _pairs(node: yaml.MappingNode, place: Place) -> Iterator[tuple[str, Node]]:
    seen: dict[str, int] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise Place(place.file, line, place.path).problem("a key must be plain text")
        key = key_node.value
        path = f"{place.path}.{key}" if place.path else key
        here = Place(place.file, line, path)
        if key in seen:
            raise here.problem(f"duplicate key, first given in line {seen[key]}")
        seen[key] = line
        yield key, _node(value_node, here)


def _items(node: yaml.SequenceNode, place: Place) -> Iterator[Node]:
    for index, item in enumerate(node.value):
        line = item.start_mark.line + 1
        yield _node(item, Place(place.file, line, f"{place.path}[{_label(item, index)}]"))


def _label(item: yaml.Node, index: int) -> str:
    """A list item is told by its name where it has one, else by its number from 0."""
    if isinstance(item, yaml.MappingNode):
        for key, value in item.value:
            if key.value in ("name", "id") and isinstance(value, yaml.ScalarNode):
                return str(value.value)
    return str(index)
