"""The measuring rod: how many payments a second pgbench commits on the same server.

A "payment" here is what the journal commits for one: an insert and three updates of a row with
its state, each with one row of history, each a durable commit of its own.
"""

import re
import subprocess
from pathlib import Path

from switch.store.embedded import binaries
from switch.store.yardstick import make_bench_tables

CLIENTS = 64
STATE_BYTES = 2_500
"""About what a payment's state takes in the journal."""

_STATE = '\'{"state":"' + "x" * STATE_BYTES + "\"}'"
_EVENT = "'" + '{"event":"' + "x" * 300 + '"}' + "'"


def _script() -> str:
    def step(version: int, change: str) -> str:
        history = f"INSERT INTO bench_event VALUES (:key, {version}, {_EVENT})"  # noqa: S608 - constants
        return f"BEGIN;\n{change};\n{history};\nCOMMIT;\n"

    first = step(1, f"INSERT INTO bench_payment VALUES (:key, 1, {_STATE})")  # noqa: S608 - constants
    update = "UPDATE bench_payment SET version = {0}, state = {1} WHERE key = :key"
    later = [step(n, update.format(n, _STATE)) for n in (2, 3, 4)]
    return "\\set key random(1, 9000000000000000)\n" + first + "".join(later)


def payments_per_s(dsn: str, folder: Path, seconds: int) -> int:
    """Run pgbench for ``seconds``. Raises CalledProcessError."""
    make_bench_tables(dsn)
    script = folder / "pgbench.sql"
    script.write_text(_script(), encoding="ascii")
    done = subprocess.run(  # noqa: S603 - the package's own program
        [
            str(binaries() / "pgbench"), "--no-vacuum", "--jobs=1", f"--client={CLIENTS // 2}",
            f"--time={seconds}", f"--file={script}", dsn,
        ],
        check=True, capture_output=True, text=True, timeout=seconds + 60,
    )  # fmt: skip
    found = re.search(r"tps = ([0-9]+)", done.stdout)
    assert found is not None, "pgbench prints its rate"
    return int(found.group(1))
