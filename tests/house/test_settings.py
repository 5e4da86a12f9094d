"""Configuration: YAML's traps, every mistake by file, line and path, secrets only by reference."""

from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta, Struct

from switch.model.clock_time import ClockTime
from switch.model.secret import Secret
from switch.settings.convert import convert
from switch.settings.document import SettingsError, parse, read
from switch.settings.secrets import check_reference, resolve


class Mode(StrEnum):
    """Two ways."""

    FAST = "fast"
    SAFE = "safe"


class Inner(Struct, frozen=True, kw_only=True):
    """A nested section."""

    name: str
    timeout_ms: int


class Sample(Struct, frozen=True, kw_only=True):
    """Every kind of field that configuration may have."""

    text: str = ""
    number: int = 0
    bounded: Annotated[int, Meta(ge=1, le=9)] = 1
    flag: bool = False
    clock: ClockTime = ClockTime(0, 0)
    mode: Mode = Mode.SAFE
    literal: Literal["a", "b"] = "a"
    several: tuple[int, ...] = ()
    by_name: dict[str, Inner] = {}
    banks: list[Inner] = []
    secret: Secret[str] | None = None
    maybe: Inner | None = None
    plugin: Any = None


def sample(text: str) -> Sample:
    """Convert ``text`` as the file t.yaml."""
    return convert(parse(text, "t.yaml"), Sample, resolve)


def mistake(text: str) -> str:
    """The one mistake of ``text``, as an operator reads it."""
    with pytest.raises(SettingsError) as caught:
        sample(text)
    return str(caught.value)


@pytest.mark.parametrize(
    "written", ["23:00", "01234567", "no", "000001", "1e3", "~", "null", "0x1F"]
)
def test_yaml_never_changes_a_text(written: str) -> None:
    """What YAML 1.1 would turn into a number, a truth or nothing stays the text it is."""
    assert sample(f"text: {written}\n").text == written


def test_clock_time_is_read_as_such() -> None:
    """23:00 is a time of day, not 1380."""
    assert sample("clock: 23:00\n").clock == ClockTime(23, 0)
    assert mistake("clock: 24:00\n") == (
        "t.yaml:1: clock: must be a time HH:MM from 00:00 to 23:59"
    )


@pytest.mark.parametrize("written", ["0", "7", "-12", "123456789012345678"])
def test_integers_are_exact(written: str) -> None:
    """Whole numbers in plain writing are integers."""
    assert sample(f"number: {written}\n").number == int(written)


@pytest.mark.parametrize(
    "written", ["01", "000001", "1.0", "1e3", "+1", "0x10", "1_000", "60s", "-0x1", "९", "9" * 19]
)
def test_no_other_writing_is_an_integer(written: str) -> None:
    """Leading zeros (octal), dots, exponents, units and other digits are refused, not guessed."""
    assert mistake(f"number: {written}\n") == (
        "t.yaml:1: number: must be an integer without leading zeros, dots or units"
    )


@pytest.mark.parametrize("written", ["yes", "no", "on", "True", "1", '""'])
def test_only_true_and_false_are_truths(written: str) -> None:
    """YAML's other truths are mistakes: ``bank: no`` must never become False."""
    assert mistake(f"flag: {written}\n") == "t.yaml:1: flag: must be true or false"
    assert sample("flag: true\n").flag


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("number: 1\nnumber: 2\n", "t.yaml:2: number: duplicate key, first given in line 1"),
        ("maybe:\n  name: a\n  name: b\n", "t.yaml:3: maybe.name: duplicate key, "),
        ("nombre: 1\n", "t.yaml:1: nombre: unknown key (known: text, number"),
        ("by_name:\n  bank-a:\n    name: x\n", "t.yaml:2: by_name.bank-a.timeout_ms: missing"),
        ("banks:\n- name: icbc\n", "t.yaml:2: banks[icbc].timeout_ms: missing"),
        ("banks:\n- timeout_ms: 1\n", "t.yaml:2: banks[0].name: missing"),
        ("text:\n", 't.yaml:1: text: has no value (an empty text is written "")'),
        ("text: [a]\n", "t.yaml:1: text: must be a single value"),
        ("banks: a\n", "t.yaml:1: banks: must be a list"),
        ("maybe: a\n", "t.yaml:1: maybe: must be keys and values"),
        ("bounded: 10\n", "t.yaml:1: bounded: expected `int` <= 9"),
        ("mode: slow\n", "t.yaml:1: mode: must be one of: fast, safe"),
        ("literal: c\n", "t.yaml:1: literal: must be one of: a, b"),
        ("several: [1, x]\n", "t.yaml:1: several[1]: must be an integer without"),
        ("? [a]\n: 1\n", "t.yaml:1: a key must be plain text"),
        ("text: &a 1\n", "t.yaml:1: anchors and aliases (& *) are not used here"),
        ("number: !!int 1\n", "t.yaml:1: tags (!) are not used here"),
        ("text: 'a\n", "t.yaml:2: found unexpected end of stream"),
        ("\ttext: a\n", "t.yaml:1: found character '\\t' that cannot start any token"),
        ("text: a\n---\ntext: b\n", "t.yaml:2: but found another document"),
        ("", "t.yaml:1: empty"),
        ("- a\n", "t.yaml:1: must be keys and values"),
        ("text: " + "[" * 40 + "]" * 40 + "\n", "t.yaml:1: nested deeper than 32"),
        ("text: \x00\n", "t.yaml:1: not YAML: a character that may not be there"),
    ],
)
def test_each_mistake_names_file_line_and_path(text: str, expected: str) -> None:
    """An operator finds the place without searching."""
    assert mistake(text).startswith(expected)


def test_a_file_that_is_no_text_is_refused(tmp_path: Any) -> None:
    """GBK saved by an editor and files of a megabyte end in a sentence, not in a traceback."""
    gbk, huge = tmp_path / "gbk.yaml", tmp_path / "huge.yaml"
    gbk.write_bytes(b"a: 1\nname: " + "银行".encode("gbk"))
    huge.write_bytes(b"#" * 1_048_577)

    with pytest.raises(SettingsError, match=r"gbk\.yaml:2: not UTF-8"):
        read(gbk)
    with pytest.raises(SettingsError, match="larger than 1048576 bytes"):
        read(huge)


def test_plugin_settings_stay_a_node_until_the_plugin_is_known() -> None:
    """A field of type Any keeps lines and paths for the plugin's own schema."""
    node = sample("plugin:\n  name: x\n").plugin

    with pytest.raises(SettingsError, match=r"t.yaml:1: plugin.timeout_ms: missing"):
        convert(node, Inner, resolve)


def test_I12_inline_secret_is_refused_and_not_echoed() -> None:
    """A secret written into the file is refused; the message must not repeat it."""
    text = mistake("secret: hunter2-0123456789abcdef\n")

    assert text == ("t.yaml:1: secret: a secret is given as file:/path or env:NAME, never inline")


def test_I12_secret_is_read_by_reference_and_masked(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``file:`` and ``env:`` give the value, without the editor's line end, and it stays masked."""
    (tmp_path / "dsn").write_text("host=db password=x\n")
    monkeypatch.setenv("HOUSE_SECRET", "from-environment")

    by_file = sample(f"secret: file:{tmp_path}/dsn\n")
    by_env = sample("secret: env:HOUSE_SECRET\n")

    assert by_file.secret is not None
    assert by_file.secret.reveal() == "host=db password=x"
    assert by_env.secret is not None
    assert by_env.secret.reveal() == "from-environment"
    assert "password" not in repr(by_file)


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("file:/nowhere/at/all", "cannot read /nowhere/at/all: No such file or directory"),
        ("env:HOUSE_NOT_SET", "the environment has no variable HOUSE_NOT_SET"),
        ("env:HOUSE_EMPTY", "the secret behind env:HOUSE_EMPTY is empty"),
    ],
)
def test_a_secret_that_cannot_be_read_says_where(
    reference: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence names the reference's place, never a value."""
    monkeypatch.delenv("HOUSE_NOT_SET", raising=False)
    monkeypatch.setenv("HOUSE_EMPTY", "")

    with pytest.raises(ValueError, match=expected):
        resolve(reference)
    assert check_reference(reference) == reference


def test_a_schema_with_a_float_is_a_programming_error() -> None:
    """I16: no configuration value is ever a float, and nobody can add one unnoticed."""

    class Bad(Struct):
        rate: float

    with pytest.raises(TypeError, match="no type for configuration"):
        convert(parse("rate: 1\n", "t.yaml"), Bad, resolve)
