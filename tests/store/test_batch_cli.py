"""``yyt bank settle`` and ``yyt bank batches`` as an operator uses them."""

import json
import re
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from switch.cli import main
from switch.model.batch import NOT_OURS, Batch, BatchState, Totals

sys.path.insert(0, str(Path(__file__).parent))
import store_worlds as worlds

sys.path.pop(0)
PATIENCE_S = 20


@pytest.fixture
def journal(dsn: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[worlds.PostgresWorld]:
    """A bank ``b`` with one terminal that has been used."""
    world = worlds.PostgresWorld(dsn)
    world.run(world.node("a").numbers.reserve(worlds.TERMINAL, 1))
    monkeypatch.setenv("YYT_DSN", dsn)
    monkeypatch.setenv("YYT_LANG", "en")
    yield world
    world.close()


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """``yyt ARGUMENTS``: exit code, stdout, stderr."""
    code = main(arguments)
    told = capsys.readouterr()
    return code, told.out, told.err


def move(world: worlds.PostgresWorld, **changes: object) -> Batch:
    """What the job does with the settlement under way."""
    node = world.journals[0]
    (batch,) = world.run(node.batches.open("b"))
    after = replace(batch, version=batch.version + 1, **changes)
    assert world.run(node.batches.move(after))
    return after


def test_an_order_stands_in_the_journal_for_whichever_node_has_the_terminal(
    journal, capsys
) -> None:
    """Without waiting: exit code 3, ordered once however often it is given."""
    for _ in range(2):
        code, out, _ = run(capsys, "bank", "settle", "b", "--wait", "0", "--json")
        (row,) = json.loads(out)
        assert (code, row["state"], row["number"]) == (3, "ordered", "000001")
    assert len(journal.run(journal.journals[0].batches.open("b"))) == 1


@pytest.mark.parametrize(("result", "code"), [("balanced", 0), ("unbalanced", 1)])
def test_the_order_waits_for_the_end_and_tells_it(journal, capsys, result: str, code: int) -> None:
    """Exit code 0 for a batch that balances, 1 for one that does not; the totals in yuan."""

    def job() -> None:
        end = time.monotonic() + PATIENCE_S
        while not journal.sql("SELECT FROM settlement") and time.monotonic() < end:
            time.sleep(0.01)
        journal.sql(
            "UPDATE settlement SET state = 'closed', version = 2, result = %s, debit_count = 2,"
            " debit_fen = 35000, next_batch = '000002', code = '00', closed_at = 5",
            result,
        )

    worker = threading.Thread(target=job)
    worker.start()
    told = run(capsys, "bank", "settle", "b", "--terminal", "t", "--wait", str(PATIENCE_S))
    worker.join()

    assert told[0] == code
    assert told[1].splitlines()[1].split() == [
        *("t", "000001", "closed", result, "2", "350.00", "0", "0.00", "0", "00")
    ]


def test_a_bank_nobody_knows_is_one_sentence(journal, capsys) -> None:
    """Exit code 2, and no settlement."""
    code, _, error = run(capsys, "bank", "settle", "nobody")
    assert (code, "no such terminal" in error) == (2, True)
    assert run(capsys, "bank", "batches")[1] == "no settlements\n"


def test_batches_lists_the_newest_first(journal, capsys) -> None:
    """One that failed, then one ordered anew."""
    run(capsys, "bank", "settle", "b", "--wait", "0")
    move(journal, state=BatchState.FAILED, code="96", totals=Totals(debit_count=1, debit_fen=5))
    run(capsys, "bank", "settle", "b", "--wait", "0")

    code, out, _ = run(capsys, "bank", "batches", "b", "--json")
    states = [(row["state"], row["code"]) for row in json.loads(out)]
    assert (code, states) == (0, [("ordered", ""), ("failed", "96")])
    assert run(capsys, "bank", "batches", "other")[1] == "no settlements\n"


def test_in_chinese_nothing_is_said_in_english(journal, monkeypatch, capsys) -> None:
    """Heads, every state and every result; only the terminal's own name has Latin letters."""
    monkeypatch.setenv("YYT_LANG", "zh")
    assert run(capsys, "bank", "batches")[1] == "没有批结算\n"
    nobody = run(capsys, "bank", "settle", "nobody")[2]
    assert not re.search("[A-Za-z]", nobody.rsplit("nobody", 1)[1])
    run(capsys, "bank", "settle", "b", "--wait", "0")

    for state in BatchState:
        for result in ("balanced", "unbalanced"):
            journal.sql("UPDATE settlement SET state = %s, result = %s", str(state), result)
            code, out, err = run(capsys, "bank", "batches", "b")
            assert (code, err) == (0, "")
            assert re.findall("[A-Za-z]+", out) == ["t"], out


def test_an_order_for_a_bank_leaves_out_what_no_node_holds(journal, capsys) -> None:
    """A terminal that was taken out of the configuration has a row for ever: without its name
    nothing is ordered of it, by its name it is."""
    node = journal.journals[0]
    removed = replace(worlds.TERMINAL, terminal="removed")
    journal.run(node.numbers.reserve(removed, 1))
    journal.run(node.terminals.hold((worlds.TERMINAL,), 0))
    _, out, _ = run(capsys, "bank", "settle", "b", "--wait", "0", "--json")
    assert [row["terminal"]["terminal"] for row in json.loads(out)] == ["t"]

    _, out, _ = run(capsys, "bank", "settle", "b", "--terminal", "removed", "--wait", "0", "--json")
    assert [row["terminal"]["terminal"] for row in json.loads(out)] == ["removed"]


@pytest.mark.parametrize(
    ("language", "words"), [("zh", "中还没有流水库"), ("en", "holds no journal yet")]
)
@pytest.mark.parametrize("verb", ["settle", "batches"])
def test_without_a_journal_it_is_said_in_the_operators_language(
    tmp_path, monkeypatch, capsys, verb, language, words
) -> None:
    """Where it was looked for, and what to do; exit code 1."""
    monkeypatch.delenv("YYT_DSN", raising=False)
    monkeypatch.setenv("YYT_LANG", language)

    code, out, err = run(capsys, "bank", verb, "b", "--var", str(tmp_path))

    assert (code, out) == (1, "")
    assert f"{tmp_path}/postgres" in err
    assert words in err
    assert "yyt journal serve --data" in err


@pytest.mark.parametrize(
    ("language", "sentence"),
    [("en", "this bank's batches are not settled by us"), ("zh", "本行批次不由我方结算")],
)
def test_an_order_for_a_bank_that_closes_batches_itself_says_so(
    journal, monkeypatch, capsys, language: str, sentence: str
) -> None:
    """The node that has the terminal ended it: failed, exit code 1, and why in the last column."""
    monkeypatch.setenv("YYT_LANG", language)

    def node() -> None:
        end = time.monotonic() + PATIENCE_S
        while not journal.sql("SELECT FROM settlement") and time.monotonic() < end:
            time.sleep(0.01)
        move(journal, state=BatchState.FAILED, code=NOT_OURS)

    worker = threading.Thread(target=node)
    worker.start()
    code, out, _ = run(capsys, "bank", "settle", "b", "--wait", str(PATIENCE_S))
    worker.join()

    assert code == 1
    assert out.splitlines()[1].endswith(f"0  -  {sentence}")
