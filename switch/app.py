"""The composition root: builds one switch from its configuration and runs it (``yyt switch``).

Plugins come by entry point only. Order of a start: settings, key service, journal, plugins, engine;
then recovery before any door is opened; links; terminals last. A stop goes the other way.
"""

import argparse
import contextlib
import gc
import random
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.python.failure import Failure

from switch import plugins
from switch.engine import Engine
from switch.gauges import Gauges
from switch.jobs.notices import NoticeJob
from switch.jobs.settlement import Settlement
from switch.keys.configured import UnknownKeysError, require_known
from switch.keys.ring import StoredKeyRing
from switch.model.outcome import Millis, Reply
from switch.observe import logs, metrics
from switch.observe.http import serve_operator
from switch.ports import FrontService, JournalDown, LateReplies, Service, Timeline
from switch.settings import Settings, SettingsError, load, version_of
from switch.store import PostgresJournal, open_journal
from switch.store.errors import StartRefused
from switch.timeline import ReactorTimeline

log = logs.get_logger("switch")

STOP_POLL_MS = 50
GIL_SWITCH_S = 0.0005
"""The journal's thread does short pieces of work: the reactor gets the interpreter back soon."""
GC_THRESHOLD = 20_000
"""Objects made between two looks of the collector at the young ones."""

EXAMPLE = """examples:
  yyt switch --config conf/switch.example.yaml
"""


class _Late:
    """Hands late replies on to the engine, which is built after the channels that find them."""

    target: LateReplies | None = None

    def late(self, payment_key: str, leg_index: int, attempt: int, reply: Reply) -> None:
        if self.target is not None:
            self.target.late(payment_key, leg_index, attempt, reply)


@dataclass(kw_only=True)
class Parts:
    """What plugins are built with (ports.Context)."""

    timeline: Timeline
    reactor: Any
    key_service: Any
    numbers: Any
    keys: Any
    terminals: Any
    batches: Any
    notices: Any
    bank_days: Any
    late: Any
    random: Callable[[], float]


class Switch:
    """One running switch."""

    def __init__(
        self, settings: Settings, version: str, reactor: Any, source: str = "configuration"
    ) -> None:
        """``source`` names the settings' file where a mistake in them is told."""
        self._settings = settings
        self._version = version
        self._reactor = reactor
        self._source = source
        self._timeline = ReactorTimeline(reactor)
        self._random = random.Random().random  # noqa: S311 - jitter, not a secret
        self._services: dict[str, Service] = {}
        self._fronts: list[FrontService] = []
        self._operator: IListeningPort | None = None
        self._stopping = False

    async def start(self) -> None:
        """Everything up, or an exception that says what is not."""
        settings = self._settings
        late = _Late()
        hsm: Any = plugins.find(plugins.Group.HSM, settings.hsm.plugin)
        parts = Parts(
            timeline=self._timeline,
            reactor=self._reactor,
            key_service=None,
            numbers=None,
            keys=None,
            terminals=None,
            batches=None,
            notices=None,
            bank_days=None,
            late=late,
            random=self._random,
        )
        self._ring = StoredKeyRing(self._timeline)
        self._key_service: Any = hsm.build(
            "hsm",
            settings.hsm.settings,
            self._timeline,
            self._reactor,
            self._random,
            ring=self._ring,
        )
        self._key_service.start()
        self.journal: PostgresJournal = await open_journal(
            settings.journal, self._reactor, self._timeline, settings.node.name
        )
        await self._ring.start(self.journal.key_source)
        require_known(settings, self._source, self._ring)
        parts.key_service = self._key_service
        parts.numbers, parts.keys = self.journal.numbers, self.journal.keys
        parts.terminals = self.journal.terminals
        parts.batches = self.journal.batches
        parts.notices = self.journal.notices
        parts.bank_days = self.journal.bank_days
        self._build_services(parts)
        self.engine = self._build_engine()
        late.target = self.engine
        self._build_fronts(parts)
        for service in self._services.values():
            service.start()
        self._settlement = self._build_settlement()
        await self._settlement.start()
        self._notices = self._build_notices()
        self._notices.start()
        await self._recover()
        self._gauges = Gauges(self.engine, self._timeline)
        self._gauges.start()
        self._open_doors()
        _keep_what_stays()
        log.info("switch_up", node=settings.node.name, config=self._version, **self.addresses())

    async def stop(self) -> None:
        """Close the doors, let what is out come in, put everything down."""
        self._stopping = True
        self.engine.close()
        for front in self._fronts:
            await front.stop()
        await self._quiet(self._timeline.now_ms() + self._settings.limits.stop_wait_ms)
        self._gauges.stop()
        self._settlement.stop()
        self._notices.stop()
        for service in self._services.values():
            await service.stop()
        self._ring.stop()
        await self.journal.close()
        await self._key_service.stop()
        if self._operator is not None:
            await maybeDeferred(self._operator.stopListening)
        log.info("switch_down")

    def addresses(self) -> dict[str, int]:
        """Ports listened on: ``metrics`` and those of the fronts."""
        ports: dict[str, int] = {}
        if self._operator is not None:
            ports["metrics"] = self._operator.getHost().port  # type: ignore[attr-defined]
        for front in self._fronts:
            ports.update(front.addresses())
        return ports

    # ---- building --------------------------------------------------------------------------------

    def _build_services(self, parts: Parts) -> None:
        chosen = {}
        for channel in self._settings.channels:
            chosen[channel.name] = (plugins.Group.CHANNELS, channel.plugin, channel.settings)
        for hospital in self._settings.hospitals:
            chosen[hospital.id] = (plugins.Group.HIS, hospital.plugin, hospital.settings)
        for name, (group, plugin_name, settings) in chosen.items():
            plugin = plugins.find(group, plugin_name)
            self._services[name] = plugin.build(name, settings, parts)
            log.info("plugin", instance=name, plugin=plugin.name)

    def _build_engine(self) -> Engine:
        return Engine(
            journal=self.journal,
            timeline=self._timeline,
            services=self._services,
            hospitals={hospital.id: hospital.id for hospital in self._settings.hospitals},
            routes=self._settings.routes,
            limits=self._settings.limits,
            profile_version=self._version,
        )

    def _build_settlement(self) -> Settlement:
        banks = {
            name: settling
            for name, service in self._services.items()
            if (settling := getattr(service, "settling", None)) is not None
        }
        others = {
            name: holds
            for name, service in self._services.items()
            if name not in banks and (holds := getattr(service, "holds", None)) is not None
        }
        return Settlement(self.journal.batches, banks, self.engine, self._timeline, others)

    def _build_notices(self) -> NoticeJob:
        banks = {
            name: notifying
            for name, service in self._services.items()
            if (notifying := getattr(service, "notifying", None)) is not None
        }
        return NoticeJob(self.journal.notices, banks, self.journal.load, self._timeline)

    async def _recover(self) -> None:
        """Adopt what a crash left, and again every so often: leases of others run out later (I13),
        and a database that is away now comes back."""
        if self._stopping:
            return
        try:
            while await self.engine.recover() == self._settings.limits.recovery_batch:
                pass
            await self.engine.take_late()
            metrics.EXCEPTIONS_OPEN.set(await self.journal.exceptions_open())
        except JournalDown as error:
            log.warning("recovery_waits", reason=str(error))
        finally:  # one bad row or a defect must not end the sweeps (I3)
            at = Millis(self._timeline.now_ms() + self._settings.limits.recovery_every_ms)
            self._timeline.call_at(
                at, lambda: Deferred.fromCoroutine(self._recover()).addErrback(_recovery_failed)
            )

    def _build_fronts(self, parts: Parts) -> None:
        """Before recovery: a payment whose card is still to be finished names its front."""
        for entry in self._settings.fronts:
            plugin: Any = plugins.find(plugins.Group.FRONTS, entry.plugin)
            front: FrontService = plugin.build(entry.name, entry.settings, self.engine, parts)
            self._fronts.append(front)
            if front.finisher is not None:
                self.engine.finish_by(front.name, front.finisher)

    def _open_doors(self) -> None:
        for front in self._fronts:
            front.start()
        where = self._settings.metrics
        self._operator = serve_operator(
            self._reactor,
            where.port,
            self.health,
            {},
            host=where.host,
            allow_remote=where.allow_remote,
        )

    def health(self) -> Mapping[str, str]:
        """Part → ``up`` or what is wrong."""
        parts = {"journal": "up" if self.journal.lease_left_ms() > 0 else "lease lost"}
        for service in (self._key_service, *self._services.values(), *self._fronts):
            parts.update(service.health())
        return parts

    async def _quiet(self, until_ms: int) -> None:
        """Wait until no payment is on its way here, or until ``until_ms``."""
        while self.engine.live() and self._timeline.now_ms() < until_ms:
            pause: Deferred[None] = Deferred()
            at = Millis(self._timeline.now_ms() + STOP_POLL_MS)
            self._timeline.call_at(at, lambda pause=pause: pause.callback(None))  # type: ignore[misc]
            await pause


def _keep_what_stays() -> None:
    """What stands after the start stays until the end: the collector need not look at it again,
    and it looks at the rest less often (a payment makes thousands of short-lived objects)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    sys.setswitchinterval(GIL_SWITCH_S)


def _recovery_failed(failure: Failure) -> None:
    log.error("recovery_failed", invariant="I15", exc_info=failure.value)


# ---- the command ---------------------------------------------------------------------------------


def register(parser: argparse.ArgumentParser) -> None:
    """``yyt switch --config FILE``."""
    parser.description = "Run the switch until SIGTERM or SIGINT."
    parser.epilog = EXAMPLE
    parser.add_argument("--config", required=True, type=Path, help="the configuration file")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit code 0 after a stop that was asked for, 1 when the start failed, 2 for a bad file."""
    try:
        settings = load(args.config)
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the command's own answer
        return 2
    logs.configure(settings.node.log_level)
    return _run(settings, args.config)


def _run(settings: Settings, file: Path) -> int:
    from twisted.internet import reactor as _reactor

    reactor: Any = _reactor
    switch = Switch(settings, version_of(file), reactor, str(file))
    code = 0

    def failed(failure: Failure) -> None:
        nonlocal code
        code = 1
        if failure.check(
            StartRefused,
            JournalDown,
            CannotListenError,
            OSError,
            plugins.PluginError,
            UnknownKeysError,
        ):
            log.error("start_refused", reason=str(failure.value))
        else:
            log.error("start_failed", exc_info=failure.value)
        _stop_reactor(reactor)

    def stop(*_: object) -> None:
        reactor.callFromThread(
            lambda: (
                Deferred.fromCoroutine(switch.stop())
                .addErrback(lambda f: log.error("stop_failed", exc_info=f.value))
                .addCallback(lambda _: _stop_reactor(reactor))
            )
        )

    reactor.callWhenRunning(lambda: Deferred.fromCoroutine(switch.start()).addErrback(failed))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    reactor.run(installSignalHandlers=False)
    return code


def _stop_reactor(reactor: Any) -> None:
    with contextlib.suppress(Exception):  # it may have stopped already
        reactor.stop()
