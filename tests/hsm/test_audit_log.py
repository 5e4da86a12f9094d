"""The log on a disk: it goes on after crashes, and without a disk there is no service."""

import errno
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hsm.audit import (
    AuditBrokenError,
    AuditDown,
    AuditInUseError,
    AuditKey,
    AuditLog,
    Limits,
    RefusedDetailError,
    files,
)
from hsm.audit.chain import Flaw, Link, Verified

KEY = AuditKey(bytes(range(32)))
CHILD = Path(__file__).with_name("audit_child.py")
MINUTE_MS = 60_000


class Clock:
    """UTC in milliseconds, which the test moves."""

    def __init__(self) -> None:
        self.now_ms = 1_763_769_600_000

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def opened(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., AuditLog]]:
    """Open the log of this test (again); all are closed at the end."""
    logs = []

    def make(**limits: int) -> AuditLog:
        log = AuditLog.open(
            tmp_path / "audit",
            KEY,
            clock,
            "hsm-1",
            check_values={"00": "268604"},
            limits=Limits(**limits),
        )
        logs.append(log)
        return log

    yield make
    for log in logs:
        log.close()


def crash(log: AuditLog) -> None:
    """Let go of the files as a killed process does: nothing more is written."""
    log._writer.close()
    log.down = "crashed"


def folder(tmp_path: Path) -> Path:
    """Of the log."""
    return tmp_path / "audit"


def checked(tmp_path: Path, *known: Link) -> Verified:
    """Verify the log."""
    return files.verify_folder(folder(tmp_path), KEY, known)


def records(tmp_path: Path) -> list[dict[str, Any]]:
    """All records of the log, in order; torn lines left out."""
    found = []
    for path in files.log_files(folder(tmp_path)):
        found += [json.loads(line) for line in files.lines(path) if line.endswith(b'"}\n')]
    return found


def imported(log: AuditLog, number: int = 1) -> None:
    """One key event."""
    log.record("key.imported", who=("bank",), details={"n": number, "check_value": "268604"})


def test_the_first_record_names_the_daemon_its_key_and_its_lmks(
    tmp_path: Path, opened: Callable[..., AuditLog]
) -> None:
    """And every start does so again; a sound end leaves no trace of a crash."""
    opened().close()
    opened().close()

    found = records(tmp_path)
    assert [record["what"] for record in found] == [
        "log.began", "log.closed", "log.opened", "log.closed",
    ]  # fmt: skip
    for record in (found[0], found[2]):
        assert record["details"] == {
            "daemon": "hsm-1", "key_id": KEY.id, "format": 1, "check_value_00": "268604",
        }  # fmt: skip
    assert checked(tmp_path).flaw is None
    assert stat_mode(folder(tmp_path)) == 0o700
    assert {stat_mode(path) for path in folder(tmp_path).iterdir()} == {0o600}


def stat_mode(path: Path) -> int:
    """Its permissions."""
    return path.stat().st_mode & 0o777


def test_a_key_event_is_on_the_disk_before_the_command_is_answered(
    tmp_path: Path, opened: Callable[..., AuditLog]
) -> None:
    """Who, when, what, result stand in the file, and the head has passed them."""
    log = opened()
    log.performed("bank", "A6", "00", {"key_type": "001", "check_value": "268604"})
    crash(log)

    record = records(tmp_path)[-1]
    assert record["who"] == ["bank"]
    assert record["what"] == "key.imported"
    assert record["details"]["command"] == "A6"
    head = files.read_head(folder(tmp_path), KEY)
    assert isinstance(head, Link)
    assert head.seq == record["seq"]


def test_counted_commands_make_one_record_a_minute_and_client(
    tmp_path: Path, clock: Clock, opened: Callable[..., AuditLog]
) -> None:
    """Commands and errors with their numbers; nothing before the minute is over."""
    log = opened()
    for client, command, error, times in (
        ("bank", "CA", "00", 7), ("bank", "CA", "20", 2), ("his", "M6", "00", 3),
    ):  # fmt: skip
        for _ in range(times):
            log.performed(client, command, error)
    log.tick(clock.now_ms + 1_000)
    assert len(records(tmp_path)) == 1
    clock.now_ms += MINUTE_MS
    log.tick(clock.now_ms)

    bank, his = records(tmp_path)[1:]
    assert (bank["what"], bank["who"], his["who"]) == ("commands.counted", ["bank"], ["his"])
    assert bank["details"] == {"CA.00": 7, "CA.20": 2, "minute": "2025-11-22T00:00Z"}
    assert his["details"]["M6.00"] == 3
    clock.now_ms += MINUTE_MS
    log.tick(clock.now_ms)
    assert len(records(tmp_path)) == 3


def test_I11_counts_are_bounded_and_lose_nothing(
    tmp_path: Path, clock: Clock, opened: Callable[..., AuditLog]
) -> None:
    """Kinds beyond cells_max share a cell; a name that may not be written is counted too."""
    log = opened(cells_max=10)
    for number in range(100):
        log.counts.add(f"client {number}", "CA", "00")
    assert len(log.counts) == 10
    log.close()

    counted = [record for record in records(tmp_path) if record["what"] == "commands.counted"]
    total = sum(n for record in counted for kind, n in record["details"].items() if "." in kind)
    assert total == 100
    assert counted[0]["details"]["*.*"] == 91

    log = opened()
    log.counts.add("0123456789ABCDEF", "CA", "00")
    for number in range(200):
        log.counts.add("many kinds", "CA", f"{number:03}")
    log.close()
    found = records(tmp_path)
    assert ["*"] in [record["who"] for record in found]
    assert sum(record["who"] == ["many kinds"] for record in found) == 4
    assert checked(tmp_path).flaw is None


def test_failed_verifications_stand_singly_until_there_are_too_many(
    tmp_path: Path, clock: Clock, opened: Callable[..., AuditLog]
) -> None:
    """Three a minute for each client, then a sum; the next minute begins anew. All are counted."""
    log = opened(singles_per_minute=3)
    for _ in range(10):
        log.performed("kiosk", "DC", "01", {"key": "1a2b3c4d"})
        log.performed("kiosk", "A6", "10")
    log.performed("bank", "M8", "01")
    log.performed("bank", "M6", "01")
    clock.now_ms += MINUTE_MS
    log.tick(clock.now_ms)
    log.performed("kiosk", "DC", "01")

    found = records(tmp_path)[1:]
    whats = [
        (record["what"], record["who"][0], record["details"].get("command")) for record in found
    ]
    assert whats == [
        ("verification.failed", "kiosk", "DC"),
        ("command.refused", "kiosk", "A6"),
        ("verification.failed", "kiosk", "DC"),
        ("verification.failed", "bank", "M8"),
        ("commands.counted", "bank", None),
        ("commands.counted", "kiosk", None),
        ("records.summarised", "kiosk", None),
        ("verification.failed", "kiosk", "DC"),
    ]
    assert found[0]["result"] == "01"
    assert found[5]["details"]["DC.01"] == 10
    assert found[6]["details"] == {"A6.10": 9, "DC.01": 8, "minute": "2025-11-22T00:00Z"}


def test_files_are_followed_by_files_in_one_chain(
    tmp_path: Path, opened: Callable[..., AuditLog]
) -> None:
    """Rotation by size; any file missing, in front, between or last, is found."""
    log = opened(file_bytes_max=1_000)
    for number in range(30):
        imported(log, number)
    log.close()
    opened(file_bytes_max=1_000).close()

    paths = files.log_files(folder(tmp_path))
    assert len(paths) > 5
    assert checked(tmp_path).flaw is None
    for path in (paths[0], paths[3], paths[-1]):
        away = path.rename(tmp_path / path.name)
        found = checked(tmp_path)
        assert found.flaw is not None
        if path == paths[-1]:
            with pytest.raises(AuditBrokenError):
                opened()
        away.rename(path)
    assert checked(tmp_path).flaw is None


def test_older_files_go_into_an_archive_without_a_break(
    tmp_path: Path, opened: Callable[..., AuditLog]
) -> None:
    """With the archive, or with the place where it ended, the rest is sound."""
    log = opened(file_bytes_max=1_000)
    for number in range(30):
        imported(log, number)
    log.close()
    archive = tmp_path / "archive"
    archive.mkdir()
    paths = files.log_files(folder(tmp_path))
    for path in paths[:3]:
        shutil.move(path, archive)
    opened().close()

    flaw = checked(tmp_path).flaw
    assert flaw is not None
    assert flaw.reason == "beginning_missing"
    assert files.verify_folder(folder(tmp_path), KEY, archive=archive).flaw is None
    ended = files.verify_files(files.log_files(archive), KEY, ()).last
    assert checked(tmp_path, ended).flaw is None
    assert checked(tmp_path, Link(ended.seq, bytes(32))).flaw is not None
    assert checked(tmp_path, ended, Link(1, bytes(32))).flaw is not None  # not here to be seen


def test_a_log_torn_at_any_byte_goes_on_and_stays_sound(
    tmp_path: Path, clock: Clock, opened: Callable[..., AuditLog]
) -> None:
    """A crash in the middle of the newest records, twice over: closed by log.recovered.

    The failed verification is not synced yet, so the head does not know it; whatever was cut off
    before the head is found instead.
    """
    log = opened()
    imported(log)
    safe = (folder(tmp_path) / files.file_name(1)).stat().st_size
    log.performed("bank", "M8", "01")
    log.performed("bank", "MC", "01")
    crash(log)
    whole = (folder(tmp_path) / files.file_name(1)).read_bytes()
    head = (folder(tmp_path) / files.HEAD).read_bytes()

    for length in range(safe - 2, len(whole) + 1):
        (folder(tmp_path) / files.file_name(1)).write_bytes(whole[:length])
        (folder(tmp_path) / files.HEAD).write_bytes(head)
        if length < safe:
            with pytest.raises(AuditBrokenError):
                opened()
            continue
        crash(opened())
        log = opened()
        imported(log)
        log.close()
        found = checked(tmp_path)
        assert found.flaw is None
        assert records(tmp_path)[-1]["what"] == "log.closed"
        torn = length not in (safe, whole.index(b"\n", safe) + 1, len(whole))
        assert found.recoveries == torn


@example(["key", "key", "failed", "tear", "crash"])
@given(
    st.lists(st.sampled_from(["key", "failed", "minute", "crash", "tear", "close"]), max_size=30)
)
@settings(max_examples=50, deadline=None)
def test_no_order_of_work_and_crashes_breaks_the_log(steps: list[str]) -> None:
    """Small files, torn at any byte that was not synced: always sound, and no key event missing."""
    clock, limits, promised = Clock(), Limits(file_bytes_max=700), 0
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        log = AuditLog.open(folder(path), KEY, clock, "hsm-1", limits=limits)
        for number, step in enumerate(steps):
            clock.now_ms += 61_000
            if step == "key":
                imported(log, number)
                promised += 1
            elif step == "failed":
                log.performed("bank", "M8", "01", {"n": number})
            elif step == "minute":
                log.tick(clock.now_ms)
            else:
                synced, last = log._writer.synced, files.log_files(folder(path))[-1]
                if step == "close":
                    log.close()
                else:
                    crash(log)
                if step == "tear" and not synced:
                    os.truncate(last, last.stat().st_size - 1 - number)
                log = AuditLog.open(folder(path), KEY, clock, "hsm-1", limits=limits)
        log.close()
        assert checked(path).flaw is None
        assert sum(record["what"] == "key.imported" for record in records(path)) == promised


def test_garbage_after_the_head_does_not_stop_the_service(
    tmp_path: Path, opened: Callable[..., AuditLog]
) -> None:
    """What a file system may leave after a power cut: zeros, old blocks, line ends among them."""
    log = opened()
    imported(log)
    crash(log)
    with (folder(tmp_path) / files.file_name(1)).open("ab") as stream:
        stream.write(bytes(5_000) + b"\n\nabc\n" + os.urandom(70_000))
    opened().close()

    assert checked(tmp_path).flaw is None
    assert checked(tmp_path).recoveries == 1


@pytest.mark.parametrize("torn", [b"", b'{"details":{"n"'])
def test_a_crash_while_a_file_is_begun(
    tmp_path: Path, torn: bytes, opened: Callable[..., AuditLog]
) -> None:
    """The very first file, or a later one, without a record in it yet."""
    folder(tmp_path).mkdir(mode=0o700)
    for number in (1, 2):
        log = opened() if number == 2 else None
        if log is not None:
            imported(log)
            crash(log)
        else:
            crash(opened())
            (folder(tmp_path) / files.file_name(1)).unlink()
            (folder(tmp_path) / files.HEAD).unlink()
            crash_before_the_first_record(folder(tmp_path))
        (folder(tmp_path) / files.file_name(number)).write_bytes(torn)
        opened().close()
        assert checked(tmp_path).flaw is None
    assert len(files.log_files(folder(tmp_path))) == 2


def crash_before_the_first_record(path: Path) -> None:
    """The head is there before the first file is."""
    from hsm.audit.chain import GENESIS, seal_head

    (path / files.HEAD).write_bytes(seal_head(KEY, GENESIS))


@pytest.mark.parametrize("what", ["head", "line", "end", "all", "key"])
def test_a_log_that_was_changed_is_not_continued(
    tmp_path: Path, what: str, opened: Callable[..., AuditLog], clock: Clock
) -> None:
    """The daemon does not start, and the folder stays as it is: evidence."""
    log = opened()
    imported(log)
    log.close()
    path, key = folder(tmp_path) / files.file_name(1), KEY
    if what == "head":
        (folder(tmp_path) / files.HEAD).unlink()
    elif what == "line":
        path.write_bytes(path.read_bytes().replace(b'"bank"', b'"demo"'))
    elif what == "end":
        path.write_bytes(b"".join(list(files.lines(path))[:-1]))
    elif what == "all":
        path.unlink()
    else:
        key = AuditKey(bytes(32))
    before = {path: path.read_bytes() for path in folder(tmp_path).iterdir()}

    with pytest.raises(AuditBrokenError) as broken:
        AuditLog.open(folder(tmp_path), key, clock, "hsm-1")

    assert isinstance(broken.value.flaw, Flaw)
    assert before == {path: path.read_bytes() for path in folder(tmp_path).iterdir()}


def test_one_writer_at_a_time(opened: Callable[..., AuditLog]) -> None:
    """A second daemon does not get this log; after the first one it does."""
    log = opened()
    with pytest.raises(AuditInUseError):
        opened()
    log.close()
    opened()


def test_a_refused_detail_leaves_no_trace(tmp_path: Path, opened: Callable[..., AuditLog]) -> None:
    """I12: the canary does not reach the file, and the log goes on."""
    canary = "C0FFEE0123456789C0FFEE0123456789"
    log = opened()
    for details in ({"key": canary}, {"name": f"U{canary}"}, {"n": int(canary, 16)}):
        with pytest.raises(RefusedDetailError) as refused:
            log.record("key.imported", who=("bank",), details=details)
        assert canary not in str(refused.value)
    imported(log)
    log.close()

    assert b"C0FFEE" not in b"".join(path.read_bytes() for path in folder(tmp_path).iterdir())
    assert checked(tmp_path).flaw is None


def test_too_little_space_stops_the_service_until_there_is_more(
    tmp_path: Path, clock: Clock, opened: Callable[..., AuditLog]
) -> None:
    """Found by the tick within a second, before the disk is quite full; no count is lost."""
    log = opened(retry_ms=5_000)
    free = itertools.chain([20 * 2**20, 15 * 2**20, 15 * 2**20], itertools.repeat(20 * 2**20))
    log._writer.free_bytes = lambda: next(free)  # type: ignore[method-assign]
    log.performed("bank", "CA", "00")
    log.tick(clock.now_ms)
    assert log.down == ""
    clock.now_ms += MINUTE_MS
    log.tick(clock.now_ms)
    assert log.down == "space"
    with pytest.raises(AuditDown):
        imported(log)
    log.tick(clock.now_ms + 4_999)
    log.tick(clock.now_ms + 5_000)
    assert log.down == "space"
    log.tick(clock.now_ms + 10_000)
    assert log.down == ""
    imported(log)

    whats = [record["what"] for record in records(tmp_path)]
    assert whats == ["log.began", "log.recovered", "commands.counted", "key.imported"]
    assert records(tmp_path)[1]["details"] == {"reason": "space", "down_ms": 10_000}


@pytest.mark.parametrize("call", ["fdatasync", "fsync", "rename", "write"])
def test_an_error_of_the_disk_stops_the_service_until_it_is_gone(
    tmp_path: Path,
    clock: Clock,
    call: str,
    opened: Callable[..., AuditLog],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of the log's file or the head's; afterwards the chain is read again and goes on."""

    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "")

    log = opened()
    imported(log)
    with monkeypatch.context() as patch:
        patch.setattr(Path if call == "rename" else os, call, broken)
        with pytest.raises(AuditDown, match="EIO"):
            imported(log, 2)
        with pytest.raises(AuditDown, match="EIO"):
            imported(log, 3)
        log.tick(clock.now_ms + 1_000)
        assert log.down == "EIO"
    log.tick(clock.now_ms + 2_000)
    assert log.down == ""
    imported(log, 4)
    log.close()

    assert checked(tmp_path).flaw is None
    assert records(tmp_path)[-2]["details"]["n"] == 4


def test_a_log_changed_while_it_was_down_is_not_continued(
    tmp_path: Path, clock: Clock, opened: Callable[..., AuditLog]
) -> None:
    """The daemon stays without service; only a person can look into that."""
    log = opened()
    imported(log)
    log._fail("ENOSPC")
    path = folder(tmp_path) / files.file_name(1)
    path.write_bytes(b"".join(list(files.lines(path))[:-1]))
    for seconds in (2, 4):
        log.tick(clock.now_ms + 1_000 * seconds)
        assert log.down == "broken"


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    """A file that may not grow: half a record is left, nothing is served, then it goes on."""
    done = subprocess.run(
        [sys.executable, str(CHILD), "starved", str(folder(tmp_path))],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip

    said = done.stdout.splitlines()
    assert said[:2] == ["down EFBIG", "still EFBIG"]
    assert said[2].startswith("again ''")
    found = checked(tmp_path)
    assert found.flaw is None
    assert found.recoveries == 1
    numbers = [r["details"]["n"] for r in records(tmp_path) if r["what"] == "key.imported"]
    assert numbers == list(range(int(said[2].split()[-1]) + 1))


@pytest.mark.parametrize("answers", [1, 7, 20])
def test_kill_9_loses_nothing_that_was_answered(tmp_path: Path, answers: int) -> None:
    """Killed in the middle of writing, three times over: the log goes on and stays sound."""
    promised = 0
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, str(CHILD), "endless", str(folder(tmp_path))],
            stdout=subprocess.PIPE, text=True,
        ) as child:  # fmt: skip
            assert child.stdout is not None
            said = [child.stdout.readline() for _ in range(answers)]
            child.send_signal(signal.SIGKILL)
            said += child.stdout.readlines()
        promised += sum(line.endswith("\n") for line in said)
        found = checked(tmp_path)
        assert found.flaw is None

    kept = sum(record["what"] == "key.imported" for record in records(tmp_path))
    assert promised <= kept <= promised + 3
    assert sum(record["what"] == "log.recovered" for record in records(tmp_path)) == 2
