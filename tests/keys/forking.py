"""``yyt`` without its second of importing: a process that has imported everything forks for each
command.

A command is a process of its own all the same, with its own arguments, environment, standard
streams, reactor and exit code. That it imports what it needs is shown by those that tests start the
ordinary way.

``python forking.py`` takes orders on stdin, a line of JSON each, and answers with the exit code.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RUN_S = 60
"""A command that takes longer is ended by SIGALRM."""

STREAMS = ("stdin", "stdout", "stderr")
GROUPS = ("yyt.channels", "yyt.his", "yyt.hsm", "yyt.fronts")
MODULES = ("switch.cli", "switch.keys.cli", "switch.keys.tools", "twisted.internet.epollreactor")


class Forking:
    """Runs one command at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            cwd=ROOT,
        )  # fmt: skip

    def run(
        self, command: Sequence[str], stdin: str, env: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """``yyt COMMAND`` to its end, in exactly this environment."""
        orders, answers = self._process.stdin, self._process.stdout
        assert orders is not None
        assert answers is not None
        with tempfile.TemporaryDirectory(prefix="yyt-") as folder:
            paths = [Path(folder) / name for name in STREAMS]
            paths[0].write_text(stdin, "utf-8")
            order = {"command": command, "env": dict(env), "streams": [str(path) for path in paths]}
            orders.write(json.dumps(order) + "\n")
            orders.flush()
            code = int(answers.readline())
            out, err = (path.read_text("utf-8") for path in paths[1:])
        return subprocess.CompletedProcess(list(command), code, out, err)

    def close(self) -> None:
        """No more orders."""
        self._process.communicate(timeout=RUN_S)


def serve() -> int:
    """Fork for each order; the exit code of whoever returns, which is a child as well."""
    for group in GROUPS:
        for entry in entry_points(group=group):
            entry.load()
    for module in MODULES:
        import_module(module)
    assert threading.active_count() == 1, "a fork takes one thread along"
    assert "twisted.internet.reactor" not in sys.modules, "each command needs a reactor of its own"
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            return become(order)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201
    return 0


def become(order: Any) -> int:
    """This process is the command now."""
    signal.alarm(RUN_S)
    for number, path in enumerate(order["streams"]):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT if number else os.O_RDONLY, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
    os.environ.clear()
    os.environ.update(order["env"])
    code: int = import_module("switch.cli").main(order["command"])
    return code


if __name__ == "__main__":
    sys.exit(serve())
