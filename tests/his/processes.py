"""Real processes of the hospital's tests: the simulator, and a client that books one bill."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from his_bridge.profile import FunctionName
from his_bridge.profile_file import load_profile
from his_bridge.template import Template
from switch.model.hospital import Confirm
from switch.model.payment import LegKind
from switch.timeline import ReactorTimeline
from tests.his.rig import MemoryNet, World, order_for


class Process:
    """The simulator as a real process."""

    def __init__(self, ledger: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "switch.cli", "his", "simulate", "--listen", "127.0.0.1:0",
             "--http", "0", "--ledger", str(ledger)],
            stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self.process.stdout is not None
        line = json.loads(self.process.stdout.readline())
        assert line["event"] == "ready"
        assert line["pid"] == self.process.pid
        self.soap, self.http = line["addresses"]["soap"], line["addresses"]["http"]

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://{self.http}{path}", timeout=10) as answer:
            return json.load(answer)

    def post(self, address: str, body: bytes) -> bytes:
        request = urllib.request.Request(f"http://{address}", data=body, method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            read: bytes = answer.read()
            return read

    def confirm(self, key: str, bill: dict[str, Any]) -> bytes:
        template = Template(load_profile("demo-h1"), FunctionName.CONFIRM, {"operator": "1"})
        asked = Confirm(
            idem=key,
            patient_id=bill["patient"],
            bill_id=bill["bill"],
            amount_fen=bill["amount_fen"],
        )
        return self.post(f"{self.soap}/his", template.render(asked))

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


def book_one(soap: str, bill: dict[str, Any]) -> None:
    """The client's process: one confirm over a real socket; prints the outcome."""
    from twisted.internet import reactor

    world = World(MemoryNet())
    world.reactor = reactor  # type: ignore[assignment]
    world.timeline = ReactorTimeline(reactor)  # type: ignore[arg-type]
    hospital = world.hospital(url=f"http://{soap}/his")
    order = order_for(
        hospital,
        LegKind.BOOK,
        bill=bill["bill"],
        patient=bill["patient"],
        amount_fen=bill["amount_fen"],
    )

    async def run() -> None:
        reply = await hospital.exchange(order, None)
        sys.stdout.write(f"{reply.outcome}\n")
        await hospital.stop()

    def stop(_end: object) -> None:
        reactor.stop()

    reactor.callWhenRunning(lambda: Deferred.fromCoroutine(run()).addBoth(stop))
    reactor.run()


if __name__ == "__main__":
    book_one(sys.argv[1], json.loads(sys.argv[2]))
