"""A YAML file that somebody wrote by hand: every scalar is text, mistakes are told by line."""

from pathlib import Path
from typing import Any

import yaml
from yaml.parser import ParserError
from yaml.scanner import ScannerError


class YamlFileError(Exception):
    """The file cannot be read, or is no YAML: file, line and rule, no line of it."""


def read_yaml(path: Path) -> Any:
    """Built-ins with every scalar as text (YAML or JSON). Raises YamlFileError."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506
    except OSError as error:
        raise YamlFileError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise YamlFileError(f"{path}: not UTF-8 text") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "
        # Only these say what they found without quoting it.
        plain = isinstance(error, ScannerError | ParserError)
        rule = error.problem if plain else "an anchor, alias or tag that is none"
        raise YamlFileError(f"{path}: {where}{rule}") from None
    except yaml.YAMLError:
        raise YamlFileError(f"{path}: a character that YAML does not take") from None
