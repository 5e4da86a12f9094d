"""A YAML file that somebody wrote by hand: every scalar is text, mistakes are told by line."""

import re
from pathlib import Path
from typing import Any

import yaml
from yaml.parser import ParserError
from yaml.scanner import ScannerError

_WHOLE = re.compile(r"-?[0-9]+")
_UNITS = ("_fen", "_ms")


class YamlFileError(Exception):
    """The file cannot be read, or is no YAML: file, line and rule, no line of it."""


class _RuleError(yaml.MarkedYAMLError):
    """A rule of ours."""


class _Loader(yaml.BaseLoader):
    """Also refuses what YAML would take silently: the second of two equal names, and parts of
    a 分 or of a millisecond (1.00 would be one 分, I16)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Built-ins of one mapping."""
        names: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in names:
                raise _RuleError(
                    problem="a name that stands here twice", problem_mark=key.start_mark
                )
            names.add(key.value)
            unit = isinstance(value, yaml.ScalarNode) and key.value.endswith(_UNITS)
            if unit and value.value and _WHOLE.fullmatch(value.value) is None:
                raise _RuleError(problem="not a whole number", problem_mark=value.start_mark)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """Built-ins with every scalar as text (YAML or JSON). Raises YamlFileError."""
    try:
        read = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506
    except OSError as error:
        raise YamlFileError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise YamlFileError(f"{path}: not UTF-8 text") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "
        # Only these say what they found without quoting it.
        plain = isinstance(error, ScannerError | ParserError | _RuleError)
        rule = error.problem if plain else "an anchor, alias or tag that is none"
        raise YamlFileError(f"{path}: {where}{rule}") from None
    except yaml.YAMLError:
        raise YamlFileError(f"{path}: a character that YAML does not take") from None
    if read is None:
        raise YamlFileError(f"{path}: nothing is in it")
    return read
