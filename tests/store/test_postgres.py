"""What only a real database can show: durability refused, lost commits, crashes, triggers."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import parse_dsn
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from switch.ports import JournalDown, LogicalTerminal
from switch.store import migrate as migrations
from switch.store.errors import Corrupt, StartRefused, WriteRejected
from switch.store.journal import _OF_TERMINAL
from switch.store.session import open_session
from switch.store.settings import JournalSettings, masked_dsn, resolve_dsn
from switch.store.testing import TemporaryPostgres, journal_settings, temporary_postgres

sys.path.insert(0, str(Path(__file__).parent))
import store_worlds as worlds

sys.path.pop(0)
write, payment, identity = worlds.write, worlds.payment, worlds.identity
PATIENCE_S = 20


@pytest.fixture
def world(dsn: str) -> Iterator[worlds.PostgresWorld]:
    """A database without nodes."""
    made = worlds.PostgresWorld(dsn)
    yield made
    made.close()


def until(true, what: str) -> None:
    """Wait for a state of the database, with a limit."""
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.01)


# ---- durability (I4) -----------------------------------------------------------------------------


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
def test_I4_a_server_that_can_lose_commits_is_refused(setting: str) -> None:
    """The server-wide settings: the sentence names the one that is off."""
    with temporary_postgres(f"{setting}=off") as server:
        with pytest.raises(StartRefused, match=f"I4: {setting} is off"):
            open_session(server.dsn, journal_settings(server.dsn), "test")


@pytest.mark.parametrize("value", ["off", "local", "remote_write"])
def test_I4_weak_synchronous_commit_is_refused(world, value: str) -> None:
    """Also when only this database or role has it."""
    (name,) = world.sql("SELECT current_database()")[0]
    world.sql(f'ALTER DATABASE "{name}" SET synchronous_commit = {value}')

    with pytest.raises(StartRefused, match=f"synchronous_commit is {value}"):
        world.node("a")


def test_I4_several_hosts_need_strict_replication_or_a_waiver(world) -> None:
    """Rule 14: a fail-over must not lose what was confirmed, unless someone signed for it."""
    host = parse_dsn(world.dsn)["host"]
    dsn = f"{world.dsn} host={host},{host}"

    with pytest.raises(StartRefused, match="synchronous_standby_names is empty"):
        world.node("a", dsn)
    assert world.node("a", dsn, waiver="2026-01-01 head of IT: accepted").epoch == 1


def test_I7_a_read_only_server_is_refused(world) -> None:
    """A standby never decides."""
    (name,) = world.sql("SELECT current_database()")[0]
    world.sql(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')

    with pytest.raises(StartRefused, match="read-only"):
        world.node("a")


def test_an_absent_database_is_journal_down() -> None:
    """Start-up waits its time and then says where it looked, without the password."""
    dsn = "host=127.0.0.1 port=1 user=u password=hunter2 dbname=d"
    made = worlds.PostgresWorld("")
    os.environ["YYT_TEST_DSN"] = dsn

    with pytest.raises(JournalDown) as caught:
        made.node("a", "env:YYT_TEST_DSN", connect_timeout_ms=100)

    del os.environ["YYT_TEST_DSN"]
    assert "127.0.0.1" in str(caught.value)
    assert "hunter2" not in str(caught.value)


# ---- schema (K18) --------------------------------------------------------------------------------


def test_K18_old_code_refuses_a_newer_schema(world) -> None:
    """The sentence names both versions."""
    world.node("a")
    world.sql("INSERT INTO schema_version (number, name) VALUES (9999, 'future')")

    with pytest.raises(StartRefused, match=r"version 9999, this program knows only \d"):
        world.node("b")


def test_K18_a_failing_migration_leaves_nothing(world, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file is one db_transaction: half a file is no file, and the next start goes on."""
    good = migrations.migrations()
    bad = [*good, (len(good) + 1, "bad.sql", "CREATE TABLE half (); SELECT 1 / 0")]
    monkeypatch.setattr(migrations, "migrations", lambda: bad)

    with pytest.raises(JournalDown):
        world.node("a")

    assert world.sql("SELECT max(number), to_regclass('half') FROM schema_version") == [
        (len(good), None)
    ]
    monkeypatch.undo()
    assert world.node("a").epoch == 1


def test_I8_numbers_go_on_over_the_change_to_one_counter(
    world, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counters of batches became one of the terminal: it begins above them all."""
    known = migrations.migrations()
    monkeypatch.setattr(migrations, "migrations", lambda: known[:11])
    conn = open_session(world.dsn, journal_settings(world.dsn), "test")
    migrations.migrate(conn)
    with conn.cursor() as cursor:
        for batch, count in (("000001", 700), ("000002", 40)):
            cursor.execute("SELECT stan_counter('b', 'm', 't', %s)", (batch,))
            cursor.execute("SELECT reserve_stans('b', 'm', 't', %s)", (count,))
    conn.close()
    monkeypatch.undo()

    numbers = world.node("a").numbers
    terminal = LogicalTerminal(bank="b", merchant="m", terminal="t")
    block = world.run(numbers.reserve(terminal, 5))
    assert (block.batch, block.first, block.last) == ("000002", 701, 705)


def test_K18_nodes_that_start_together_migrate_once(world) -> None:
    """Eight sessions at once: every file is applied by exactly one of them."""
    applied: list[str] = []

    def start() -> None:
        conn = open_session(world.dsn, journal_settings(world.dsn), "test")
        applied.extend(migrations.migrate(conn))
        conn.close()

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert applied == [name for _, name, _ in migrations.migrations()]


# ---- nothing is forgotten or falsified -----------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM payment",
        "TRUNCATE payment",
        "UPDATE payment SET amount_fen = 1",
        "UPDATE payment SET key = 'other'",
        "UPDATE payment SET request_hash = 'other'",
        "UPDATE payment SET version = 7",
        "DELETE FROM payment_event",
        "UPDATE payment_event SET event = '{}'",
        "TRUNCATE payment_event",
        "DELETE FROM exchange_identity",
        "UPDATE exchange_identity SET stan = '1'",
        "TRUNCATE exchange_identity",
        "DELETE FROM late_reply",
        "TRUNCATE late_reply",
    ],
)
def test_I15_the_database_refuses_to_forget(world, statement: str) -> None:
    """Even an operator with SQL at hand is stopped by the triggers."""
    node = world.node("a")
    world.run(node.commit(write("k", 1, (identity(1),))))
    world.run(node.record_late("k", b"{}"))

    with pytest.raises(psycopg2.DatabaseError, match="the journal forgets nothing"):
        world.sql(statement)


def test_I1_a_damaged_row_is_told_and_does_not_stop_the_others(world) -> None:
    """The checksum is verified on every read; recovery goes on with what can be read."""
    node, taker = world.node("a"), world.node("b")
    world.run_all([node.commit(write(key)) for key in ("good", "bad")])
    world.sql(
        "UPDATE payment SET state = replace(state::text, '12345', '54321')::json WHERE key = 'bad'"
    )

    with pytest.raises(Corrupt, match="I1: payment bad"):
        world.run(node.load("bad"))
    with pytest.raises(Corrupt, match="I1"):
        world.run(node.commit(write("bad")))
    world.expire("a")
    assert [one.key for one in world.run(taker.unfinished(9))] == ["good"]
    assert world.run(taker.claim("bad")) is None, "late answers behind it go on"


def test_history_is_complete_and_in_order(world) -> None:
    """Each version has its event and where the payment stood after it."""
    node = world.node("a")
    for version in (1, 2, 3):
        world.run(node.commit(write("k", version)))

    rows = world.sql("SELECT version, trail, event->'event'->>'text' FROM payment_event ORDER BY 1")

    assert rows == [(version, "forward|debit:idle|book:doing", "好") for version in (1, 2, 3)]


def test_I12_a_rejected_write_tells_nothing_of_its_content_and_harms_no_other(world) -> None:
    """One impossible row (no amount) among good ones: they commit, it fails, without its text."""
    node = world.node("a")
    bad = node.commit(write("bad", amount_fen=-5, patient="secret name"))

    results = world.run_all([*[node.commit(write(f"k{n}")) for n in range(20)], bad])

    assert [one.committed for one in results[:-1]] == [True] * 20
    assert isinstance(results[-1], Failure)
    assert isinstance(results[-1].value, WriteRejected)
    assert "secret" not in str(results[-1].value)


def test_I4_a_batch_is_one_commit(world) -> None:
    """Group commit: 200 writes at once take a few db_transactions, not 200."""
    node = world.node("a")

    world.run_all([node.commit(write(f"k{n}")) for n in range(200)])

    ((commits,),) = world.sql("SELECT count(DISTINCT xmin::text) FROM payment")
    assert commits <= 20


# ---- the queue is bounded (I11) ------------------------------------------------------------------


@contextmanager
def held_row(world, key: str) -> Iterator[None]:
    """A stranger's lock on one payment: the writer stands still in front of it."""
    conn = psycopg2.connect(world.dsn)
    try:
        with conn.cursor() as cursor:
            cursor.execute("SELECT FROM payment WHERE key = %s FOR UPDATE", (key,))
        yield
    finally:
        conn.close()


def writer_waits(world) -> bool:
    """The writer's session stands in front of a lock."""
    return bool(
        world.sql(
            "SELECT 1 FROM pg_stat_activity WHERE application_name = 'yyt a writer'"
            " AND wait_event_type = 'Lock' AND datname = current_database()"
        )
    )


def test_I11_a_full_queue_refuses_new_payments_only(world) -> None:
    """Above the limit: JournalDown at once for a birth; a later version is still taken."""
    node = world.node("a", queue_limit=5)
    world.run(node.commit(write("k")))
    with held_row(world, "k"):
        first = Deferred.fromCoroutine(node.commit(write("k", 2)))
        until(lambda: writer_waits(world), "the writer waits")
        births = [Deferred.fromCoroutine(node.commit(write(f"n{n}"))) for n in range(5)]
        with pytest.raises(JournalDown, match="full"):
            world.run(node.commit(write("one too many")))
        later = Deferred.fromCoroutine(node.commit(write("k", 3)))

    results = world.run_all([first, *births, later])
    assert [one.committed for one in results] == [True] * 7


# ---- the result of a commit is unknown (K19) -----------------------------------------------------


def kill_writer(world) -> None:
    """The server ends the writer's session, as an operator or a crash of one backend would."""
    world.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'yyt a writer' AND datname = current_database()"
    )


def test_K19_session_killed_before_its_commit(world) -> None:
    """Nothing was committed: the later version goes again by itself and is there once."""
    node = world.node("a")
    world.run(node.commit(write("k")))
    with held_row(world, "k"):
        pending = Deferred.fromCoroutine(node.commit(write("k", 2)))
        until(lambda: writer_waits(world), "the writer waits")
        kill_writer(world)

    assert world.run(pending).committed
    assert world.sql("SELECT count(*) FROM payment_event WHERE key = 'k'") == [(2,)]


def test_K19_a_birth_that_was_not_committed_is_journal_down(world) -> None:
    """Nothing of it is in the journal and nothing may be sent; afterwards births work again."""
    node = world.node("a")
    blocker = psycopg2.connect(world.dsn)
    blocker.cursor().execute(
        "INSERT INTO payment"
        " SELECT 'k','','','','','',1,'','','',NULL,1,0,'',0,0,now(),false,0,'{}'"
    )
    pending = Deferred.fromCoroutine(node.commit(write("k")))
    until(lambda: writer_waits(world), "the writer waits")

    kill_writer(world)
    with pytest.raises(JournalDown):
        world.run(pending)

    blocker.rollback()
    blocker.close()
    assert world.run(node.load("k")) is None
    assert world.run(node.commit(write("k"))).committed


class CuttingProxy:
    """Stands before the server; :meth:`cut_next` swallows the answer to the next journal_apply
    and cuts the line: the commit happened and nobody was told."""

    def __init__(self, dsn: str) -> None:
        self._target = str(Path(parse_dsn(dsn)["host"]) / ".s.PGSQL.5432")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.dsn = f"{dsn} host=127.0.0.1 port={self._listener.getsockname()[1]}"
        self._armed = threading.Event()
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_next(self) -> None:
        self._armed.set()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(self._target)
            state = {"cutting": False}
            back = threading.Thread(target=self._back, args=(client, server, state), daemon=True)
            back.start()
            while chunk := self._read(client):
                if self._armed.is_set() and b"journal_apply" in chunk:
                    self._armed.clear()
                    state["cutting"] = True
                server.sendall(chunk)
            server.shutdown(socket.SHUT_WR)
            back.join()

    def _back(self, client: socket.socket, server: socket.socket, state: dict) -> None:
        while chunk := self._read(server):
            if state["cutting"]:
                self.cuts += 1
                client.shutdown(socket.SHUT_RDWR)
                return
            client.sendall(chunk)

    @staticmethod
    def _read(sock: socket.socket) -> bytes:
        try:
            return sock.recv(1 << 20)
        except OSError:
            return b""


def test_K19_committed_but_the_line_was_cut(world) -> None:
    """A birth, a later version, a late answer and an identity, each with its answer lost: found
    committed, applied once, and the journal goes on."""
    proxy = CuttingProxy(world.dsn)
    node = world.node("a", proxy.dsn)

    proxy.cut_next()
    birth = world.run(node.commit(write("k")))
    proxy.cut_next()
    second = world.run(node.commit(write("k", 2, (identity(1),))))
    proxy.cut_next()
    world.run(node.record_late("k", b"{}"))
    third = world.run(node.commit(write("k", 3)))

    assert [one.committed for one in (birth, second, third)] == [True] * 3
    assert proxy.cuts == 3
    assert world.sql("SELECT version FROM payment_event ORDER BY 1") == [(1,), (2,), (3,)]
    assert world.sql("SELECT count(*) FROM late_reply") == [(1,)]
    proxy.close()


def test_K19_a_cut_batch_of_64_loses_and_doubles_nothing(world) -> None:
    """Births and later versions in flight together while the line is cut again and again."""
    proxy = CuttingProxy(world.dsn)
    node = world.node("a", proxy.dsn)
    told: dict[str, int] = {}

    async def drive(key: str) -> None:
        for version in range(1, 6):
            if version == 2 and key.endswith("0"):
                proxy.cut_next()
            try:
                result = await node.commit(write(key, version))
            except JournalDown:
                return
            assert result.committed
            told[key] = version

    world.run_all([drive(f"k{n}") for n in range(64)])

    assert proxy.cuts >= 1
    kept = dict(world.sql("SELECT key, version FROM payment"))
    assert kept == told
    assert world.sql("SELECT count(*) FROM payment_event") == [(sum(told.values()),)]
    proxy.close()


# ---- the server dies -----------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGKILL], ids=["immediate", "kill -9"])
def test_I4_what_was_told_survives_the_servers_death(how: signal.Signals) -> None:
    """Writes in full flow, the server dies and returns: everything told is there, later versions
    finish by themselves, births meanwhile are refused, not queued for ever."""
    with temporary_postgres() as server:
        world = worlds.PostgresWorld(server.dsn)
        node = world.node("a")
        told: dict[str, int] = {}
        killer = _DeathAndReturn(server, how)

        async def drive(key: str) -> None:
            for version in range(1, 200):
                if version == 20 and key == "k0":
                    killer.start()
                if version == 60:
                    assert killer.struck.wait(PATIENCE_S)  # a disk may be quicker than a thread
                result = await node.commit(write(key, version))
                assert result.committed
                told[key] = version

        world.run_all([drive(f"k{n}") for n in range(16)])

        assert told == {f"k{n}": 199 for n in range(16)}
        assert dict(world.sql("SELECT key, version FROM payment")) == told
        assert world.run(node.commit(write("after"))).committed
        world.close()
        killer.finish()


class _DeathAndReturn(threading.Thread):
    """Lives until :meth:`finish`: the server stops when the thread that started it ends."""

    def __init__(self, server: TemporaryPostgres, how: int) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._how = how
        self.struck = threading.Event()
        self._finished = threading.Event()

    def run(self) -> None:
        self._server.signal(self._how)
        self.struck.set()
        self._server.start()
        self._finished.wait()

    def finish(self) -> None:
        self._finished.set()
        self.join(PATIENCE_S)


def test_a_birth_while_the_server_is_away_is_refused_at_once() -> None:
    """JournalDown, and after the return everything works without a restart of the node."""
    with temporary_postgres() as server:
        world = worlds.PostgresWorld(server.dsn)
        node = world.node("a")
        server.signal(signal.SIGQUIT)

        for _ in range(3):
            with pytest.raises(JournalDown):
                world.run(node.commit(write("k")))
        with pytest.raises(JournalDown):
            world.run(node.load("k"))

        server.start()
        until(lambda: _commits(world, node, "k"), "births work again")
        world.close()


def _commits(world, node, key: str) -> bool:
    try:
        return world.run(node.commit(write(key))).committed
    except JournalDown:
        return False


# ---- one process per name, one driver per payment (I13) ------------------------------------------


def test_I13_a_second_process_of_the_same_name_is_refused(world) -> None:
    """While the first one's session lives."""
    world.node("a")

    with pytest.raises(StartRefused, match="I13: another process runs as node a"):
        world.node("a", connect_timeout_ms=200)


def test_I13_a_superseded_process_writes_nothing_more(world) -> None:
    """Its name has a newer epoch: later versions lose, births are refused, the lease is gone."""
    node = world.node("a")
    world.run(node.commit(write("k")))
    world.sql("UPDATE node SET epoch = nextval('epoch')")

    lost = world.run(node.commit(write("k", 2)))

    assert (lost.committed, lost.reason, node.lease_left_ms()) == (False, "fence", 0)
    with pytest.raises(JournalDown):
        world.run(node.commit(write("k2")))


def test_I13_the_heartbeat_keeps_the_lease_and_a_clean_stop_gives_it_back(world) -> None:
    """A short lease renewed many times; after close() others take over at once."""
    node, other = world.node("a", lease_ms=900, lease_renew_ms=50), world.node("b")
    world.run(node.commit(write("k")))
    began = time.monotonic()
    until(lambda: time.monotonic() - began > 1.0, "a second passes")
    assert node.lease_left_ms() > 0
    assert world.run(other.unfinished(1)) == []

    world.run(node.close())

    assert [one.key for one in world.run(other.unfinished(1))] == ["k"]


def test_I13_a_restart_on_the_same_machine_takes_its_payments_at_once(world) -> None:
    """kill -9 and start again: the old process is known to be dead, its lease need not run out;
    a predecessor that may live elsewhere is waited for."""
    _die(world.dsn, "committed, not told", "k")
    assert [one.key for one in world.run(world.node("a").unfinished(9))] == ["k"]

    _die(world.dsn, "committed, not told", "k2", node="elsewhere")
    world.sql("UPDATE node SET process = 'other boot/ns/1/1' WHERE name = 'elsewhere'")
    assert world.run(world.node("elsewhere").unfinished(9)) == []


# ---- the process dies ----------------------------------------------------------------------------


def _die(dsn: str, point: str, key: str, node: str = "a") -> None:
    """A process of its own commits one payment and kills itself at a crash point."""
    program = textwrap.dedent("""
        import sys
        sys.path.insert(0, sys.argv[1])
        import store_worlds as worlds
        world = worlds.PostgresWorld(sys.argv[2])
        world.run(world.node(sys.argv[4]).commit(worlds.write(sys.argv[3])))
    """)
    command = [sys.executable, "-c", program, str(Path(__file__).parent), dsn, key, node]
    ended = subprocess.run(
        command, env={**os.environ, "CRASH_AT": point}, capture_output=True, check=False, timeout=60
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr


@pytest.mark.parametrize(
    ("point", "kept"), [("before commit", False), ("committed, not told", True)]
)
def test_I4_crash_around_the_commit(world, point: str, kept: bool) -> None:
    """Killed before: nothing is there. Killed after: it is there, though nobody was told."""
    _die(world.dsn, point, "k")

    assert (world.run(world.node("b").load("k")) is not None) is kept


# ---- settings ------------------------------------------------------------------------------------


def test_I12_a_password_in_the_configuration_is_refused(tmp_path: Path) -> None:
    """Only by reference; and what is shown has no password."""
    secret = tmp_path / "dsn"
    secret.write_text("host=h password=hunter2\n")

    with pytest.raises(StartRefused, match="I12"):
        resolve_dsn("host=h password=hunter2")
    with pytest.raises(StartRefused, match="not a valid") as caught:
        resolve_dsn("hunter2 is not a dsn")
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in masked_dsn(resolve_dsn(f"file:{secret}"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "x"}, "exactly one of dsn and data"),
        ({"dsn": ""}, "exactly one of dsn and data"),
        ({"queue_limit": 0}, "queue_limit must be greater than 0"),
        ({"lease_renew_ms": 10_001}, "at most a third"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict, message: str) -> None:
    """In words, before anything is opened."""
    with pytest.raises(ValueError, match=message):
        journal_settings(**({"dsn": "dbname=x"} | changes))
    assert JournalSettings.__struct_config__.forbid_unknown_fields


def test_payments_behind_a_door_are_found_by_their_index(world: worlds.PostgresWorld) -> None:
    """A batch's totals never read the whole table, however many kiosks have paid."""
    world.run(world.node("a").of_terminal("pos/m/t", "pos/m/t/", 1))

    plan = world.sql(
        "SET enable_seqscan = off; EXPLAIN " + _OF_TERMINAL, "pos/m/t", "pos/m/t/", "pos/m/t0", 10
    )

    assert "payment_of_door" in str(plan)
    assert "terminal = " in str(plan)
    assert "~>=~" in str(plan)


def test_I15_a_settlement_cannot_be_deleted(dsn: str) -> None:
    """What was settled stays on record."""
    world = worlds.PostgresWorld(dsn)
    node = world.node("a")
    world.run(node.numbers.reserve(worlds.TERMINAL, 1))
    world.run(node.batches.order(worlds.TERMINAL, "", 1))
    with pytest.raises(psycopg2.Error, match="I15"):
        world.sql("DELETE FROM settlement")
    world.close()
