"""A door on real sockets, as a process: the real engine, the POS front, a bank that approves.

Run as ``python door_process.py``; prints one JSON line with the port. ``slow`` as an argument makes
the bank answer after that many seconds.
"""

import json
import os
import sys
from random import Random
from types import SimpleNamespace

import msgspec
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from channels.inbound import pos
from hsm.testing import LocalKeyService, local_processor
from switch.engine import Engine, Route
from switch.observe import logs
from switch.store.memory import MemoryDatabase, MemoryJournal
from switch.timeline import ReactorTimeline
from tests.inbound.rig import APPROVED, BUSINESSES, DOOR, LIMITS, POS_DOOR, ScriptedBank


class SlowBank(ScriptedBank):
    """Approves everything, in its own time."""

    def __init__(self, timeline, wait_s):
        super().__init__("icbc", timeline, {})
        self.wait_s = wait_s

    async def exchange(self, order, secrets):
        pause = Deferred()
        reactor.callLater(self.wait_s, pause.callback, None)
        await pause
        return APPROVED


def main():
    logs.configure("info")
    timeline = ReactorTimeline(reactor)
    random = Random(1)
    journal = MemoryJournal(MemoryDatabase(), timeline, "node", 600_000)
    bank = SlowBank(timeline, float(sys.argv[1]) if len(sys.argv) > 1 else 0.0)
    engine = Engine(
        journal=journal,
        timeline=timeline,
        services={"icbc": bank, "his": bank},
        hospitals={"h1": "his"},
        routes=[
            Route(hospital="h1", business=name, medium="bank_card", channel="icbc")
            for name in BUSINESSES
        ],
        limits=LIMITS,
    )
    context = SimpleNamespace(
        timeline=timeline,
        reactor=reactor,
        key_service=LocalKeyService(local_processor(os.urandom), os.urandom),
        numbers=journal.numbers,
        keys=journal.keys,
        late=SimpleNamespace(late=engine.late),
        random=random.random,
    )
    settings = {**POS_DOOR, "listen": {**DOOR["listen"], "port": 0}}
    config = msgspec.convert(settings, pos.plugin.config_schema, strict=False)
    front = pos.plugin.build("pos", config, engine, context)
    front.start()
    sys.stdout.write(json.dumps({"event": "up", **front.addresses()}) + "\n")
    sys.stdout.flush()
    reactor.run()


if __name__ == "__main__":
    main()
