"""The running daemon with its LMK in a PKCS#11 token (level B): put there, at work, destroyed."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hsm.admin import protocol as ask
from hsm.admin.client import AdminError
from hsm.admin.protocol import Login
from hsm.ceremony.founding import random_lmk
from hsm.sealing.envelope import seal
from hsm.sealing.passphrase import Officer, PassphraseSealer
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
from tests.hsm.test_daemon_process import CHEAP, LI, WANG, daemon, service, two_officers
from tests.hsm.test_hsm_process import WAIT_S, command
from tests.hsm.typist import Typist

pytestmark = pytest.mark.xdist_group("pkcs11")

LOCKED = "0" * 16


@pytest.fixture
def token(tmp_path: Path) -> Iterator[TokenAddress]:
    """An empty token, whose library this process never loads."""
    before = os.environ.get("SOFTHSM2_CONF")
    (tmp_path / "token").mkdir()
    yield make_software_token(tmp_path / "token")
    if before is None:
        del os.environ["SOFTHSM2_CONF"]
    else:
        os.environ["SOFTHSM2_CONF"] = before


def placed(config: Path, token: TokenAddress, lmk_id: str = "00") -> Path:
    """The configuration with this slot in the token; where backups are, is told too."""
    text = config.read_text().replace(
        '    "00": {}\n',
        f'    "{lmk_id}":\n      token:\n        library: {token.library}\n'
        f"        token: {token.token}\n        pin_file: {token.pin_file}\n"
        "  backups: [safe A]\n",
    )
    config.write_text(text)
    return config


@pytest.mark.parametrize("scheme", ["variant", "aes-block"])
def test_an_lmk_of_a_ceremony_lives_in_the_token(
    tmp_path: Path, token: TokenAddress, scheme: str
) -> None:
    """Components go into the token, no file is written; a restart works under it with nobody there,
    and the token's PIN is nowhere but in its file."""
    folder = tmp_path / "hsm"
    config = placed(service(folder, production=True), token)
    with daemon(config) as (_, ready):
        assert ready["locked"]
        with admin_of(folder) as admin:
            made = mixed(admin, "00", scheme)
            assert made["place"] == "token lmk"
            with pytest.raises(AdminError, match="slot_taken"):
                mixed(admin, "00", scheme)
        assert Host(ready).check_value == made["check_value"]
    assert not list((folder / "lmk").iterdir())
    check = command("lmk", "check", "--config", str(config))
    told = subprocess.run(check, capture_output=True, text=True, timeout=WAIT_S, check=True)
    assert told.stdout.startswith("LMK 00  token lmk")
    with daemon(config) as (process, ready):
        host = Host(ready)
        assert ready["lmks"]["00"]["check_value"] == made["check_value"]
        with admin_of(folder) as admin:
            zmk = formed_zmk(admin, "00", block=scheme != "variant")
            signs_on_and_pays(host, zmk)
            admin.ask(ask.Lock(officer=LI))
            assert host.check_value == LOCKED
            loaded = admin.ask(ask.Unlock(**BOTH))["loaded"]
        assert loaded == {"00": made["check_value"]}
        signs_on_and_pays(host, zmk)
        cmdline = Path(f"/proc/{process.pid}/cmdline").read_text()
        process.terminate()
        out, err = process.communicate(timeout=WAIT_S)
    assert SOFTWARE_TOKEN_PIN not in cmdline + out + err
    assert verified(folder).count("lmk.loaded") == 1


def test_N21_a_sealed_lmk_moves_into_the_token_and_is_destroyed_there(
    tmp_path: Path, token: TokenAddress
) -> None:
    """Keys made under the file work under the token; `lmk destroy` removes both, prints what is to
    be purged, and leaves its record."""
    folder = tmp_path / "hsm"
    config = service(folder, production=True)
    with daemon(config) as (_, ready), admin_of(folder) as admin:
        check_value = mixed(admin, "00", "variant")["check_value"]
        zmk = formed_zmk(admin, "00", block=False)
        signs_on_and_pays(Host(ready), zmk)
    with daemon(placed(config, token)) as (_, ready):
        host = Host(ready)
        assert host.check_value == LOCKED
        typed = _typed(folder, "to-token", "--id", "00")
        assert f"is in token lmk, check value {check_value}" in typed
        signs_on_and_pays(host, zmk)
        status = _status(folder)
        assert status["slots"]["00"]["check_value"] == check_value
        told = _typed(folder, "destroy", "--id", "00", "--check-value", check_value)
        assert host.check_value == LOCKED
    for place in ("safe A", "token lmk", "officers li and wang"):
        assert f"[ ] {place}" in told
    assert not (folder / "lmk" / "lmk.00.sealed").exists()
    with daemon(config) as (_, ready):
        assert ready["locked"]
        with admin_of(folder) as admin, pytest.raises(AdminError, match="nothing_opened"):
            admin.ask(ask.Unlock(**BOTH))
    whats = verified(folder)
    assert whats.index("lmk.loaded") < whats.index("lmk.put_in_token")
    assert whats.index("lmk.put_in_token") < whats.index("lmk.destroyed")


def _typed(folder: Path, *verb: str) -> str:
    arguments = ("lmk", *verb, "--admin", str(folder / "hsm-admin.sock"))
    with Typist(command(*arguments)) as people:
        two_officers(people)
        assert people.finish() == 0, people.seen
    return people.seen


def _status(folder: Path) -> dict[str, Any]:
    with admin_of(folder) as admin:
        return admin.ask(ask.Status())


def test_N25_a_test_lmk_goes_into_no_token(tmp_path: Path, token: TokenAddress) -> None:
    """Neither from a ceremony, before anybody types, nor from its sealed file; nor does a scheme
    that no token is used for."""
    test, live = tmp_path / "test", tmp_path / "live"
    with daemon(placed(service(test, production=False), token)), admin_of(test) as admin:
        for request in (
            ask.LmkToToken(**BOTH, lmk_id="00"),
            ask.BeginLmk(**BOTH, lmk_id="00", scheme="variant", components=2),
        ):
            with pytest.raises(AdminError, match=r"live LMKs only|只存放生产"):
                admin.ask(request)
    config = placed(service(live, production=True), token)
    officers = Officer(LI.name, LI.passphrase), Officer(WANG.name, WANG.passphrase)
    with daemon(config), admin_of(live) as admin:
        begin = ask.BeginLmk(**BOTH, lmk_id="00", scheme="tdes-block", components=2)
        with pytest.raises(AdminError, match="tdes-block"):
            admin.ask(begin)
        sealer = PassphraseSealer(*officers, CHEAP)
        seal(random_lmk("00", "variant", test=True), (sealer,), live / "lmk")
        with pytest.raises(AdminError, match=r"live LMKs only|只存放生产|production mode|生产模式"):
            admin.ask(ask.LmkToToken(**BOTH, lmk_id="00"))
        assert admin.ask(ask.Status())["locked"]


def test_a_token_that_does_not_answer_stops_the_start(tmp_path: Path, token: TokenAddress) -> None:
    """A wrong PIN in its file: exit code 1 and one sentence, without the PIN."""
    folder = tmp_path / "hsm"
    config = placed(service(folder, production=True), token)
    token.pin_file.write_text("11112222\n")
    done = subprocess.run(
        command("serve", "--config", str(config)), capture_output=True, text=True, timeout=WAIT_S,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "PinIncorrect" in done.stderr
    assert "11112222" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_to_token_needs_two_officers_and_a_token(tmp_path: Path) -> None:
    """One person twice, or a slot without a token: refused."""
    folder = tmp_path / "hsm"
    with daemon(service(folder, production=False)), admin_of(folder) as admin:
        with pytest.raises(AdminError, match="same_person"):
            admin.ask(ask.LmkToToken(first=LI, second=LI, lmk_id="00"))
        with pytest.raises(AdminError, match="no_token_slot"):
            admin.ask(ask.LmkToToken(**BOTH, lmk_id="00"))
        wrong = ask.LmkToToken(first=LI, second=Login("Wang", "not her passphrase"), lmk_id="00")
        with pytest.raises(AdminError, match="wrong_login"):
            admin.ask(wrong)
