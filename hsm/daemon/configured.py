"""From a configuration to a daemon: listeners with their clients, sealed LMKs, the officers."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from hsm.address import parse_address
from hsm.daemon import metrics
from hsm.daemon.admin import AdminFactory
from hsm.daemon.clients import ByCertificate, ByUser, Client, client
from hsm.daemon.config import (
    Config,
    Credential,
    TlsListener,
    Token,
    TokenPlace,
    UnixListener,
)
from hsm.daemon.desk import Desk
from hsm.daemon.house import Limits
from hsm.daemon.judge import CountingJudge
from hsm.daemon.keeper import Keeper
from hsm.daemon.serve import Annex, AuditPlace, CannotServeError, Listener, Options, Parts
from hsm.officers import People, PeopleError
from hsm.sealing.credential import CredentialSealer, credential_path
from hsm.sealing.entries import Cost
from hsm.sealing.errors import SealingError
from hsm.sealing.pkcs11 import TokenSealer
from hsm.sealing.sealer import Sealer
from hsm.sealing.token_session import TokenAddress
from hsm.slots import Slots
from hsm.texts import say
from hsm.tls import TlsFiles
from hsm.verifications import Verifications


def options(config: Config, cost: Cost | None = None) -> Options:
    """The daemon of a configuration: locked, or opened by its unattended sealer. ``cost``: of new
    passphrases; None, the usual one, wherever the service is not a test's own.

    CannotServeError: that sealer does not open a file that is sealed for it, or an LMK is of the
    wrong mode.
    """
    keeper = keeper_of(config)
    try:
        keeper.open_tokens()
    except SealingError as error:
        raise CannotServeError(str(error)) from None
    if config.lmk.unattended is not None:
        _open_unattended(keeper, config.lmk.unattended)
    by_uid: dict[int, Client] = {}
    by_name: dict[str, Client] = {}
    for name, section in config.clients.items():
        made = client(name, section.commands)
        if section.uid is not None:
            by_uid[section.uid] = made
        elif section.common_name is not None:
            by_name[section.common_name] = made
    counted = config.verification
    judge = CountingJudge(
        Verifications(counted.limit, counted.window_ms, counted.hold_ms, counted.keys_max),
        Verifications(
            counted.account_limit, counted.account_window_ms, counted.account_hold_ms,
            counted.keys_max,
        ),
    )  # fmt: skip
    return Options(
        listeners=tuple(_listener(one, by_uid, by_name) for one in config.listeners),
        slots=keeper.slots,
        policy=config.rules(),
        limits=Limits(
            connections_max=config.limits.connections,
            frame_ms=config.limits.frame_ms,
            idle_ms=config.limits.idle_ms,
        ),
        metrics_port=config.metrics_port,
        audit=AuditPlace(Path(config.audit.folder), Path(config.audit.key), config.name),
        judge=judge,
        annex=lambda parts: Office(config, keeper, parts, cost),
    )


_FOR_OFFICERS: Final = ("missing", "no_sealer_fits")
"""Slots that officers have to do with first: one waits for its ceremony, the other was sealed
before there was an unattended sealer, and is sealed for it at the next unlock."""


class Office(Annex):
    """The officers' socket of a configured daemon."""

    def __init__(
        self, config: Config, keeper: Keeper, parts: Parts, cost: Cost | None = None
    ) -> None:
        """CannotServeError: the file of the officers cannot be used."""
        assert parts.audit is not None
        try:
            people = People.load(Path(config.officers))
        except (SealingError, PeopleError) as error:
            raise CannotServeError(say("officers_file", error)) from None
        self._config = config
        self._keeper = keeper
        self._parts = parts
        # One at a time: who guesses passphrases on four connections is no faster.
        self._pool = ThreadPool(1, 1, "passphrases")
        self._port: Any = None
        self._desk = Desk(
            parts.service,
            keeper,
            people,
            parts.audit,
            self._aside,
            name=config.name,
            unattended=lambda: [_sealer(section) for section in _unattended(config)],
            minutes_max=config.admin.authority_minutes_max,
            backups=config.lmk.backups,
            cost=cost,
        )
        section = config.admin
        self._factory = AdminFactory(
            self._desk, section.uids, section.idle_ms, parts.reactor, parts.log
        )

    def open(self) -> None:
        self._pool.start()
        path = self._config.admin.path
        self._port = self._parts.reactor.listenUNIX(path, self._factory, mode=0o600, wantPID=True)

    def beat(self) -> None:
        self._desk.beat()
        metrics.AUTHORISED.set(len(self._desk.authority.remaining_s()))
        judge = self._parts.service.judge
        if isinstance(judge, CountingJudge):
            metrics.HELD_KEYS.set(judge.held())

    def close(self) -> Any:
        self._factory.abort()
        self._keeper.lock()
        self._pool.stop()
        return self._port.stopListening()

    def _aside(self, work: Callable[[], Any]) -> Awaitable[Any]:
        return deferToThreadPool(self._parts.reactor, self._pool, work)


def _unattended(config: Config) -> tuple[Credential | Token, ...]:
    return () if config.lmk.unattended is None else (config.lmk.unattended,)


def keeper_of(config: Config) -> Keeper:
    """The sealed LMKs of a configuration, with empty slots."""
    sections = config.lmk.slots
    slots = Slots(replaced={i: slot.replaces for i, slot in sections.items() if slot.replaces})
    tokens = {
        lmk_id: token_address(slot.token)
        for lmk_id, slot in sections.items()
        if slot.token is not None
    }
    files = [lmk_id for lmk_id in sections if lmk_id not in tokens]
    return Keeper(Path(config.lmk.folder), config.production, slots, files, tokens)


def _open_unattended(keeper: Keeper, section: Credential | Token) -> None:
    try:
        opened, failed = keeper.open_with(_sealer(section))
    except SealingError as error:
        raise CannotServeError(str(error)) from None
    wrong = {lmk_id: why for lmk_id, why in failed.items() if why not in _FOR_OFFICERS}
    if wrong:
        told = ", ".join(f"{lmk_id} {why}" for lmk_id, why in wrong.items())
        raise CannotServeError(say("unattended", told))
    for material in opened.values():
        keeper.load(material)


def _sealer(section: Credential | Token) -> Sealer:
    if isinstance(section, Credential):
        return CredentialSealer(credential_path(section.name))
    return TokenSealer(token_address(section), section.key, section.wrap)


def token_address(place: TokenPlace | Token) -> TokenAddress:
    """Where a configured token is."""
    return TokenAddress(Path(place.library), place.token, Path(place.pin_file))


def _listener(
    section: UnixListener | TlsListener, by_uid: Mapping[int, Client], by_name: Mapping[str, Client]
) -> Listener:
    if isinstance(section, UnixListener):
        return Listener(section.address, ByUser(by_uid))
    files = TlsFiles(section.ca, section.certificate, section.key)
    return Listener(parse_address(f"tls:{section.address}"), ByCertificate(by_name), files)
