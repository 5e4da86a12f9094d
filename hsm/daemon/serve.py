"""Put the daemon together and run it."""

import os
import secrets
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.error import CannotListenError

from hsm import primitives, selftest
from hsm.address import Address
from hsm.commands import Service
from hsm.daemon import logs, metrics
from hsm.daemon.hardening import harden
from hsm.daemon.protocol import HostFactory, Limits
from hsm.lmk import Lmk
from hsm.policy import Policy
from hsm.processor import Processor
from hsm.slots import Slots
from hsm.texts import say

GOODBYE_S = 2.0
"""How long a stopping daemon lets its last answers go out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What ``yyt hsm serve`` was told."""

    listen: Address
    lmks: Mapping[str, Lmk]
    policy: Policy
    limits: Limits
    metrics_port: int | None
    uids: frozenset[int]


class CannotServeError(Exception):
    """The daemon could not begin; the text is a sentence for the operator."""


def serve(options: Options, reactor: Any) -> None:
    """Serve until SIGTERM or an interrupt. Raises CannotServeError."""
    hardened = harden()
    logs.configure()
    log = logs.get_logger()
    failed = selftest.failures(secrets.token_bytes)
    if failed:
        raise CannotServeError(say("selftest", ", ".join(failed)))

    def fault(command: str, error: Exception) -> None:
        # I12: where it happened, not what it said: the text may hold key material.
        place = traceback.extract_tb(error.__traceback__)[-1]
        at = f"{os.path.basename(place.filename)}:{place.lineno}"
        log.error("fault", command=command, error=type(error).__name__, at=at)

    service = Service(Slots(options.lmks), options.policy, secrets.token_bytes)
    processor = Processor(service, fault)
    factory = HostFactory(processor, options.limits, options.uids, reactor, log)
    try:
        port = _listen(options.listen, factory, reactor)
        side = None
        if options.metrics_port is not None:
            side = metrics.listen(reactor, options.metrics_port)
    except CannotListenError as error:
        what = f"{options.listen} ({error.socketError})"
        raise CannotServeError(say("cannot_listen", what)) from None
    reactor.addSystemEventTrigger(
        "before", "shutdown", _stop, reactor, port, factory, service.slots
    )
    reactor.callWhenRunning(_ready, options, port, side, hardened, log)
    reactor.run()
    log.info("stopped")


def _listen(address: Address, factory: HostFactory, reactor: Any) -> Any:
    if address.path:
        # wantPID: a lock beside the file, so that one left by a killed daemon is replaced.
        return reactor.listenUNIX(address.path, factory, mode=0o660, wantPID=True)
    return reactor.listenTCP(address.port, factory, backlog=128, interface=address.host)


def _ready(options: Options, port: Any, side: Any, hardened: dict[str, str], log: Any) -> None:
    address = options.listen
    if not address.path:
        address = address._replace(port=port.getHost().port)
    log.info(
        "ready",
        address=str(address),
        pid=os.getpid(),
        metrics_address=f"http://127.0.0.1:{side.getHost().port}/metrics" if side else "",
        lmks={slot: _told(lmk) for slot, lmk in options.lmks.items()},
        hardening=hardened,
    )


def _told(lmk: Lmk) -> dict[str, str]:
    status = "test" if lmk.test else "live"
    return {"scheme": lmk.scheme, "status": status, "check_value": lmk.check_value}


def _stop(reactor: Any, port: Any, factory: HostFactory, slots: Slots) -> Deferred[Any]:
    """No new connections, the last answers out, keys forgotten."""
    late = reactor.callLater(GOODBYE_S, factory.abort)
    done = DeferredList([maybeDeferred(port.stopListening), factory.close()])

    def clean(result: object) -> object:
        if late.active():
            late.cancel()
        slots.clear()
        primitives.forget()
        return result

    return done.addCallback(clean)
