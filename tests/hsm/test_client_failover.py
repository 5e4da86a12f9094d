"""Two real daemons, one real client: a killed and a stopped daemon cost no command."""

import json
import subprocess
import sys

from hsm.bench.own_daemon import OwnDaemon

# A process of its own, because a reactor runs but once: MACs without a break; told on stdin to go
# on, it says after each round how the commands ended and how the services stand.
CLIENT = """
import json, sys
import msgspec
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread
from hsm.client import HsmClient
from hsm.client.connector import connector
from switch.ports import KeyServiceError
from switch.timeline import ReactorTimeline
from tests.hsm.client_world import CONFIG, MAC, MAK, TEXT

config = msgspec.structs.replace(
    CONFIG, addresses=tuple(sys.argv[1:]), connections=2, in_flight_limit=64, waiting_limit=256,
    timeout_ms=10_000, silence_ms=200,
)
timeline = ReactorTimeline(reactor, reactor.seconds, lambda: 1_700_000_000)
client = HsmClient(
    "hsm", config, timeline, connector(reactor, config), random=lambda: 0.5, entropy=bytes
)

async def worker(ended):
    for _ in range(50):
        try:
            right = await client.make_mac(MAK, TEXT) == MAC
            ended["right" if right else "wrong"] = ended.get("right" if right else "wrong", 0) + 1
        except KeyServiceError as error:
            ended[error.code] = ended.get(error.code, 0) + 1

async def rounds():
    while True:
        word = (await deferToThread(sys.stdin.readline)).strip()
        if not word:
            reactor.stop()
            return
        ended = {}
        await gatherResults([Deferred.fromCoroutine(worker(ended)) for _ in range(8)])
        print(json.dumps({"ended": ended, "health": list(client.health().values())}), flush=True)

client.start()
reactor.callWhenRunning(lambda: Deferred.fromCoroutine(rounds()))
reactor.run()
"""


class Client:
    """The client's process."""

    def __init__(self, *daemons: OwnDaemon) -> None:
        command = [sys.executable, "-c", CLIENT, *(str(daemon.address) for daemon in daemons)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def round(self) -> tuple[dict[str, int], list[str]]:
        """400 commands; how they ended, and the services' states."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            told = json.loads(line) if line.startswith('{"ended"') else None
            if told is not None:
                return told["ended"], told["health"]
        raise AssertionError("the client ended")


def test_a_stopped_and_a_killed_daemon_cost_no_command() -> None:
    """One daemon stops in the middle of its work and answers nothing (time-outs are ten seconds:
    only the missing sign of life can help), then goes on; the other one is killed."""
    with OwnDaemon() as one, OwnDaemon() as two:
        client = Client(one, two)
        try:
            assert client.round()[0] == {"right": 400}
            one.signal("STOP")
            ended, health = client.round()
            assert ended == {"right": 400}
            assert health == ["silent", "up"]
            one.signal("CONT")
            while client.round()[1] != ["up", "up"]:
                pass
            two.signal("KILL")
            ended, health = client.round()
            assert ended == {"right": 400}
            assert health[0] == "up"
            assert health[1] != "up"
        finally:
            client.process.kill()
            client.process.communicate()
