"""Whatever stands in a configuration file, the reader gives a value or its own error."""

import contextlib

from hypothesis import example, given, settings
from hypothesis import strategies as st

from switch.settings.document import SettingsError, parse
from switch.settings.whole import from_document

PIECES = st.sampled_from(
    ["node:", "journal:", "hsm:", "routes:", "\n", "\n  ", "\n- ", " ", "name: ", "{", "}", "[",
     "]", "'", '"', "&a", "*a", "!!int", "!", "?", "|", ">", "#", "%", "@", "`", "---", "...",
     "<<: ", "\t", "\r", "\ufeff", "\x00", "01", "plugin: kiosk", "settings: ", "银", "\U0001f3e5"]
)  # fmt: skip


def read(text: str) -> None:
    """All the way: YAML, sections, plugins' schemas."""
    with contextlib.suppress(SettingsError):
        from_document(parse(text, "fuzz.yaml"))


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=30).map("".join))
@example("? {a: 1}\n: b\n")
@example("a: *a\n")
@example("'")
@example("{" * 5000)
def test_yaml_like_text_gives_a_value_or_our_error(text: str) -> None:
    """Built from YAML's own signs, which reach deeper than noise."""
    read(text)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_any_text_gives_a_value_or_our_error(text: str) -> None:
    """Noise."""
    read(text)
