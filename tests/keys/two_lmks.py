"""An HSM with two LMKs, 10 replacing 00: the daemon's processor behind a plain socket.

``python two_lmks.py [00]`` prints its port, then serves until it is stopped; with ``00`` that LMK
is destroyed already. Both LMKs are test
ones; every command is authorised, as under the published test LMK.
"""

import secrets
import sys

from twisted.internet import reactor
from twisted.internet.protocol import Factory
from twisted.protocols.basic import Int16StringReceiver

from hsm.commands import Service
from hsm.lmk import VariantLmk
from hsm.lmk_material import LmkMaterial, published_test_material
from hsm.policy import open_policy
from hsm.processor import Processor
from hsm.slots import Slots


def processor() -> Processor:
    """LMK 00 is the published one, 10 another whose pairs are those of 00 put in another order."""
    old = published_test_material()
    pairs = [old.secret[at : at + 16] for at in range(0, len(old.secret), 16)]
    new = LmkMaterial("10", "variant", True, b"".join(pairs[3:] + pairs[:3]))
    lmks = {lmk.lmk_id: VariantLmk(lmk) for lmk in (old, new) if lmk.lmk_id not in sys.argv[1:]}
    slots = Slots(lmks, {"10": "00"})
    return Processor(Service(slots, open_policy(), secrets.token_bytes))


class Host(Int16StringReceiver):
    """Answers every frame."""

    def stringReceived(self, string: bytes) -> None:
        self.sendString(self.factory.processor.answer(string).frame)


def main() -> None:
    """Serve on a port of the system's choice."""
    factory = Factory.forProtocol(Host)
    factory.processor = processor()
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    print(port.getHost().port, flush=True)  # noqa: T201
    reactor.run()


if __name__ == "__main__":
    sys.exit(main())
