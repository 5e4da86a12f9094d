"""A node's key work without its banks: ``payer.py CONFIG`` pays until a line comes on stdin."""

import json
import sys

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from hsm.client import plugin
from hsm.testing import wrap_test_key
from switch.keys.ring import StoredKeyRing
from switch.model.secret import Secret
from switch.observe import logs
from switch.ports import KeyServiceError
from switch.settings import load
from switch.store import open_journal
from switch.timeline import ReactorTimeline

PIK = wrap_test_key("001", "CA5D92598DCA48CE8A4C76361A9269E9")
MAK = wrap_test_key("003", "C24A8FB57AA20123")
PAN, ACCOUNT = "6225880987654321", "588098765432"
ROUND_S = 0.005


class Payer:
    """Does what payments ask of the key service, again and again."""

    def __init__(self, service) -> None:
        self.service = service
        self.rounds = {"before": 0, "after": 0}
        self.failed: list[str] = []

    async def pay(self) -> None:
        """One payment's commands, all with texts of before the rotation."""
        service = self.service
        try:
            await service.translate_pin("key:pad", PIK, Secret("0123456789ABCDEF"), Secret(ACCOUNT))
        except KeyServiceError as error:
            if error.code not in ("20", "24"):  # no real PIN block: deciphered, then looked at
                self.failed.append(str(error))
        try:
            mac = await service.make_mac(MAK, b"4D08F434464FE7BF")
            if not await service.check_mac(MAK, b"4D08F434464FE7BF", mac):
                self.failed.append("MAC")
            pan = await service.reveal(await service.protect(Secret(PAN)))
            if pan.reveal() != PAN:
                self.failed.append("PAN")
        except KeyServiceError as error:
            self.failed.append(str(error))


async def main(config: str) -> None:
    """Start as the switch does, pay, tell."""
    settings = load(config)
    timeline = ReactorTimeline(reactor)
    ring = StoredKeyRing(timeline)
    service = plugin.build("hsm", settings.hsm.settings, timeline, reactor, lambda: 0.5, ring=ring)
    service.start()
    journal = await open_journal(settings.journal, reactor, timeline, "payer")
    await ring.start(journal.key_source)
    payer = Payer(service)
    old = await service.protect(Secret(PAN))
    await payer.pay()
    print("paying", flush=True)  # noqa: T201
    enough = []
    reactor.callInThread(lambda: enough.append(sys.stdin.readline()))
    while not enough:
        await payer.pay()
        moved = ring.resolve(MAK) != MAK
        payer.rounds["after" if moved else "before"] += 1
        await deferLater(reactor, ROUND_S)
    told = {f"rounds_{when}": number for when, number in payer.rounds.items()}
    told |= {"failed": payer.failed[:5], "old_pan": (await service.reveal(old)).reveal()}
    print(json.dumps(told), flush=True)  # noqa: T201
    ring.stop()
    await journal.close()
    await service.stop()
    reactor.stop()


def begin() -> None:
    """Quiet logs, then the reactor."""
    from pathlib import Path

    logs.configure("error", sys.stderr.buffer)
    running = Deferred.fromCoroutine(main(Path(sys.argv[1])))
    running.addErrback(lambda failure: (failure.printTraceback(), reactor.stop()))


reactor.callWhenRunning(begin)
reactor.run()
