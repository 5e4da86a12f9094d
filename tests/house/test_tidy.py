"""The style of the house, enforced: sizes, money, clocks, words. Each rule says why it is one."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("switch", "channels", "his_bridge", "hsm", "terminal_agent")
FUNCTION_LINES_MAX = 70
MODULE_LINES_MAX = 400
LINE_CHARACTERS_MAX = 100
PRAGMA = re.compile(r"\s*# (noqa|type: ignore).*")

BOUNDARIES = {
    "channels/iso8583/channel.py": "the port promises that prepare and exchange raise nothing",
    "channels/iso8583/stans.py": "whoever waits for a STAN must hear of whatever went wrong",
    "switch/store/threads.py": "nobody above a thread would ever hear of its defect (I4)",
    "terminal_agent/devices/serial_device.py": "an exception would close the port (Twisted)",
    "hsm/processor.py": "a fault answers 41, and its text might hold key material",
}
"""Modules that may catch every exception, each with the reason; no other may."""


def is_ours(path: Path) -> bool:
    """Not a cache, not a hidden file."""
    return "__pycache__" not in path.parts and not path.name.startswith(".")


@cache
def modules(*folders: str) -> tuple[Path, ...]:
    """Python files below the folders (all packages and the tests when none is given)."""
    chosen = folders or (*PACKAGES, "tests")
    found = (path for folder in chosen for path in sorted((ROOT / folder).rglob("*.py")))
    return tuple(path for path in found if is_ours(path))


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree, parsed once for all rules."""
    return ast.parse(path.read_text(encoding="utf-8"))


def name(path: Path) -> str:
    """As cited in a failure."""
    return path.relative_to(ROOT).as_posix()


def calls(path: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every call."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Call):
            yield node.lineno, ast.unparse(node.func)


def found_calls(forbidden: re.Pattern[str], *folders: str) -> list[str]:
    """Where a call matches."""
    return [
        f"{name(path)}:{line}: {called}"
        for path in modules(*folders)
        for line, called in calls(path)
        if forbidden.fullmatch(called)
    ]


def found_words(pattern: re.Pattern[str], *folders: str) -> list[str]:
    """Where a line of source matches."""
    return [
        f"{name(path)}:{number}: {line.strip()}"
        for path in modules(*folders)
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]


def test_functions_are_short() -> None:
    """A function is read on one screen (≤ 70 lines)."""
    long = [
        f"{name(path)}:{node.lineno}: {node.name} {node.end_lineno - node.lineno + 1}"
        for path in modules()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert long == []


def test_modules_are_short() -> None:
    """One noun, one file (≤ 400 lines)."""
    long = [
        f"{name(path)}: {lines}"
        for path in modules(*PACKAGES)
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MODULE_LINES_MAX
    ]
    assert long == []


def test_lines_are_short() -> None:
    """100 columns, not counting a note to the linter or the type checker at the end."""
    long = [
        f"{name(path)}:{number}"
        for path in modules()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if len(PRAGMA.sub("", line)) > LINE_CHARACTERS_MAX
    ]
    assert long == []


def test_I16_money_is_never_a_float() -> None:
    """No ``float()`` in the switch, and no true division of anything that is an amount."""
    divided = [
        f"{name(path)}:{node.lineno}: {ast.unparse(node)}"
        for path in modules("switch", "channels", "his_bridge")
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Div)
        and re.search(r"fen|amount|yuan", ast.unparse(node), re.IGNORECASE)
    ]
    assert found_calls(re.compile("float"), "switch", "channels", "his_bridge") == []
    assert divided == []


def test_I14_nobody_reads_the_wall_clock_around_the_timeline() -> None:
    """Timers are monotonic and injected; a step of the wall clock moves nothing."""
    clocks = re.compile(r"(datetime\.)*(datetime|date)\.(now|today|utcnow)|time\.time(_ns)?")
    allowed = {
        "switch/timeline.py": "it is the one clock of the shell",
        "channels/kiosk/pki.py": "certificates are valid by the calendar",
        "his_bridge/simulator.py": "a hospital of its own, with its own clock",
        "channels/pos_simulator/cli.py": "a POS numbers its requests from its own clock on",
        "channels/bank_simulator/cli.py": "a bank of its own, with its own clock",
    }
    found = found_calls(clocks, "switch", "channels", "his_bridge")
    assert [place for place in found if place.split(":")[0] not in allowed] == []


def test_chance_is_injected() -> None:
    """Jitter comes through ``Context.random``, so the simulator can replay a seed."""
    allowed = {"switch/app.py": "the composition root makes the source of jitter"}
    found = found_calls(
        re.compile(r"(random\.\w+|uuid\.uuid\d)"), "switch", "channels", "his_bridge"
    )
    assert [place for place in found if place.split(":")[0] not in allowed] == []


def test_every_broad_except_stands_at_a_named_boundary() -> None:
    """``except Exception`` hides bugs with money in hand; a boundary gives its reason here.

    Cleaning up and raising the same again is no boundary.
    """
    broad = {
        name(path)
        for path in modules(*PACKAGES)
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
        and not (isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None)
    }
    assert broad - BOUNDARIES.keys() == set()


def test_nothing_is_left_for_later() -> None:
    """No notes to ourselves in the source: an open end is an issue."""
    assert found_words(re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")) == []


def test_no_test_is_skipped() -> None:
    """A part that is missing makes a test fail, loudly; it never makes it pass silently."""
    skips = re.compile(r"pytest\.(skip|xfail|importorskip|mark\.(skip|skipif|xfail))\b")
    assert found_words(skips, "tests") == []


def test_the_word_transaction_is_not_used_bare() -> None:
    """It means database, card or payment to different readers: say which."""
    bare = re.compile(r"^_*transactions?$", re.IGNORECASE)
    found = [
        f"{name(path)}:{getattr(node, 'lineno', 0)}: {identifier}"
        for path in modules(*PACKAGES)
        for node in ast.walk(parsed(path))
        for identifier in identifiers(node)
        if bare.fullmatch(identifier)
    ]
    assert found == []


def identifiers(node: ast.AST) -> Iterator[str]:
    """Names that this node introduces."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.arg):
        yield node.arg


def test_no_path_of_somebodys_machine() -> None:
    """A clone works anywhere."""
    homes = re.compile(r"/(home|Users)/\w+|/root/|/work/|[A-Z]:\\\\Users")
    assert found_words(homes, *PACKAGES, "bin", "conf") == []


def test_every_invariant_that_is_cited_is_explained() -> None:
    """docs/invariants.md restates every id that code, tests and alerts cite."""
    page = (ROOT / "docs" / "invariants.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"\bI(?:1[0-6]|[1-9])\b", page))
    cited = {
        found
        for path in (*modules(), *filter(Path.is_file, (ROOT / "conf").rglob("*")))
        for found in re.findall(r"\bI(?:1[0-6]|[1-9])(?=\b|_)", path.read_text(encoding="utf-8"))
    }
    assert cited - explained == set()


def test_public_functions_and_every_test_say_what_for() -> None:
    """A docstring gives shape, unit, error or source of the rule; a test's gives its goal."""
    silent = [
        f"{name(path)}:{node.lineno}: {node.name}"
        for path in modules()
        for node in parsed(path).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and (node.name.startswith("test_") if "tests" in path.parts else node.name[0] != "_")
        and ast.get_docstring(node) is None
    ]
    assert silent == []


def test_top_level_names_are_ours_alone() -> None:
    """The package index has other ``channels``, ``hsm`` and ``switch``: none may be installed."""
    providers = packages_distributions()

    for package in PACKAGES:
        assert set(providers.get(package, ["yinyitong"])) == {"yinyitong"}


def test_repository_holds_no_generated_file() -> None:
    """What is made by running (environments, caches, data) stays out of the repository."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    ).stdout.split()
    made = re.compile(r"(^|/)(var|\.venv|__pycache__|build|node_modules)/|\.(pyc|log|sqlite3?)$")

    assert [path for path in listed if made.search(path)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_ciphers_of_the_second_library_stay_in_the_hsm(package: str) -> None:
    """``cryptography`` serves X.509 everywhere; its block ciphers and MACs only hsm.primitives."""
    ciphers = re.compile(r"hazmat\.primitives(\.ciphers|\.cmac| import .*(ciphers|cmac))")
    found = found_words(ciphers, package)

    assert [place for place in found if not place.startswith("hsm/primitives/")] == []
