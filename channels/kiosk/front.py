"""The listener that serves terminals, and the door through which new ones enrol."""

import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
from cryptography import x509
from msgspec import Struct
from twisted.internet import ssl
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site
from twisted.web.websocket import WebSocketResource

from channels.kiosk import pki
from channels.kiosk.config import KioskConfig
from channels.kiosk.enrolment import EnrolmentError, Enrolments
from channels.kiosk.finisher import Finisher
from channels.kiosk.guard import Guard, GuardFactory
from channels.kiosk.management import Management
from channels.kiosk.registry import Registry, RegistryError, Terminal
from channels.kiosk.session import CLOSE_POLICY, CLOSE_REPLACED, Session
from switch.model.outcome import Millis
from switch.observe import metrics
from switch.observe.logs import get_logger
from switch.ports import Cancellable, Context, Counterparty, Front

_log = get_logger("kiosk")

PATH = b"kiosk"
ENROL_BYTES_MAX = 16_384
MINUTE_MS = 60_000


class KioskFront:
    """Terminals by WebSocket over mutual TLS; enrolment by HTTPS on a port of its own."""

    def __init__(self, name: str, config: KioskConfig, front: Front, context: Context) -> None:
        self.name = name
        self._config = config
        self._front = front
        self._context = context
        self._folder = Path(config.pki)
        self._registry = Registry(self._folder)
        self._management = Management(config, self._registry, context)
        self._sessions: dict[str, Session] = {}
        self._ports: dict[str, IListeningPort] = {}
        self._check: Cancellable | None = None
        self.finisher: Counterparty | None
        self.finisher = self._finisher = Finisher(
            name,
            config,
            context.timeline,
            context.late,
            self._sessions.get,
            context.notices,
        )

    def start(self) -> None:
        """Listen. Raises OSError, CannotListenError or OpenSSL's Error: the switch then says so
        and does not start."""
        config = self._config
        authority = ssl.Certificate.loadPEM((self._folder / "ca.crt").read_bytes())
        pair = (self._folder / "server.key").read_bytes() + (
            self._folder / "server.crt"
        ).read_bytes()
        certificate = ssl.PrivateCertificate.loadPEM(pair)
        root = Resource()
        root.putChild(PATH, _Entrance(self))
        self._listen("terminals", config.port, root, certificate.options(authority))
        enrol = Resource()
        enrol.putChild(b"ca", _Authority((self._folder / "ca.crt").read_bytes()))
        enrol.putChild(b"enrol", _EnrolResource(self._folder, config, self._context))
        self._listen("enrol", config.enrol_port, enrol, certificate.options())
        self._management.begin()
        self._schedule_check()

    async def stop(self) -> None:
        """Stop listening and drop every link; payments go on without their terminal."""
        if self._check is not None:
            self._check.cancel()
            self._check = None
        for port in self._ports.values():
            await maybeDeferred(port.stopListening)
        for session in list(self._sessions.values()):
            session.close(1001)
        self._ports.clear()

    def health(self) -> Mapping[str, str]:
        """Listening or not; terminals come and go and are no fault of ours."""
        return {self.name: "up" if self._ports else "not listening"}

    def addresses(self) -> dict[str, int]:
        """``terminals`` and ``enrol`` → the port listened on."""
        return {name: int(port.getHost().port) for name, port in self._ports.items()}  # type: ignore[attr-defined]

    # ---- sessions --------------------------------------------------------------------------------

    def admit(self, terminal: str, serial: str) -> Terminal:
        """The record of a terminal that may connect. Raises RegistryError."""
        return self._registry.admits(terminal, serial)

    def open_session(
        self, record: Terminal, certificate: x509.Certificate, guard: Guard
    ) -> Session:
        """The newest link of a terminal is the live one: an older is mostly half open."""
        older = self._sessions.get(record.terminal)
        session = Session(
            record,
            pki.serial_of(certificate),
            guard,
            certificate_ends_at=int(certificate.not_valid_after_utc.timestamp()) * 1000,
            config=self._config,
            front=self._front,
            management=self._management,
            finisher=self._finisher,
            timeline=self._context.timeline,
            gone=self._session_gone,
        )
        self._sessions[record.terminal] = session
        metrics.TERMINALS_CONNECTED.labels(self.name).set(len(self._sessions))
        if older is not None:
            older.close(CLOSE_REPLACED)
        _log.info("terminal_connected", terminal=record.terminal, hospital=record.hospital)
        return session

    def _session_gone(self, session: Session) -> None:
        self._finisher.link_lost(session)
        if self._sessions.get(session.record.terminal) is session:
            del self._sessions[session.record.terminal]
            metrics.TERMINALS_CONNECTED.labels(self.name).set(len(self._sessions))

    def _schedule_check(self) -> None:
        timeline = self._context.timeline
        due = Millis(timeline.now_ms() + self._config.registry_check_ms)
        self._check = timeline.call_at(due, self._check_registry)

    def _check_registry(self) -> None:
        """Cut off terminals that were revoked or disabled since they connected."""
        for session in list(self._sessions.values()):
            try:
                current = self._registry.admits(session.record.terminal, session.serial)
            except RegistryError as error:
                _log.warning("terminal_cut_off", reason=str(error))
                session.close(CLOSE_POLICY)
            else:
                session.record = current
        self._management.check()
        self._schedule_check()

    def _listen(
        self, name: str, port: int, root: Resource, options: ssl.CertificateOptions
    ) -> None:
        config = self._config
        site = Site(root, timeout=None, reactor=self._context.reactor)
        site.noisy = False
        site.displayTracebacks = False
        terminals = name == "terminals"
        guarded = GuardFactory(
            site,
            self._context.timeline,
            bytes_max=config.message_bytes_max if terminals else ENROL_BYTES_MAX,
            timeout_ms=config.handshake_timeout_ms if terminals else config.enrol_timeout_ms,
            connections_max=config.connections_max if terminals else config.enrol_connections_max,
            full=metrics.TERMINALS_REFUSED.labels("full").inc,
        )
        self._ports[name] = self._context.reactor.listenSSL(
            port, guarded, options, interface=config.bind
        )


class _Entrance(WebSocketResource):
    """``wss://host:port/kiosk``: asks the certificate who is there, then upgrades."""

    isLeaf = 1

    def __init__(self, house: KioskFront) -> None:
        super().__init__(self)
        self._house = house

    def render_GET(self, request: Request) -> bytes | int:
        """403 for a certificate that the registry does not admit."""
        certificate = _guard_of(request).getPeerCertificate().to_cryptography()
        terminal, serial = pki.common_name(certificate), pki.serial_of(certificate)
        try:
            self._admitted = (self._house.admit(terminal, serial), certificate)
        except RegistryError as error:
            metrics.TERMINALS_REFUSED.labels("not_admitted").inc()
            _log.warning("terminal_refused", reason=str(error))
            request.setResponseCode(403)
            return b""
        return super().render_GET(request)

    def buildProtocol(self, request: Request) -> Session:
        """Called by render_GET above, in the same turn."""
        record, certificate = self._admitted
        return self._house.open_session(record, certificate, _guard_of(request))


def _guard_of(request: Request) -> Guard:
    """The connection below HTTP; it passes TLS questions on to the transport."""
    assert request.channel is not None
    guard = request.channel.transport
    assert isinstance(guard, Guard)
    return guard


class _Authority(Resource):
    """The authority's certificate; the kiosk checks its fingerprint against the invitation."""

    isLeaf = 1

    def __init__(self, ca_pem: bytes) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._ca_pem = ca_pem

    def render_GET(self, request: Request) -> bytes:
        """The PEM text."""
        request.setHeader("Content-Type", "application/x-pem-file")
        request.setHeader("Connection", "close")
        return self._ca_pem


class EnrolRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a new kiosk sends."""

    terminal: str
    code: str
    csr: str


class _EnrolResource(Resource):
    """POST code and request, get a certificate. Slow on purpose, limited, off the reactor."""

    isLeaf = 1

    def __init__(self, folder: Path, config: KioskConfig, context: Context) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._enrolments = Enrolments(folder, time.time)
        self._context = context
        self._tries_per_minute = config.enrol_tries_per_minute
        self._window_at = 0
        self._tries = 0

    def render_POST(self, request: Request) -> bytes | int:
        """200 with the certificate; 400, 403 or 429 with one sentence."""
        request.setHeader("Connection", "close")
        now_ms = self._context.timeline.now_ms()
        if now_ms - self._window_at >= MINUTE_MS:
            self._window_at, self._tries = now_ms, 0
        self._tries += 1
        if self._tries > self._tries_per_minute:
            return _say(request, 429, "too many tries, wait a minute")
        try:
            assert request.content is not None
            asked = msgspec.json.decode(request.content.read(), type=EnrolRequest)
        except msgspec.DecodeError:
            return _say(request, 400, "not an enrolment request")
        reactor = self._context.reactor
        work: Deferred[bytes] = deferToThreadPool(
            reactor,
            reactor.getThreadPool(),
            self._enrolments.redeem,
            asked.terminal,
            asked.code,
            asked.csr.encode(),
        )
        work.addCallback(_granted, request, asked.terminal)
        work.addErrback(_refused, request)
        work.addErrback(_vanished)
        return NOT_DONE_YET


def _granted(certificate: bytes, request: Request, terminal: str) -> None:
    _log.info("terminal_enrolled", terminal=terminal)
    request.write(msgspec.json.encode({"certificate": certificate.decode()}))
    request.finish()


def _refused(failure: Failure, request: Request) -> None:
    failure.trap(EnrolmentError, pki.PkiError)
    status = 403 if failure.check(EnrolmentError) else 400
    metrics.TERMINALS_REFUSED.labels("enrolment").inc()
    request.write(_say(request, status, str(failure.value)))
    request.finish()


def _vanished(failure: Failure) -> None:
    """The kiosk hung up before its answer, or the folder cannot be written: for the operator."""
    _log.error("enrolment_failed", exc_info=failure.value)


def _say(request: Request, status: int, sentence: str) -> bytes:
    request.setResponseCode(status)
    return msgspec.json.encode({"error": sentence})
