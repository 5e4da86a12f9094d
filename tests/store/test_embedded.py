"""The embedded PostgreSQL: where it must run, whom it must not trouble, how it ends."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import parse_dsn

from switch.store import embedded
from switch.store.errors import EmbeddedError
from switch.store.testing import TemporaryPostgres

PATIENCE_S = 30


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short folder of mode 0700, as a home of root has it."""
    made = Path(tempfile.mkdtemp(prefix="yyt-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def server(folder: Path) -> Iterator[TemporaryPostgres]:
    """A server there, running."""
    made = TemporaryPostgres(folder / "deep" / "db")
    made.data.parent.mkdir()
    made.start()
    yield made
    made.stop()


def _setting(dsn: str, name: str) -> str:
    conn = psycopg2.connect(dsn)
    try:
        with conn.cursor() as cursor:
            cursor.execute("SELECT current_setting(%s)", (name,))
            return cursor.fetchone()[0]
    finally:
        conn.close()


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def _until(true, what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.02)


def test_the_process_started_is_postgres_below_a_private_folder(server, folder: Path) -> None:
    """Its id is PostgreSQL's own (what is killed is the server), below a folder of mode 0700 whose
    mode and owner stay as they were."""
    assert os.readlink(f"/proc/{server.pid}/exe").endswith("/postgres")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert folder.stat().st_uid == os.getuid()


def test_it_is_durable_private_and_has_no_port(server) -> None:
    """fsync and the rest on, data checksums on, unix socket in a folder of mode 0700 only."""
    for name in ("fsync", "full_page_writes", "synchronous_commit", "data_checksums"):
        assert _setting(server.dsn, name) == "on"
    assert _setting(server.dsn, "listen_addresses") == ""
    assert stat.S_IMODE((server.data / "run").stat().st_mode) == 0o700
    assert stat.S_IMODE((server.data / "pg").stat().st_mode) == 0o700


def test_I12_statements_never_reach_its_log(server, folder: Path) -> None:
    """A failing statement may carry a payment: the log has the error without it."""
    conn = psycopg2.connect(server.dsn)
    with pytest.raises(psycopg2.DataError), conn.cursor() as cursor:
        cursor.execute("SELECT 1 / 0 AS very_private_words")
    conn.close()

    log = (folder / "deep" / "postgres.log").read_text()
    assert "division by zero" in log
    assert "very_private_words" not in log


def test_kill_9_and_start_again(server) -> None:
    """Orphaned children of the killed server are waited for; the data is there."""
    conn = psycopg2.connect(server.dsn)
    with conn, conn.cursor() as cursor:
        cursor.execute("CREATE TABLE kept (n integer); INSERT INTO kept VALUES (1)")

    for _ in range(2):
        server.signal(signal.SIGKILL)
        server.start()

    conn.close()
    conn = psycopg2.connect(server.dsn)
    with conn.cursor() as cursor:
        cursor.execute("SELECT n FROM kept")
        assert cursor.fetchall() == [(1,)]
    conn.close()


def test_a_second_server_on_the_same_data_is_refused(server) -> None:
    """One sentence, exit code 1, and the first one is not disturbed."""
    command = [sys.executable, "-m", "switch.store.serve", "--data", str(server.data)]

    second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert (second.returncode, "already runs" in second.stderr) == (1, True)
    assert _setting(server.dsn, "fsync") == "on"


def test_it_ends_with_the_one_that_started_it(folder: Path) -> None:
    """kill -9 of the supervisor: a fast shutdown follows by itself, through exec and namespace."""
    program = textwrap.dedent("""
        import subprocess, sys, time
        command = [sys.executable, "-m", "switch.store.serve", "--data", sys.argv[1]]
        print(subprocess.Popen([*command, "--die-with-parent"]).pid, flush=True)
        time.sleep(600)
    """)
    with subprocess.Popen(
        [sys.executable, "-c", program, str(folder / "db")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as parent:
        pid = int(parent.stdout.readline())
        _until((folder / "db" / "server.json").exists, "the cluster is made")
        embedded.wait_ready(embedded.embedded_dsn(folder / "db"), PATIENCE_S)
        assert not _gone(pid)

        parent.kill()
        _until(lambda: _gone(pid), "the server ends")


def test_a_long_path_gets_a_short_socket(folder: Path) -> None:
    """A unix socket's path has 107 bytes: below a deep folder the socket goes to one of its own
    where temporary things are, private, and the same at the next start."""
    data = folder / ("long" * 30) / "db"
    data.parent.mkdir()
    server = TemporaryPostgres(data)
    server.start()
    first = server.dsn
    sockets = Path(parse_dsn(first)["host"])
    server.stop()
    server.start()
    server.stop()

    assert (server.dsn, sockets.parent) == (first, Path(tempfile.gettempdir()))
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    shutil.rmtree(sockets)
    with pytest.raises(EmbeddedError, match="too long"):
        embedded.prepare(data, str(data / "run"))


def test_as_an_ordinary_user(folder: Path) -> None:
    """Without root there is no namespace to enter: the server runs as who started it. (The test
    becomes an ordinary user by a user namespace when it is root.)"""
    as_user = []
    if os.geteuid() == 0:
        as_user = ["unshare", "--user", "--map-user=65534", "--map-group=65534", "--"]
    program = textwrap.dedent("""
        import os, sys
        from pathlib import Path
        from switch.store import embedded
        from switch.store.testing import TemporaryPostgres
        assert os.geteuid() != 0 and embedded.namespace_prefix() == []
        server = TemporaryPostgres(Path(sys.argv[1]))
        server.start()
        print(os.stat(f"/proc/{server.pid}").st_uid == os.geteuid())
        server.stop()
    """)
    command = [*as_user, sys.executable, "-c", program, str(folder / "db")]

    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)

    assert (ended.stdout, ended.stderr) == ("True\n", "")


def test_root_without_namespaces_is_told_to_give_a_dsn(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where user namespaces are forbidden (or unshare is missing) the sentence says what to do."""
    (folder / "unshare").write_text("#!/bin/sh\necho Operation not permitted >&2\nexit 1\n")
    (folder / "unshare").chmod(0o755)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", str(folder), prepend=":")

    with pytest.raises(EmbeddedError, match=r"namespaces are forbidden here.*DSN"):
        embedded.namespace_prefix()
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EmbeddedError, match="unshare"):
        embedded.namespace_prefix()


def test_what_is_missing_is_named(folder: Path) -> None:
    """Binaries of a system installation that are not there; a journal never served."""
    with pytest.raises(EmbeddedError, match="no program initdb"):
        embedded.prepare(folder / "db", binaries_dir=str(folder))
    with pytest.raises(EmbeddedError, match="yyt journal serve"):
        embedded.embedded_dsn(folder / "db")
    (folder / "server.json").write_text("{")
    with pytest.raises(EmbeddedError, match="cannot be read"):
        embedded.embedded_dsn(folder)


def test_a_server_that_never_comes_up_is_told() -> None:
    """wait_ready has a limit."""
    with pytest.raises(EmbeddedError, match="within 1 s"):
        embedded.wait_ready("host=/nowhere user=x dbname=x", 1)


def test_a_system_installation_can_be_used(folder: Path) -> None:
    """--binaries names any folder with initdb and postgres."""
    found = embedded.binaries()

    assert embedded.binaries(str(found)) == found
    assert embedded.prepare(folder / "db", binaries_dir=str(found))[-1].startswith("--")
