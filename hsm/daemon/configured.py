"""From a configuration to a daemon: listeners with their clients, sealed LMKs, the officers."""

from collections.abc import Mapping
from pathlib import Path

from hsm.address import parse_address
from hsm.daemon.clients import ByCertificate, ByUser, Client, client
from hsm.daemon.config import Config, Credential, TlsListener, Token, UnixListener
from hsm.daemon.house import Limits
from hsm.daemon.judge import CountingJudge
from hsm.daemon.keeper import Keeper
from hsm.daemon.serve import AuditPlace, CannotServeError, Listener, Options
from hsm.sealing.credential import CredentialSealer, credential_path
from hsm.sealing.errors import SealingError
from hsm.sealing.pkcs11 import TokenSealer
from hsm.sealing.sealer import Sealer
from hsm.sealing.token_session import TokenAddress
from hsm.slots import Slots
from hsm.texts import say
from hsm.tls import TlsFiles
from hsm.verifications import Verifications


def options(config: Config) -> Options:
    """The daemon of a configuration: locked, or opened by its unattended sealer.

    CannotServeError: that sealer does not open every LMK, or an LMK is of the wrong mode.
    """
    keeper = keeper_of(config)
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
        Verifications(counted.limit, counted.window_ms, counted.hold_ms, counted.keys_max)
    )
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
    )


def keeper_of(config: Config) -> Keeper:
    """The sealed LMKs of a configuration, with empty slots."""
    replaced = {lmk_id: slot.replaces for lmk_id, slot in config.lmk.slots.items()}
    slots = Slots(replaced={lmk_id: old for lmk_id, old in replaced.items() if old})
    return Keeper(Path(config.lmk.folder), config.production, slots, replaced)


def _open_unattended(keeper: Keeper, section: Credential | Token) -> None:
    try:
        opened, failed = keeper.open_with(_sealer(section))
    except SealingError as error:
        raise CannotServeError(str(error)) from None
    if failed:
        told = ", ".join(f"{lmk_id} {why}" for lmk_id, why in failed.items())
        raise CannotServeError(say("unattended", told))
    for material in opened.values():
        keeper.load(material)


def _sealer(section: Credential | Token) -> Sealer:
    if isinstance(section, Credential):
        return CredentialSealer(credential_path(section.name))
    address = TokenAddress(Path(section.library), section.token, Path(section.pin_file))
    return TokenSealer(address, section.key, section.wrap)


def _listener(
    section: UnixListener | TlsListener, by_uid: Mapping[int, Client], by_name: Mapping[str, Client]
) -> Listener:
    if isinstance(section, UnixListener):
        return Listener(section.address, ByUser(by_uid))
    files = TlsFiles(section.ca, section.certificate, section.key)
    return Listener(parse_address(f"tls:{section.address}"), ByCertificate(by_name), files)
