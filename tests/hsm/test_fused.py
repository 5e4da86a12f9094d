"""Fused fields read what their kinds read one by one: the same values, the same errors."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsm import codec
from hsm.codec import Command
from hsm.errors import CommandError
from hsm.fused import Fused
from hsm.layouts import COMMANDS

FUSED = [command for command in COMMANDS.values() if any(
    isinstance(step, Fused) for step in command.request_steps
)]  # fmt: skip

ALPHABET = "0123456789ABCDEFabcdefUTXYZSRK;%#! ¦é"


def outcome(command: Command, data: bytes, steps: Any) -> Any:
    """Values and end, or the error and the field it names."""
    found: dict[str, Any] = {}
    try:
        return found, codec._read(steps, data, found, found)
    except CommandError as error:
        return error.code, error.where


def test_most_commands_have_fused_fields() -> None:
    """Or the other tests here would prove nothing."""
    assert {"CA", "M6", "M8", "A6", "BU"} <= {command.code for command in FUSED}


@pytest.mark.parametrize("command", FUSED, ids=lambda command: str(command.code))
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_fused_and_single_fields_agree(command: Command, data: st.DataObject) -> None:
    """On texts that look right, and on texts cut off, changed or made of anything."""
    text = ""
    for step in command.request_steps:
        if isinstance(step, Fused):
            text += "".join(data.draw(st.from_regex(p, fullmatch=True)) for p in patterns(step))
        else:
            text += data.draw(st.text("0123456789ABCDEF", max_size=20))
    how = data.draw(st.sampled_from(("whole", "cut", "changed", "anything")))
    if how == "cut":
        text = text[: data.draw(st.integers(0, len(text)))]
    elif how == "changed" and text:
        at = data.draw(st.integers(0, len(text) - 1))
        text = text[:at] + data.draw(st.sampled_from(ALPHABET)) + text[at + 1 :]
    elif how == "anything":
        text = data.draw(st.text(ALPHABET, max_size=120))
    frame = text.encode("latin-1")

    assert outcome(command, frame, command.request_steps) == outcome(
        command, frame, command.request
    )


def patterns(step: Fused) -> list[str]:
    """Of each field."""
    return [field.kind.pattern for field in step.fields]
