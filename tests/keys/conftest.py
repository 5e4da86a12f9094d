"""One PostgreSQL and one HSM with two LMKs for the session, a fresh key store for each test."""

import io
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import yaml

from switch.cli import main
from switch.store.migrate import migrate
from switch.store.testing import TemporaryPostgres, temporary_postgres
from tests.keys.forking import Forking

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("two_lmks.py")
WITHOUT_HSM = ("list", "show", "retire", "destroy")
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def key_postgres() -> Iterator[TemporaryPostgres]:
    """A running embedded server."""
    with temporary_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def hsm_port() -> Iterator[int]:
    """The port of an HSM with LMK 00 and, replacing it, LMK 10."""
    with _hsm() as port:
        yield port


@pytest.fixture
def later_port() -> Iterator[int]:
    """The port of the same HSM after its LMK 00 was destroyed."""
    with _hsm("00") as port:
        yield port


@pytest.fixture(scope="session")
def forking() -> Iterator[Forking]:
    """What runs ``yyt`` where it has to be a process."""
    runner = Forking()
    yield runner
    runner.close()


@contextmanager
def _hsm(*destroyed: str) -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, str(PROGRAM), *destroyed], stdout=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, "YYT_PARENT": ""},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


class Office:
    """An officer at ``yyt key`` with a configuration of its own."""

    def __init__(self, folder: Path, dsn: str, port: int, forking: Forking) -> None:
        self.forking = forking
        self.folder = folder
        self.dsn = dsn
        self.port = port
        self.config = folder / "switch.yaml"
        self.configure()

    def configure(
        self, dek: str = "key:vault", tmk: str = "key:icbc-tmk", lmk_id: str = ""
    ) -> None:
        """Write the configuration anew with these keys."""
        whole = yaml.load((ROOT / "conf/switch.example.yaml").read_text("utf-8"), yaml.BaseLoader)
        whole["journal"] = {**whole["journal"], "dsn": self.dsn}
        whole["journal"].pop("data", None)
        settings = whole["hsm"]["settings"]
        settings.pop("tls", None)
        settings |= {"addresses": [f"tcp:127.0.0.1:{self.port}"], "dek": dek, "lmk_id": lmk_id}
        settings |= {"timeout_ms": 5_000, "lmk_check_value": ""}
        for terminal in whole["channels"][0]["settings"]["terminals"]:
            terminal["tmk"] = tmk
        pki = self.folder / "pki"
        pki.mkdir(exist_ok=True)
        for front in whole["fronts"]:
            front["settings"]["pki"] = str(pki)
        self.config.write_text(yaml.safe_dump(whole, allow_unicode=True), "utf-8")

    def run(
        self, *arguments: str, stdin: str = "", env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """``yyt key ARGUMENTS`` to its end: a process where the HSM is asked, else in this one."""
        command = ["key", *arguments, "--config", str(self.config)]
        environment = {"YYT_LANG": "en", **(env or {})}
        if arguments[0] in WITHOUT_HSM or "--activate" in arguments:
            return _here(command, stdin, environment)
        return self.forking.run(command, stdin, {**os.environ, **environment})

    def ask(self, *arguments: str, stdin: str = "") -> Any:
        """The JSON of a command that must succeed."""
        done = self.run(*arguments, "--json", stdin=stdin)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def refusal(self, *arguments: str, code: int = 1, stdin: str = "") -> str:
        """The sentence of a command that must fail with this exit code."""
        done = self.run(*arguments, stdin=stdin)
        assert (done.returncode, done.stdout) == (code, ""), done
        assert "Traceback" not in done.stderr
        return done.stderr

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """What the database holds (or what a statement returns)."""
        conn = psycopg2.connect(self.dsn)
        try:
            conn.autocommit = True
            with conn.cursor() as cursor:
                cursor.execute(sql, values)
                return cursor.fetchall() if cursor.description else []
        finally:
            conn.close()


def _here(
    command: list[str], stdin: str, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr(sys, "stdin", io.StringIO(stdin))
        with redirect_stdout(out), redirect_stderr(err):
            code = main(command)
    return subprocess.CompletedProcess(command, code, out.getvalue(), err.getvalue())


@pytest.fixture
def key_dsn(key_postgres: TemporaryPostgres) -> str:
    """A database with an empty key store."""
    dsn = key_postgres.fresh_database(f"keys_{next(_numbers)}")
    conn = psycopg2.connect(dsn)
    conn.autocommit = True
    migrate(conn)
    conn.close()
    return dsn


@pytest.fixture
def office(tmp_path: Path, key_dsn: str, hsm_port: int, forking: Forking) -> Office:
    """An officer, an empty key store, an HSM."""
    return Office(tmp_path, key_dsn, hsm_port, forking)
