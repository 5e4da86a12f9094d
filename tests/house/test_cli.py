"""``yyt`` from outside: help without imports, exit codes, one line for a mistake of the user."""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from switch import cli

ROOT = Path(__file__).parents[2]


def yyt(*arguments: str, language: str = "en") -> subprocess.CompletedProcess[str]:
    """Run the real command."""
    return subprocess.run(
        [sys.executable, "-m", "switch.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"YYT_LANG": language},
    )


def test_help_table_and_installed_commands_agree() -> None:
    """Each entry point has its line in both languages, and no line is for nothing."""
    assert set(cli.commands()) == set(cli.HELP)
    assert all(zh and en for zh, en in cli.HELP.values())


@pytest.mark.parametrize("name", sorted(cli.HELP))
def test_every_command_has_help_with_an_example(name: str) -> None:
    """``yyt X --help`` works and shows how it is called."""
    run = yyt(name, "--help")

    assert run.returncode == 0, run.stderr
    assert run.stdout.count(f"yyt {name}") >= 2, "usage alone is no example"


def test_overview_imports_no_command() -> None:
    """A list of commands must not cost the import of Twisted or a database library."""
    script = (
        "import sys; from switch.cli import main; main(['--help']);"
        "print([m for m in ('twisted', 'psycopg2', 'lxml', 'msgspec') if m in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )

    assert run.stdout.splitlines()[-1] == "[]"


def test_language_is_an_option_or_the_environment() -> None:
    """Chinese unless asked otherwise; the option may stand anywhere."""
    assert "open payment switch" in yyt(language="en").stdout
    assert "医院开放支付交换" in yyt(language="zh").stdout
    assert "open payment switch" in yyt("--help", "--lang", "en", language="zh").stdout
    assert yyt("--lang", "fr").returncode == 2


def test_version_and_unknown_command() -> None:
    """The version is the distribution's; an unknown command is the user's mistake."""
    assert yyt("--version").stdout.startswith("yyt 0.")
    unknown = yyt("pay-everything")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert unknown.stderr == "yyt: pay-everything: no such command (yyt --help)\n"


def test_a_missing_file_is_one_line_and_exit_2() -> None:
    """No traceback for a path that the user got wrong."""
    run = yyt("conf", "check", "/nowhere.yaml")

    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == "yyt conf: /nowhere.yaml: No such file or directory\n"


def fake(monkeypatch: pytest.MonkeyPatch, run: Callable[[argparse.Namespace], int]) -> None:
    """Install a command ``fake`` that does ``run``."""

    def register(parser: argparse.ArgumentParser) -> None:
        parser.set_defaults(run=run)

    monkeypatch.setattr(EntryPoint, "load", lambda self: register)
    entry = EntryPoint("fake", "nowhere:register", cli.GROUP)
    monkeypatch.setattr(cli, "commands", lambda: {"fake": entry})


def test_exit_codes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A number is the code; a sentence is told and is 2; Ctrl-C is 130."""

    def sentence(_args: argparse.Namespace) -> int:
        raise SystemExit("the address is taken")

    def interrupted(_args: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    fake(monkeypatch, lambda _args: 1)
    assert cli.main(["fake"]) == 1
    fake(monkeypatch, sentence)
    assert cli.main(["fake"]) == 2
    assert capsys.readouterr().err == "yyt fake: the address is taken\n"
    fake(monkeypatch, interrupted)
    assert cli.main(["fake"]) == 130


def test_a_closed_pipe_is_quiet() -> None:
    """``yyt conf schema | head -1`` leaves no traceback behind."""
    run = subprocess.run(
        f"{sys.executable} -m switch.cli conf schema | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert run.stdout == "# Configuration reference\n"
    assert run.stderr == ""
