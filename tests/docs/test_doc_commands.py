"""Every command that a page shows is one that the program takes."""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from switch import cli
from tests.docs import pages

SYSTEM = {"cd", "cp", "curl", "echo", "git", "install", "journalctl", "kill", "ln", "systemctl"}
SYSTEM |= {"useradd", "usermod", "pg_dump", "export"}
"""Commands of a Debian machine that the pages use besides our own."""
UNITS = {path.stem for path in (pages.ROOT / "conf" / "systemd").glob("*.service")}
INSTALLED = "/opt/yinyitong/"
QUICK = (("--version",), ("conf", "check"), ("dialect", "check"), ("his", "check"))
"""Commands of the README that need nothing else to be there: these are run for real."""


def parser_of(command: str) -> argparse.ArgumentParser:
    """The parser of ``yyt COMMAND``, as the program itself makes it."""
    parser = argparse.ArgumentParser(prog=f"yyt {command}")
    cli.commands()[command].load()(parser)
    return parser


def without_language(words: list[str]) -> list[str]:
    """``--lang L`` is taken by ``yyt`` itself, wherever it stands."""
    if "--lang" in words:
        at = words.index("--lang")
        return words[:at] + words[at + 2 :]
    return words


def shown() -> Iterator[tuple[Path, list[str]]]:
    """(page, words after ``yyt``) of every command in a block."""
    for page in pages.pages():
        for words in pages.yyt_lines(page):
            yield page, without_language(words)


def verbs(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Its subcommands by name."""
    return {
        name: chosen
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
        for name, chosen in action.choices.items()
    }


def shown_id(value: Path | list[str]) -> str:
    """Page and command, for the test's name."""
    return pages.name(value) if isinstance(value, Path) else "_".join(value[:2])


@pytest.mark.parametrize(("page", "words"), list(shown()), ids=shown_id)
def test_shown_command_is_taken(page: Path, words: list[str]) -> None:
    """The real parser reads it: command, verb, every option and every argument."""
    if words[0] == "--version":
        return
    try:
        args = parser_of(words[0]).parse_args(words[1:])
    except SystemExit as end:
        raise AssertionError(f"{pages.name(page)}: yyt {shlex.join(words)}") from end
    assert callable(args.run)


@pytest.mark.parametrize("page", pages.pages(), ids=pages.name)
def test_command_in_the_prose_exists(page: Path) -> None:
    """What stands between backticks names a command, its verb and its options rightly."""
    for words in map(without_language, pages.inline_yyt(page)):
        if words[:1] in (["…"], [""], ["--help"], ["--version"]) or not words:
            continue
        assert words[0] in cli.commands(), f"yyt {' '.join(words)}"
        parser = parser_of(words[0])
        rest = words[1:]
        while rest and verbs(parser) and not rest[0].startswith(("-", "[", "…")):
            assert rest[0] in verbs(parser), f"yyt {' '.join(words)}"
            parser = verbs(parser)[rest.pop(0)]
        known = parser.format_help()
        options = [word.strip("[],") for word in rest if word.strip("[").startswith("--")]
        assert [option for option in options if option.split("=")[0] not in known] == [], words


def launchers(page: Path) -> Iterator[list[str]]:
    """The lines that call ``bin/demo`` or ``bin/test``."""
    return (words for words in pages.shell_lines(page) if words[0] in ("bin/demo", "bin/test"))


@pytest.mark.parametrize("page", [pages.README, pages.README_ZH], ids=pages.name)
def test_the_two_commands_are_there_and_right(page: Path) -> None:
    """The README shows both launchers; ``bin/demo``'s options are those of ``yyt demo``."""
    calls = list(launchers(page))

    assert {words[0] for words in calls} == {"bin/demo", "bin/test"}
    for words in calls:
        assert (pages.ROOT / words[0]).is_file()
        if words[0] == "bin/demo":
            parser_of("demo").parse_args(without_language(words[1:]))


@pytest.mark.parametrize("page", [pages.README, pages.README_ZH, pages.FIRST_DAY], ids=pages.name)
def test_other_commands_and_paths_are_known(page: Path) -> None:
    """A line is ours or a common tool; what it takes from the installation or conf/ exists."""
    for words in pages.shell_lines(page):
        first = words[0].rsplit("/", 1)[-1]
        assert first in SYSTEM | {"yyt", "demo", "test"} or "=" in words[0], words
        for word in words:
            inside = word.removeprefix(INSTALLED)
            if (word != inside or word.startswith("conf/")) and ".venv" not in word:
                assert list(pages.ROOT.glob(inside)), word


def test_units_of_the_first_day_are_in_conf() -> None:
    """Every ``yyt-…`` service that the page starts, stops or reads the log of is a unit file."""
    named = {
        word
        for words in pages.shell_lines(pages.FIRST_DAY)
        if words[0] in ("systemctl", "journalctl")
        for word in words
        if word.startswith("yyt-")
    }
    assert named <= UNITS
    assert {"yyt-switch", "yyt-journal", "yyt-hsm"} <= named


@pytest.mark.parametrize("command", QUICK, ids="_".join)
def test_quick_command_of_the_readme_runs(command: tuple[str, ...]) -> None:
    """As shown, in a clone: exit code 0."""
    readme = list(pages.yyt_lines(pages.README))
    first_day = list(pages.yyt_lines(pages.FIRST_DAY))
    chosen = next(words for words in readme + first_day if tuple(words[: len(command)]) == command)

    run = subprocess.run(
        [sys.executable, "-m", "switch.cli", *chosen],
        cwd=pages.ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == 0, run.stdout + run.stderr
