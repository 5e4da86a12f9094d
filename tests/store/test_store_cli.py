"""``yyt payment`` and ``yyt journal`` as an operator uses them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from switch.cli import main
from switch.model.outcome import Verb
from switch.model.payment import Effect, EffectKind, Event, EventKind, Rest
from switch.ports import Write

sys.path.insert(0, str(Path(__file__).parent))
import store_worlds as worlds

sys.path.pop(0)
BORN = 1_767_225_600_000


def entry(kind: str, at: int, *effects: Effect, **fields: Any) -> bytes:
    """An event as the engine journals it."""
    event = (
        Event(kind=EventKind(kind), at=at, **fields)
        if kind != "born"
        else {"kind": "born", "at": at}
    )
    return msgspec.json.encode({"event": event, "effects": effects})


def send(leg: int, verb: Verb = Verb.DO, attempt: int = 1) -> Effect:
    """The order to make an exchange."""
    return Effect(kind=EffectKind.SEND, leg=leg, verb=verb, attempt=attempt)


@pytest.fixture
def journal(dsn: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[worlds.PostgresWorld]:
    """Three payments: one done after a reversed exchange, one on its way, one exception."""
    world = worlds.PostgresWorld(dsn)
    node = world.node("a")
    story = [
        (entry("born", BORN, send(0)), {}),
        (entry("do_unknown", BORN + 30_000, send(0, Verb.UNDO), leg=0, attempt=1), {}),
        (entry("undo_done", BORN + 30_250, leg=0, code="00", text="成功"), {}),
        (entry("do_done", BORN + 31_000, leg=1), {"rest": Rest.UNDONE, "code": "98"}),
    ]
    for version, (event, changes) in enumerate(story, 1):
        payment = worlds.payment("K1-1", version, born_at=BORN, **changes)
        numbers = (worlds.identity(7),) if version == 1 else ()
        world.run(node.commit(Write(payment=payment, event=event, identities=numbers)))
    world.run(node.commit(worlds.write("K1-2", born_at=BORN + 1)))
    world.run(node.commit(worlds.write("K1-3", born_at=BORN + 2, rest=Rest.EXCEPTION)))
    monkeypatch.setenv("YYT_DSN", dsn)
    monkeypatch.setenv("YYT_LANG", "en")
    yield world
    world.close()


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """``yyt ARGUMENTS``: exit code, stdout, stderr."""
    code = main(arguments)
    told = capsys.readouterr()
    return code, told.out, told.err


def test_list_shows_the_newest_first_and_narrows(journal, capsys) -> None:
    """As JSON for programs, as a table for people; --state, --limit, --hospital."""
    code, out, _ = run(capsys, "payment", "list", "--json")
    lines = json.loads(out)

    assert code == 0
    assert [(line["key"], line["state"]) for line in lines] == [
        ("K1-3", "exception"),
        ("K1-2", "forward"),
        ("K1-1", "undone"),
    ]
    assert lines[0]["amount_fen"] == 12_345
    for options, keys in (
        (["--state", "open"], ["K1-2"]),
        (["--state", "exception"], ["K1-3"]),
        (["--limit", "1"], ["K1-3"]),
        (["--hospital", "H2"], []),
    ):
        _, out, _ = run(capsys, "payment", "list", "--json", *options)
        assert [line["key"] for line in json.loads(out)] == keys
    _, out, _ = run(capsys, "payment", "list")
    assert "123.45" in out
    assert run(capsys, "payment", "list", "--hospital", "H2")[1] == "no payments\n"


def test_path_tells_each_exchange_with_its_times(journal, capsys) -> None:
    """From the commit that ordered it to the event that ended it; the numbers at the bank too."""
    _, out, _ = run(capsys, "payment", "path", "K1-1", "--json")
    path = json.loads(out)

    told = [(one["kind"], one["verb"], one["end"], one["took_ms"]) for one in path["exchanges"]]
    assert told == [
        ("debit", "do", "do_unknown", 30_000),
        ("debit", "undo", "undo_done", 250),
        ("book", "do", "do_done", None),
    ]
    assert [step["event"] for step in path["steps"]] == [
        "born",
        "do_unknown",
        "undo_done",
        "do_done",
    ]
    assert path["identities"][0]["stan"] == "000007"
    _, text, _ = run(capsys, "payment", "path", "K1-1")
    assert "30000" in text
    assert "成功" in text


def test_show_has_the_legs_but_no_card(journal, capsys) -> None:
    """I12: not even the encrypted F2 is shown."""
    for options in ([], ["--json"]):
        code, out, _ = run(capsys, "payment", "show", "K1-1", *options)

        assert code == 0
        assert "v1:AAAA" not in out
        assert "debit" in out


def test_an_unknown_key_is_one_sentence(journal, capsys) -> None:
    """Exit code 1, in the operator's language."""
    assert run(capsys, "payment", "show", "none") == (1, "", "yyt: no such payment: none\n")
    assert run(capsys, "--lang", "zh", "payment", "path", "none") == (
        1,
        "",
        "yyt: 没有这笔支付: none\n",
    )


def test_no_journal_there_is_one_sentence(capsys, dsn: str, tmp_path: Path) -> None:
    """Never served, not reachable, empty database, silly options: what to do, no traceback."""
    where = ("--data", str(tmp_path))
    assert "yyt journal serve" in run(capsys, "payment", "list", *where)[2]
    assert run(capsys, "payment", "list", "--dsn", "host=/nowhere")[0] == 1
    assert "yyt journal migrate" in run(capsys, "--lang", "en", "payment", "list", "--dsn", dsn)[2]
    assert run(capsys, "payment", "list", "--limit", "0")[0] == 2
    assert run(capsys, "journal", "restored", "--jump", "0")[0] == 2
    assert "I12" in run(capsys, "payment", "list", "--dsn", "password=x")[2]


def test_migrate_and_check(capsys, dsn: str) -> None:
    """An empty database is behind; after migrate it is as needed; weak settings fail the check."""
    where = ("--dsn", dsn, "--json")
    code, out, _ = run(capsys, "journal", "check", *where)
    assert (code, json.loads(out)["schema"]) == (1, 0)

    _, out, _ = run(capsys, "journal", "migrate", *where)
    assert json.loads(out)["applied"][0] == "0001_journal.sql"
    assert json.loads(run(capsys, "journal", "migrate", *where)[1])["applied"] == []
    code, out, _ = run(capsys, "journal", "check", *where)
    assert (code, json.loads(out)["problem"]) == (0, "")

    world = worlds.PostgresWorld(dsn)
    (name,) = world.sql("SELECT current_database()")[0]
    world.sql(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    code, out, _ = run(capsys, "journal", "check", "--dsn", dsn)
    assert (code, "synchronous_commit is off" in out) == (1, True)


def test_check_shows_the_nodes(journal, capsys) -> None:
    """Who is alive, and how many payments each drives."""
    _, out, _ = run(capsys, "journal", "check", "--json")

    assert json.loads(out)["nodes"] == [{"name": "a", "epoch": 1, "alive": True, "open": 1}]


def test_I8_after_a_restore_the_numbers_jump(journal, capsys) -> None:
    """Rule 14: what was given after the backup is not given again; it wraps like any number."""
    (node,) = journal.journals
    terminal = worlds.TERMINAL
    journal.run(node.numbers.reserve(terminal, 5))

    run(capsys, "journal", "restored", "--jump", "1000")

    assert journal.run(node.numbers.reserve(terminal, 1)).first == 1006
    run(capsys, "journal", "restored", "--jump", "999000")
    assert journal.run(node.numbers.reserve(terminal, 1)).first == 8


def test_dsn_is_printed_without_a_password(capsys, tmp_path: Path) -> None:
    """I12: for psql by hand; the password comes from where it came before."""
    (tmp_path / "dsn").write_text("host=h dbname=d password=hunter2")

    code, out, _ = run(capsys, "journal", "dsn", "--dsn", f"file:{tmp_path / 'dsn'}")

    assert (code, "hunter2" in out, "host=h" in out) == (0, False, True)


def test_every_verb_has_help_with_an_example() -> None:
    """``--help`` of each, in a process of its own."""
    verbs = [("payment", verb) for verb in ("list", "show", "path")]
    verbs += [("journal", verb) for verb in ("serve", "dsn", "migrate", "check", "restored")]
    for command in verbs:
        ended = subprocess.run(
            [sys.executable, "-m", "switch.cli", *command, "--help"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            env={**os.environ, "YYT_LANG": "en"},
        )
        assert f"yyt {command[0]} {command[1]}" in ended.stdout
