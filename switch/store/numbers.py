"""STANs, batches and working keys of logical terminals (rules 15 and 16), in the database."""

from msgspec.structs import astuple
from psycopg2.extensions import connection

from switch.ports import LogicalTerminal, StanBlock, WorkingKeys
from switch.store.errors import WriteRejected
from switch.store.reader import Reader

STAN_MAX = 999_999
_KEY_FIELDS = WorkingKeys.__struct_fields__
_KEY_COLUMNS = ", ".join(_KEY_FIELDS).replace("generation", "key_generation")
_OF_TERMINAL = "WHERE (bank, merchant, terminal) = (%s, %s, %s)"


def stan_block(batch: str, first: int, last: int) -> StanBlock:
    """A block as the database gives it."""
    return StanBlock(batch=batch, first=first, last=last)


_UPDATE_KEYS = (
    f"UPDATE logical_terminal SET ({_KEY_COLUMNS})"  # noqa: S608 - constants
    f" = ({', '.join(['%s'] * len(_KEY_FIELDS))})"
    f" {_OF_TERMINAL} AND key_generation = %s"
)


class PostgresNumbers:
    """``ports.Numbers``. JournalDown when the database is away; a block given but not received is
    lost, which costs numbers and nothing else."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def reserve(self, terminal: LogicalTerminal, count: int) -> StanBlock:
        """1 … ``count`` numbers: fewer where the counter reaches 999999 and starts again."""
        if not 1 <= count <= STAN_MAX:
            raise WriteRejected(f"{count} STANs asked for: 1 to {STAN_MAX} can be given")

        def work(conn: connection) -> StanBlock:
            with conn.cursor() as cursor:
                cursor.execute(
                    "SELECT batch, first, last FROM reserve_stans(%s, %s, %s, %s)",
                    (*_triple(terminal), count),
                )
                return stan_block(*(cursor.fetchone() or ("", 0, -1)))

        return await self._reader.submit(work)

    async def open_batch(self, terminal: LogicalTerminal) -> str:
        """The terminal's batch; "" for one that has no row yet."""

        def work(conn: connection) -> str:
            with conn.cursor() as cursor:
                cursor.execute(
                    f"SELECT batch FROM logical_terminal {_OF_TERMINAL}",  # noqa: S608 - constants
                    _triple(terminal),
                )
                (batch,) = cursor.fetchone() or ("",)
                return str(batch)

        return await self._reader.submit(work)

    async def adopt_batch(self, terminal: LogicalTerminal, batch: str) -> None:
        """The terminal's batch from now on; its STANs go on where they were (I5, I8)."""

        def work(conn: connection) -> None:
            with conn.cursor() as cursor:
                cursor.execute("SELECT stan_counter(%s, %s, %s, %s)", (*_triple(terminal), batch))

        await self._reader.submit(work)


class PostgresKeys:
    """``ports.Keys``. The keys are under the HSM's LMK; JournalDown when the database is away."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def load(self, terminal: LogicalTerminal) -> WorkingKeys | None:
        """The newest generation, None before the first sign-on."""

        def work(conn: connection) -> WorkingKeys | None:
            return _load_keys(conn, terminal)

        return await self._reader.submit(work)

    async def install(self, terminal: LogicalTerminal, keys: WorkingKeys) -> bool:
        """Compare-and-set: generation ``keys.generation - 1`` must be the newest."""

        def work(conn: connection) -> bool:
            with conn.cursor() as cursor:
                cursor.execute(
                    "INSERT INTO logical_terminal (bank, merchant, terminal)"
                    " VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                    _triple(terminal),
                )
                cursor.execute(
                    _UPDATE_KEYS,
                    (*astuple(keys), *_triple(terminal), keys.generation - 1),
                )
                if cursor.rowcount == 1:
                    return True
            # K19: our own attempt before a lost connection counts as installed.
            return _load_keys(conn, terminal) == keys

        return await self._reader.submit(work)


def _load_keys(conn: connection, terminal: LogicalTerminal) -> WorkingKeys | None:
    with conn.cursor() as cursor:
        cursor.execute(
            f"SELECT {_KEY_COLUMNS} FROM logical_terminal {_OF_TERMINAL} AND key_generation > 0",  # noqa: S608 - constants
            _triple(terminal),
        )
        row = cursor.fetchone()
    return WorkingKeys(**dict(zip(_KEY_FIELDS, row, strict=True))) if row is not None else None


def _triple(terminal: LogicalTerminal) -> tuple[str, str, str]:
    return (terminal.bank, terminal.merchant, terminal.terminal)
