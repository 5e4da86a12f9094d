"""Put the daemon together and run it."""

import os
import secrets
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.task import LoopingCall
from twisted.protocols.tls import TLSMemoryBIOFactory

from hsm import primitives, selftest
from hsm.address import Address
from hsm.audit import (
    AuditBrokenError,
    AuditDown,
    AuditInUseError,
    AuditKeyError,
    AuditLog,
    load_key,
    make_key,
)
from hsm.commands import Service
from hsm.commands.bench import Judge
from hsm.daemon import logs, metrics
from hsm.daemon.clients import Door
from hsm.daemon.hardening import harden
from hsm.daemon.house import House, Limits
from hsm.daemon.protocol import HostFactory
from hsm.lmk import Lmk
from hsm.policy import Policy
from hsm.processor import Processor
from hsm.slots import Slots
from hsm.texts import say
from hsm.tls import TlsFiles
from hsm.tls import options as tls_options

GOODBYE_S: Final = 2.0
"""How long a stopping daemon lets its last answers go out."""

_BEAT_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Listener:
    """One address, and how its clients are known."""

    address: Address
    door: Door
    tls: TlsFiles | None = None


@dataclass(frozen=True, slots=True)
class AuditPlace:
    """Where the audit log is, and under which name we write it."""

    folder: Path
    key: Path
    name: str
    make_key: bool = False
    """Make the key when it is missing: for the published test LMK only."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The daemon's inside, for whoever adds the officers' socket to it."""

    service: Service
    audit: AuditLog | None
    reactor: Any
    log: Any


class Annex:
    """What a daemon with sealed LMKs has besides; this one, of the published test LMK, nothing."""

    def open(self) -> None:
        """Listen. CannotListenError."""

    def beat(self) -> None:
        """Once a second."""

    def close(self) -> Any:
        """Stop listening; may be a Deferred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What ``yyt hsm serve`` was told."""

    listeners: tuple[Listener, ...]
    slots: Slots
    policy: Policy
    limits: Limits
    metrics_port: int | None
    audit: AuditPlace | None
    judge: Judge = field(default_factory=Judge)
    annex: Callable[[Parts], Annex] = lambda _parts: Annex()


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
    audit = _open_audit(options.audit, options.slots) if options.audit else None
    service = Service(options.slots, options.policy, secrets.token_bytes, options.judge)
    processor = Processor(service, lambda command, error: _fault(log, command, error))
    house = House(processor, options.limits, reactor, log, audit)
    annex = options.annex(Parts(service, audit, reactor, log))
    try:
        ports = [_listen(listener, house, reactor) for listener in options.listeners]
        annex.open()
        side = None
        if options.metrics_port is not None:
            side = metrics.listen(reactor, options.metrics_port, house.state)
    except CannotListenError as error:
        where = error.interface if error.port is None else f"{error.interface}:{error.port}"
        raise CannotServeError(say("cannot_listen", f"{where} ({error.socketError})")) from None
    house.start()

    def beat() -> None:
        if audit is not None:
            audit.tick(time.time_ns() // 1_000_000)
            metrics.AUDIT_DOWN.set(bool(audit.down))
        metrics.LOCKED.set(service.slots.locked)
        annex.beat()

    beating = LoopingCall(beat)
    beating.clock = reactor
    reactor.callWhenRunning(beating.start, _BEAT_S)

    def stop() -> Deferred[Any]:
        beating.stop()
        return _stop(reactor, ports, house, annex).addCallback(clean)

    def clean(result: object) -> object:
        service.slots.clear()
        primitives.forget()
        if audit is not None:
            audit.close()
        return result

    reactor.addSystemEventTrigger("before", "shutdown", stop)
    addresses = [_told_address(x, port) for x, port in zip(options.listeners, ports, strict=True)]
    facts = {
        "address": addresses[0],
        "addresses": addresses,
        "pid": os.getpid(),
        "metrics_address": f"http://127.0.0.1:{side.getHost().port}/metrics" if side else "",
        "locked": service.slots.locked,
        "lmks": told_lmks(service.slots),
        "audit": str(options.audit.folder) if options.audit else "",
        "hardening": hardened,
    }
    reactor.callWhenRunning(log.info, "ready", **facts)
    reactor.run()
    log.info("stopped")


def told_lmks(slots: Slots) -> Mapping[str, Mapping[str, str]]:
    """What may be said of the loaded LMKs."""
    return {lmk.lmk_id: _told(lmk) for lmk in slots.loaded}


def _told(lmk: Lmk) -> dict[str, str]:
    status = "test" if lmk.test else "live"
    return {"scheme": lmk.scheme, "status": status, "check_value": lmk.check_value}


def _fault(log: Any, command: str, error: Exception) -> None:
    # I12: where it happened, not what it said: the text may hold key material.
    place = traceback.extract_tb(error.__traceback__)[-1]
    at = f"{os.path.basename(place.filename)}:{place.lineno}"
    log.error("fault", command=command, error=type(error).__name__, at=at)


def _open_audit(place: AuditPlace, slots: Slots) -> AuditLog:
    try:
        if place.make_key and not place.key.exists():
            place.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            make_key(place.key)
        key = load_key(place.key)
        check_values = {lmk.lmk_id: lmk.check_value for lmk in slots.loaded}
        return AuditLog.open(
            place.folder, key, lambda: time.time_ns() // 1_000_000, place.name,
            check_values=check_values,
        )  # fmt: skip
    except AuditKeyError as error:
        raise CannotServeError(say(error.reason, error.path)) from None
    except AuditInUseError:
        raise CannotServeError(say("audit_in_use", place.folder)) from None
    except AuditBrokenError as error:
        raise CannotServeError(say("audit_not_sound", error)) from None
    except (AuditDown, OSError) as error:
        raise CannotServeError(say("audit_cannot_write", f"{place.folder}: {error}")) from None


def _listen(listener: Listener, house: House, reactor: Any) -> Any:
    address, factory = listener.address, HostFactory(house, listener.door)
    if address.path:
        # wantPID: a lock beside the file, so that one left by a killed daemon is replaced.
        return reactor.listenUNIX(address.path, factory, mode=0o660, wantPID=True)
    if listener.tls is None:
        return reactor.listenTCP(address.port, factory, backlog=128, interface=address.host)
    try:
        context: Any = tls_options(listener.tls)
    except (OSError, ValueError) as error:
        raise CannotServeError(say("tls_files", error)) from None
    secured: Any = TLSMemoryBIOFactory(context, False, factory, reactor)
    return reactor.listenTCP(address.port, secured, backlog=128, interface=address.host)


def _told_address(listener: Listener, port: Any) -> str:
    address = listener.address
    return str(address if address.path else address._replace(port=port.getHost().port))


def _stop(reactor: Any, ports: list[Any], house: House, annex: Annex) -> Deferred[Any]:
    """No new connections, the last answers out."""
    late = reactor.callLater(GOODBYE_S, house.abort)
    closing = [maybeDeferred(port.stopListening) for port in ports]
    done = DeferredList([*closing, maybeDeferred(annex.close), house.close()])

    def punctual(result: object) -> object:
        if late.active():
            late.cancel()
        return result

    return done.addCallback(punctual)
