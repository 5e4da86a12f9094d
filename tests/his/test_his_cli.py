"""Goal: ``yyt his check`` tells an engineer what a profile gives, or where it is wrong."""

import argparse
import json
from pathlib import Path

import pytest

from his_bridge.cli import register


def run(*words: str) -> int:
    parser = argparse.ArgumentParser(prog="yyt his")
    register(parser)
    args = parser.parse_args(words)
    code: int = args.run(args)
    return code


def test_check_shows_what_follows_from_the_profile(capsys: pytest.CaptureFixture[str]) -> None:
    """Goal: functions, timeouts, and what an unknown confirm leads to."""
    assert run("check", "demo-h1", "--json") == 0

    shown = json.loads(capsys.readouterr().out)
    assert shown["ok"]
    assert shown["site"] == ["operator"]
    assert shown["functions"]["confirm"]["on_unknown"] == "resend"
    assert run("check", "demo-h1") == 0
    assert "MENZHENJS" in capsys.readouterr().out


def test_check_names_the_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Goal: exit 1 and the path."""
    file = tmp_path / "bad.yaml"
    file.write_text("name: x\nname: y\n", encoding="utf-8")

    assert run("check", str(file), "--json") == 1
    assert "line 2" in json.loads(capsys.readouterr().out)["error"]
    assert run("check", str(file)) == 1
    assert "bad.yaml" in capsys.readouterr().err


def test_simulate_refuses_a_bent_address(tmp_path: Path) -> None:
    """Goal: usage errors end with a sentence, before anything listens."""
    with pytest.raises(SystemExit, match="HOST:PORT"):
        run("simulate", "--listen", "nowhere", "--http", "0", "--ledger", str(tmp_path / "x.db"))
