"""Reading a profile: strict YAML (every scalar is text, a duplicate key is an error), then its
schema, then what only makes sense together."""

import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from his_bridge.errors import ProfileError
from his_bridge.profile import (
    CancelKind,
    Certainty,
    Field,
    Flag,
    Function,
    FunctionName,
    Profile,
    Unit,
)
from his_bridge.reply import RESULTS, required_fields
from his_bridge.template import Template

T = TypeVar("T")

PROFILE_CHARS_MAX = 262_144
MONEY_FUNCTIONS = (
    FunctionName.HOLD,
    FunctionName.CONFIRM,
    FunctionName.DEPOSIT,
    FunctionName.CANCEL,
)
ECHOES = ("idem", "amount_fen", "bill_id", "patient_id")

_NAME = re.compile(r"[A-Za-z_\u4e00-\u9fff][\w.-]*")
_PATH = re.compile(rf"{_NAME.pattern}(/{_NAME.pattern})*")


class _Loader(yaml.BaseLoader):
    """All scalars stay text: ``no``, ``01``, ``23:00`` are what they look like."""


def _mapping(loader: _Loader, node: yaml.MappingNode, deep: bool = True) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=deep)
        if not isinstance(key, str) or key in found:
            line = key_node.start_mark.line + 1
            raise ProfileError("", f"line {line}: {key} stands twice or is no plain key")
        found[key] = loader.construct_object(value_node, deep=deep)
    return found


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def load_profile(name_or_file: str) -> Profile:
    """A profile that ships with the bridge (by name), or a file (a path with ``/`` or ``.yaml``).

    Raises ProfileError naming line or path of the first mistake.
    """
    if "/" in name_or_file or name_or_file.endswith((".yaml", ".yml")):
        file: Any = Path(name_or_file)
    else:
        file = resources.files("his_bridge") / "profiles" / f"{name_or_file}.yaml"
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError("", f"cannot read {name_or_file}: {error}") from None
    return parse_profile(text)


def parse_profile(text: str) -> Profile:
    """The profile in a YAML text. Raises ProfileError."""
    if len(text) > PROFILE_CHARS_MAX:
        raise ProfileError("", f"longer than {PROFILE_CHARS_MAX} characters")
    try:
        tree = yaml.load(text, _Loader)  # noqa: S506 - derived from BaseLoader: makes text only
    except yaml.YAMLError as error:
        raise ProfileError("", f"not YAML: {error}") from None
    functions = tree.get("functions") if isinstance(tree, dict) else None
    for name, function in functions.items() if isinstance(functions, dict) else ():
        _convert(function, Function, f"functions.{name}")  # msgspec names no keys of a mapping
    profile = _convert(tree, Profile, "")
    _check(profile)
    return profile


def _convert(tree: Any, kind: type[T], where: str) -> T:
    try:
        return msgspec.convert(tree, kind, strict=False)
    except msgspec.ValidationError as error:
        sentence, _, path = str(error).partition(" - at `$")
        raise ProfileError(f"{where}{path.rstrip('`')}".lstrip("."), sentence) from None


def site_values(profile: Profile) -> dict[str, str]:
    """The ``${site.…}`` names that a profile wants from the configuration, each with an example."""
    found: dict[str, str] = {}
    for function in profile.functions.values():
        for name in re.findall(r"\$\{site\.([^}]*)\}", str(function.request)):
            found[name] = f"<{name}>"
    return found


def _check(profile: Profile) -> None:
    transport = profile.transport
    for key in ("method", "code_parameter", "request_parameter", "return_element"):
        _need(_NAME.fullmatch(getattr(transport, key)), f"transport.{key}", "is not a tag name")
    _need(_NAME.fullmatch(transport.reply_parameter), "transport.reply_parameter", "is no tag name")
    try:
        "".encode(transport.encoding)
    except LookupError:
        raise ProfileError("transport.encoding", "is not a known encoding") from None
    for number, flag in enumerate(profile.reply.flags):
        _check_flag(flag, f"reply.flags[{number}]")
    _path(profile.reply.code, "reply.code", returned=True)
    if profile.reply.text:
        _path(profile.reply.text, "reply.text")
    for path in profile.reply.unwrap:
        _path(path, "reply.unwrap")
    site = site_values(profile)
    for name, function in profile.functions.items():
        _check_function(profile, name, function)
        Template(profile, name, site)
    for needed in (FunctionName.CONFIRM, FunctionName.PROBE):
        _need(needed in profile.functions, "functions", f"lacks {needed}")
    _check_facts(profile)


def _check_flag(flag: Flag, where: str) -> None:
    _path(flag.at, f"{where}.at", returned=True)
    _need(
        bool(flag.values) != (flag.at_least is not None),
        where,
        "needs either `values` or `at_least`",
    )


def _check_function(profile: Profile, name: FunctionName, function: Function) -> None:
    where, reply = f"functions.{name}", function.reply
    for part in ("fields", "facts", "echo"):
        group: dict[str, Field] = getattr(reply, part)
        for key, field in group.items():
            _path(field.at, f"{where}.reply.{part}.{key}.at")
    listed = [*reply.refused, *reply.already, *reply.absent]
    for code in listed:
        _need(listed.count(code) == 1, f"{where}.reply", f"code {code} has two meanings")
    for key in reply.echo:
        _need(key in ECHOES, f"{where}.reply.echo.{key}", "is unknown")
    needed = {"idem"} if name is FunctionName.CANCEL else {"idem", "amount_fen"}
    _need(
        not reply.already or needed <= set(reply.echo),
        f"{where}.reply.already",
        f"is believed only with an echo of {' and '.join(sorted(needed))}",
    )
    _check_fields(name, function, f"{where}.reply")
    _check_order_query(name, function, f"{where}.reply")
    _check_certainty(profile.functions, name, function.certainty)


def _check_fields(name: FunctionName, function: Function, where: str) -> None:
    reply, result = function.reply, RESULTS.get(name)
    if result is None:
        _need(not reply.fields and not reply.rows, where, "this function returns no fields or rows")
        return
    for key in reply.fields:
        _need(key in result.__struct_fields__, f"{where}.fields.{key}", "is unknown")
        amount = key == "amount_fen"
        unit = reply.fields[key].unit
        _need(amount == (unit is not Unit.TEXT), f"{where}.fields.{key}.unit", "fen or yuan?")
    for key in required_fields(result):
        _need(key in reply.fields, f"{where}.fields", f"lacks {key}")
    if name is FunctionName.BILL_QUERY:
        _path(reply.rows, f"{where}.rows")
        _need(reply.rows_limit >= 1, f"{where}.rows_limit", "must be at least 1")


def _check_order_query(name: FunctionName, function: Function, where: str) -> None:
    reply = function.reply
    if name is not FunctionName.ORDER_QUERY:
        _need(reply.state is None, f"{where}.state", "belongs to order_query")
        return
    if reply.state is None:
        raise ProfileError(where, "order_query needs `state`")
    _path(reply.state.at, f"{where}.state.at")
    _need("idem" in reply.echo, f"{where}.echo", "order_query must echo our key (idem)")
    _need(not reply.refused, f"{where}.refused", "a query cannot refuse; use `absent`")


def _check_certainty(
    functions: Mapping[FunctionName, Function], name: FunctionName, certainty: Certainty | None
) -> None:
    where = f"functions.{name}.certainty"
    if name not in MONEY_FUNCTIONS:
        _need(certainty is None, where, "belongs to hold, confirm and cancel")
        return
    if certainty is None:
        raise ProfileError(where, "is missing")
    _need(not certainty.query or FunctionName.ORDER_QUERY in functions, where, "no order_query")
    cancels = certainty.cancel is not CancelKind.NONE
    _need(not cancels or name is not FunctionName.CANCEL, where, "a cancel cannot be cancelled")
    _need(not cancels or FunctionName.CANCEL in functions, where, "the profile has no cancel")


def _check_facts(profile: Profile) -> None:
    """Every ``${facts.x}`` must be an answer's fact: a misspelt one would go out empty."""
    known = {fact for function in profile.functions.values() for fact in function.reply.facts}
    for name, function in profile.functions.items():
        for fact in re.findall(r"\$\{facts\.([^}]*)\}", str(function.request)):
            _need(fact in known, f"functions.{name}.request", f"no answer gives the fact {fact}")


def _path(path: str, where: str, *, returned: bool = False) -> None:
    good = bool(_PATH.fullmatch(path)) or (returned and path == "@return")
    _need(good, where, "is not a path of tags like A/B")


def _need(condition: object, path: str, text: str) -> None:
    if not condition:
        raise ProfileError(path, text)
