"""``yyt hsm audit``: what it says, and its exit codes."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hsm.audit import AuditLog, Limits, cli, files, load_key, make_key

DAY_MS = 24 * 3_600_000
START_MS = 1_763_769_600_000  # 2025-11-22T00:00Z

Run = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run ``yyt hsm audit …`` in English; LOG and KEY stand for this test's."""
    monkeypatch.setenv("YYT_LANG", "en")

    def call(*words: str) -> int:
        parser = argparse.ArgumentParser()
        cli.register(parser.add_subparsers())
        known = {"LOG": str(tmp_path / "audit"), "KEY": str(tmp_path / "key")}
        args = parser.parse_args(["audit", *(known.get(word, word) for word in words)])
        code = args.run(args)
        assert isinstance(code, int)
        return code

    return call


@pytest.fixture
def log_files(tmp_path: Path) -> list[Path]:
    """A log of three days in several files."""
    key = make_key(tmp_path / "key")
    now = [START_MS]
    log = AuditLog.open(
        tmp_path / "audit", key, lambda: now[0], "hsm-1", limits=Limits(file_bytes_max=1_000)
    )
    for number in range(9):
        details = {"n": number, "name": "王芳"}
        log.record("key.imported", who=("bank", "li"), details=details)
        now[0] += DAY_MS // 3
    log.close()
    return files.log_files(tmp_path / "audit")


def test_a_sound_log(run: Run, log_files: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 0, and the head to note elsewhere, which is then known."""
    assert run("verify", "--log", "LOG", "--key", "KEY", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["sound"] is True
    assert told["flaw"] is None
    assert told["records"] == 11
    assert list(told["files_begin_after"]) == [path.name for path in log_files]

    assert run("verify", "--log", "LOG", "--key", "KEY", "--known", told["head"]) == 0
    assert told["head"] in capsys.readouterr().out
    for path in log_files[:2]:
        path.unlink()
    begins = told["files_begin_after"][log_files[2].name]
    assert run("verify", "--log", "LOG", "--key", "KEY") == 1
    assert run("verify", "--log", "LOG", "--key", "KEY", "--known", begins) == 0


def test_a_broken_log_is_told_with_its_line_and_reason(
    run: Run, log_files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 1; the JSON has it too; nothing is exported of it."""
    path = log_files[1]
    path.write_bytes(path.read_bytes().replace(b'"n":4', b'"n":5'))

    assert run("verify", "--log", "LOG", "--key", "KEY", "--json") == 1
    said = capsys.readouterr()
    place = f"{path.name}:1"
    assert json.loads(said.out)["flaw"] == {
        "place": place, "reason": "changed", "expected": 6, "found": None,
    }  # fmt: skip
    assert f"record 6 at {place} was changed" in said.err
    assert run("export", "--log", "LOG", "--key", "KEY") == 1
    assert capsys.readouterr().out == ""


def test_every_reason_has_a_sentence(
    run: Run, log_files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing head, a changed one, a cut, a deletion, garbage."""
    head, last = log_files[0].with_name("head"), log_files[-1]
    kept = {path: path.read_bytes() for path in (head, last, log_files[0])}

    def told(path: Path, content: bytes | None) -> str:
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        assert run("verify", "--log", "LOG", "--key", "KEY") == 1
        path.write_bytes(kept[path])
        return capsys.readouterr().err

    first = kept[log_files[0]].splitlines(keepends=True)
    assert "head file is missing" in told(head, None)
    assert "head file was changed" in told(head, kept[head].replace(b"11:", b"10:"))
    assert "record 11 is gone" in told(last, b"".join(kept[last].splitlines(True)[:-1]))
    assert "where record 2 belongs, is 3" in told(log_files[0], b"".join(first[:1] + first[2:]))
    assert "where record 1 belongs, is none" in told(log_files[0], b"x" + kept[log_files[0]])


def test_show_chooses_the_newest_by_event_and_person(
    run: Run, log_files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """For people a line each; a changed file cannot play with the terminal."""
    assert run("show", "--log", "LOG", "--what", "key", "--who", "li", "--last", "2") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[-1].split() == [
        "10", "2025-11-24", "16:00:00", "bank+li", "key.imported", "00", "n=8", "name=王芳",
    ]  # fmt: skip
    assert run("show", "--log", "LOG", "--what", "log.closed", "--json") == 0
    assert json.loads(capsys.readouterr().out)["seq"] == 11

    log_files[-1].write_bytes(
        log_files[-1].read_bytes().replace(b"log.closed", b"\\u001b[2J") + b'{"seq":"x"}\n7\n'
    )
    assert run("show", "--log", "LOG", "--last", "1") == 0
    assert "?[2J" in capsys.readouterr().out


def test_export_prints_the_verified_records_of_some_days(
    run: Run, log_files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whole lines with their MACs, from the first day on and before the second."""
    words = ("export", "--log", "LOG", "--key", "KEY")
    assert run(*words, "--since", "2025-11-23", "--until", "2025-11-24") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["details"]["n"] for line in lines] == [3, 4, 5]

    assert run(*words) == 0
    whole = b"".join(path.read_bytes() for path in log_files)
    assert capsys.readouterr().out.encode() == whole


@pytest.mark.parametrize(
    "words",
    [
        ("verify", "--log", "nowhere", "--key", "KEY"),
        ("verify", "--log", "LOG", "--key", "nowhere"),
        ("verify", "--log", "LOG", "--key", "KEY", "--known", "5"),
        ("export", "--log", "LOG", "--key", "KEY", "--since", "yesterday"),
        ("show", "--log", "LOG", "--last", "0"),
        ("show", "--log", "nowhere"),
    ],
)
def test_wrong_usage(run: Run, log_files: list[Path], words: tuple[str, ...]) -> None:
    """Exit 2."""
    with pytest.raises(SystemExit) as ended:
        run(*words)
    assert ended.value.code == 2


def test_a_new_key_is_ours_alone_and_never_replaced(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """32 bytes, mode 0600; an open mode or another length is no key."""
    path = tmp_path / "key"
    assert run("new-key", "--key", "KEY") == 0
    assert load_key(path).id in capsys.readouterr().out
    assert (path.stat().st_mode & 0o777, len(path.read_bytes())) == (0o600, 32)
    assert run("new-key", "--key", "KEY") == 1

    for mode, content in ((0o640, bytes(32)), (0o600, bytes(31)), (0o600, bytes(33))):
        path.write_bytes(content)
        path.chmod(mode)
        with pytest.raises(SystemExit):
            run("verify", "--log", str(tmp_path), "--key", "KEY")
    assert "exactly 32 bytes" in capsys.readouterr().err
