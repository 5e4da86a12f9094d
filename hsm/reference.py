"""The tables of docs/hsm.md, made from the declarations."""

from hsm.codec import Field, Option, Part
from hsm.errors import TEXTS
from hsm.keys import KEY_TYPES
from hsm.layouts import COMMANDS


def command_table() -> str:
    """Every command with its request and response fields, as a Markdown table."""
    lines = ["| command | does | request | response after `00` |", "|---|---|---|---|"]
    for code, command in sorted(COMMANDS.items()):
        request, response = _parts(command.request), _parts(command.response)
        lines.append(
            f"| `{code}`/`{command.response_code}` | {command.title} | {request} | {response} |"
        )
    return "\n".join(lines)


def error_table() -> str:
    """Every error code this daemon can answer."""
    rows = [f"| `{code}` | {text} |" for code, text in sorted(TEXTS.items())]
    return "\n".join(["| code | meaning |", "|---|---|", *rows])


def key_type_table() -> str:
    """Every key type this daemon knows."""
    rows = [f"| `{kind.code}` | {kind.name} | {kind.text} |" for kind in KEY_TYPES.values()]
    return "\n".join(["| code | name | key |", "|---|---|---|", *rows])


def _parts(parts: tuple[Part, ...]) -> str:
    return ", ".join(_part(part) for part in parts) or "–"


def _part(part: Part) -> str:
    if isinstance(part, Field):
        shown = f"{part.name} ({part.kind.notation})"
        return f"[{shown}]" if part.when or part.starts else shown
    return _option(part)


def _option(option: Option) -> str:
    inner = ", ".join(f"{field.name} ({field.kind.notation})" for field in option.fields)
    return f"[`{option.lead.decode('ascii')}` {inner}]"
