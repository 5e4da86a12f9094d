"""YAML as it is written: every scalar a text, no key twice, nothing hidden behind an alias."""

from pathlib import Path
from typing import Any, Final

import yaml

BYTES_MAX: Final = 64 * 1024


class ConfigError(Exception):
    """The configuration breaks a rule; the text names the file, the field and the rule."""


class _Strict(yaml.BaseLoader):
    """Texts only, and no aliases: they could make a small file large."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event: Any = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(
                problem="an alias is not allowed", problem_mark=event.start_mark
            )
        return super().compose_node(parent, index)


def _mapping(loader: _Strict, node: yaml.MappingNode) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode) or key_node.value in found:
            raise yaml.MarkedYAMLError(
                problem="a key is twice here, or is no plain text", problem_mark=key_node.start_mark
            )
        found[key_node.value] = loader.construct_object(value_node, deep=True)
    return found


_Strict.add_constructor("tag:yaml.org,2002:map", _mapping)


def read_yaml(path: Path) -> Any:
    """Texts, lists and mappings. ConfigError: unreadable, too long, or no such YAML."""
    try:
        with path.open("rb") as stream:
            text = stream.read(BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    if len(text) > BYTES_MAX:
        raise ConfigError(f"{path}: more than {BYTES_MAX} bytes")
    try:
        return yaml.load(text, Loader=_Strict)  # noqa: S506 - it only ever makes texts
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{path}:{line}: {error.problem}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ConfigError(f"{path}: it is no YAML text") from None
