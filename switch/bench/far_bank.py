"""The second bank of ``yyt bench bank``: it can be told to take everything and say nothing."""

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from switch.bench import counter_stage
from switch.demo import programs, stage
from switch.demo.processes import Program

SALES_PER_S = 50
"""Sold with its cards while it says nothing: its places are full at once."""
HTTP_TIMEOUT_S = 60


class FarBank:
    """Its simulator, its counters, its habits."""

    def __init__(self, setting: stage.Stage) -> None:
        self.port = counter_stage.free_port()
        self._http_port = counter_stage.free_port()
        self._setting = setting

    def program(self) -> Program:
        """The process."""
        name, setting = counter_stage.FAR_BANK, self._setting
        return Program(
            name=name,
            argv=stage.command(
                "bank", "simulate",
                "--listen", f"127.0.0.1:{self.port}",
                "--http", str(self._http_port),
                "--keys", str(setting.outside / f"{name}.yaml"),
                "--ledger", str(setting.folder / f"{name}.db"),
            ),
            addresses=lambda: {"http": f"http://127.0.0.1:{self._http_port}"},
            ready=programs.listens(self._http_port),
        )  # fmt: skip

    @contextmanager
    def silent(self, door: int, seconds: int) -> Iterator[None]:
        """It loses all it is sent while its own counters sell; afterwards it is itself again."""
        lost = [{"habit": "lose", "on": kind, "permille": 1_000} for kind in ("sale", "reversal")]
        self._tell({"chances": lost})
        counter = self._setting.folder / f"{counter_stage.FAR_BANK}-counter.yaml"
        selling = subprocess.Popen(  # noqa: S603 - our own program
            stage.command(
                "pos", "load", "--connect", f"127.0.0.1:{door}", "--counter", str(counter),
                "--rate", str(SALES_PER_S), "--seconds", str(seconds),
            ),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield
        finally:
            selling.terminate()
            selling.wait()
            self._tell({"clear": True, "chances": []})

    def net_fen(self) -> int:
        """What stands in its book."""
        return net_fen_of(self._http_port)

    def _tell(self, order: dict[str, Any]) -> None:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._http_port}/habits",
            data=json.dumps(order).encode(),
            headers={"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=HTTP_TIMEOUT_S).close()  # noqa: S310 - our own loopback


def net_fen_of(http_port: int) -> int:
    """What stands in a bank simulator's book."""
    url = f"http://127.0.0.1:{http_port}/ledger"
    with urllib.request.urlopen(url, timeout=HTTP_TIMEOUT_S) as answer:
        net_fen: int = json.load(answer)["net_fen"]
    return net_fen
