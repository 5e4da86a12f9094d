"""A process with a TLS server and one POST of the HIS client to it; prints the end."""

import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor as process_reactor
from twisted.internet.protocol import Factory
from twisted.internet.ssl import PrivateCertificate
from twisted.protocols.tls import TLSMemoryBIOFactory

from his_bridge.http import HttpPool, Target
from switch.timeline import ReactorTimeline
from tests.his.rig import Canned, http_answer

reactor: Any = process_reactor


def main(served: str, ca_file: str) -> None:
    """Serve with ``served`` (PEM, key and certificate), trust ``ca_file``."""
    answers: list[bytes | None] = [http_answer(b"ok")]
    plain = Factory.forProtocol(lambda: Canned(answers, []))
    options = PrivateCertificate.loadPEM(Path(served).read_bytes()).options()
    port = reactor.listenTCP(0, TLSMemoryBIOFactory(options, False, plain), interface="127.0.0.1")
    target = Target(
        host="127.0.0.1",
        port=port.getHost().port,
        tls=True,
        ca_file=ca_file,
        connections=1,
        inquiries_limit=1,
        connect_timeout_ms=5_000,
        idle_ms=1_000,
        queue_limit=1,
        queue_wait_ms=1_000,
        head_limit_bytes=1_000,
        body_limit_bytes=1_000,
    )
    pool = HttpPool(reactor, ReactorTimeline(reactor), target)

    def end(result: object) -> None:
        sys.stdout.write(f"{result!r}\n")
        reactor.callLater(0, reactor.stop)

    data = b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
    pool.post(data, timeout_ms=5_000, money=True).addBoth(end)
    reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
