"""The running daemon that opens its sealed LMKs with nobody there: a credential, a token's key."""

import os
import subprocess
from pathlib import Path

import pytest

from hsm.admin import protocol as ask
from hsm.sealing.testing import SOFTWARE_TOKEN_PIN, make_software_token
from hsm.sealing.token_session import TokenAddress
from tests.hsm.live_service import (
    BOTH,
    Host,
    admin_of,
    formed_zmk,
    mixed,
    signs_on_and_pays,
    verified,
)
from tests.hsm.test_daemon_process import LI, daemon, service
from tests.hsm.test_hsm_process import WAIT_S, command

pytestmark = pytest.mark.xdist_group("pkcs11")

KINDS = ("credential", "aes-gcm", "aes-key-wrap")
LOCKED = "0" * 16


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TokenAddress:
    """A folder of systemd credentials with one of 32 bytes, and a token without a key."""
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "lmk-key").write_bytes(os.urandom(32))
    (credentials / "lmk-key").chmod(0o400)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    monkeypatch.setenv("SOFTHSM2_CONF", "")
    (tmp_path / "token").mkdir()
    return make_software_token(tmp_path / "token")


def unattended(config: Path, kind: str, token: TokenAddress) -> Path:
    """The configuration with this sealer; a token's key is made by the officers' tool."""
    section = "  unattended:\n"
    if kind == "credential":
        section += "    sealer: credential\n    name: lmk-key\n"
    else:
        section += (
            f"    sealer: pkcs11\n    library: {token.library}\n    token: {token.token}\n"
            f"    pin_file: {token.pin_file}\n    key: kek\n    wrap: {kind}\n"
        )
    text = config.read_text()
    config.write_text(text.replace('    "00": {}\n', f'    "00": {{}}\n{section}'))
    if kind != "credential":
        made = command("lmk", "make-token-key", "--config", str(config))
        for code in (0, 1):  # a second one is refused: it would open nothing
            done = subprocess.run(made, capture_output=True, timeout=WAIT_S, check=False)
            assert done.returncode == code, done.stderr
    return config


@pytest.mark.parametrize("kind", KINDS)
def test_it_opens_what_a_ceremony_sealed_for_it(
    tmp_path: Path, places: TokenAddress, kind: str
) -> None:
    """The first ceremony under this configuration seals for it too; a restart pays with nobody
    there, and the token's PIN is nowhere but in its file."""
    folder = tmp_path / "hsm"
    config = unattended(service(folder, production=True), kind, places)
    with daemon(config, quick=True) as (_, ready), admin_of(folder) as admin:
        assert ready["locked"]
        made = mixed(admin, "00", "variant")
        zmk = formed_zmk(admin, "00", block=False)
        sealers = admin.ask(ask.Status())["slots"]["00"]["sealers"]
    named = "credential lmk-key" if kind == "credential" else "token lmk key kek"
    assert sealers == ["officers li and wang", named]
    with daemon(config, quick=True) as (process, ready):
        assert ready["lmks"]["00"]["check_value"] == made["check_value"]
        signs_on_and_pays(Host(ready), zmk)
        cmdline = Path(f"/proc/{process.pid}/cmdline").read_text()
        process.terminate()
        out, err = process.communicate(timeout=WAIT_S)
    assert SOFTWARE_TOKEN_PIN not in cmdline + out + err
    assert "fault" not in out


@pytest.mark.parametrize("kind", KINDS)
def test_a_sealer_that_is_configured_later_joins_at_the_next_unlock(
    tmp_path: Path, places: TokenAddress, kind: str
) -> None:
    """The LMK was sealed for the officers alone: the service starts locked, they unlock it once,
    which is recorded, and from then on it starts open. Locked by an officer it stays locked."""
    folder = tmp_path / "hsm"
    config = service(folder, production=False)
    unattended(config, kind, places)
    with daemon(config, quick=True) as (_, ready), admin_of(folder) as admin:
        assert ready["locked"]
        named = "credential lmk-key" if kind == "credential" else "token lmk key kek"
        assert admin.ask(ask.Unlock(**BOTH))["sealed_for"] == {"00": named}
        assert admin.ask(ask.Unlock(**BOTH))["sealed_for"] == {}
    with daemon(config, quick=True) as (_, ready), admin_of(folder) as admin:
        assert not ready["locked"]
        admin.ask(ask.Lock(officer=LI))
        assert Host(ready).check_value == LOCKED
        assert "00" in admin.ask(ask.Unlock(**BOTH))["loaded"]
    whats = verified(folder)
    assert whats.count("lmk.sealed_for") == 1
    assert whats.index("lmk.sealed_for") < whats.index("lmk.unlocked")


def test_a_foreign_credential_stops_the_start(tmp_path: Path, places: TokenAddress) -> None:
    """What is sealed for it and does not open is no case for officers at 3 a.m. to guess about:
    exit code 1, and a sentence that names the slot."""
    folder = tmp_path / "hsm"
    config = unattended(service(folder, production=False), "credential", places)
    with daemon(config, quick=True), admin_of(folder) as admin:
        admin.ask(ask.Unlock(**BOTH))
    credential = tmp_path / "credentials" / "lmk-key"
    credential.chmod(0o600)
    credential.write_bytes(os.urandom(32))
    done = subprocess.run(
        command("serve", "--config", str(config)), capture_output=True, text=True, timeout=WAIT_S,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "00 does_not_open" in done.stderr
