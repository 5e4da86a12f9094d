"""A change of LMK at a configured daemon in production mode, from ceremony to destruction."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hsm import primitives
from hsm.admin import protocol as ask
from hsm.admin.client import Admin, AdminError
from tests.hsm.live_service import (
    BOTH,
    MAK,
    PIK,
    ZMK_ONE,
    ZMK_TWO,
    Host,
    admin_of,
    authorised,
    brought,
    formed_zmk,
    mixed,
    parity,
    sent,
    signs_on_and_pays,
    verified,
)
from tests.hsm.test_daemon_process import LI, daemon, service
from tests.hsm.test_hsm_process import WAIT_S
from tests.keys.conftest import ROOT, Office
from tests.keys.forking import Forking
from tests.keys.test_key_rotation import ROTATE, held, killed_when, settle

MANY = 120


class Live:
    """A hospital with a live key service: slots 00 and 10, which replaces it."""

    def __init__(self, folder: Path, office: Office, ready: dict[str, Any], admin: Admin) -> None:
        self.folder, self.office, self.admin = folder, office, admin
        self.host = Host(ready)
        self.address = ready["address"]
        self.configure()

    def configure(self, lmk_id: str = "", check_value: str = "") -> None:
        """The switch's configuration at this daemon."""
        office = self.office
        office.configure(lmk_id=lmk_id)
        whole = yaml.safe_load(office.config.read_text("utf-8"))
        settings = whole["hsm"]["settings"]
        settings |= {"addresses": [self.address], "lmk_check_value": check_value}
        office.config.write_text(yaml.safe_dump(whole, allow_unicode=True), "utf-8")


@pytest.fixture
def live(tmp_path: Path, key_dsn: str, forking: Forking) -> Iterator[Live]:
    """LMK 00 comes from a ceremony; the daemon runs to the end of the test."""
    folder = tmp_path / "hsm"
    config = service(folder, production=True)
    slots = '    "00": {}\n    "10":\n      replaces: "00"\n  backups: [safe A]\n'
    config.write_text(config.read_text().replace('    "00": {}\n', slots))
    with daemon(config, quick=True) as (_, ready), admin_of(folder) as admin:
        mixed(admin, "00", "variant")
        yield Live(folder, Office(tmp_path, key_dsn, 0, forking), ready, admin)


def fill(live: Live) -> str:
    """ZMK, TMK, vault and pad by `yyt key`; many ZPKs; a signed-on terminal. The ZMK."""
    office, host = live.office, live.host
    zmk = formed_zmk(live.admin, "00", block=False)
    joined = primitives.xor(bytes.fromhex(ZMK_ONE), bytes.fromhex(ZMK_TWO))
    value = primitives.check_value(primitives.odd_parity(joined)).hex()
    bank = ("--bank", "icbc", "--cryptogram-file", "-", "--check-value")
    office.ask("import", "icbc-zmk", "--usage", "ZMK", *bank, value, stdin=zmk)
    tmk = primitives.check_value(parity(PIK)).hex()
    under = ("--under", "key:icbc-zmk", "--terminal", "80000101")
    office.ask("import", "icbc-tmk", "--usage", "TMK", *under, *bank, tmk[:6], stdin=sent(PIK))
    office.ask("generate", "vault", "--usage", "DEK")
    office.ask("generate", "pad", "--usage", "TPK", "--type", "70D", "--terminal", "K1")
    office.rows(
        "INSERT INTO stored_key (name, version, usage, key_type, scheme, lmk_id, held, check_value,"
        " state, changed_by) SELECT 'zpk-' || k.n, 1, 'ZPK', '001', 'U', '00', k.held, k.value,"
        " 'active', 't' FROM json_to_recordset(%s) k(n integer, held text, value text)",
        json.dumps([zpk(host, n) for n in range(MANY)]),
    )
    pik, mak = brought(host, "001", zmk, PIK), brought(host, "003", zmk, MAK)
    office.rows(
        "INSERT INTO logical_terminal (bank, merchant, terminal, key_generation, pik, mak, pik_kcv,"
        " mak_kcv, installed_at) VALUES ('icbc', 'm', 't', 1, %s, %s, '', '', 1)",
        pik, mak,
    )  # fmt: skip
    return zmk


def zpk(host: Host, n: int) -> dict[str, Any]:
    """A key that the daemon made."""
    answer = host.ask(b"A00001U")
    assert answer[:4] == b"A100"
    return {"n": n, "held": answer[4:37].decode(), "value": answer[37:].decode()}


def wrong(live: Live) -> int:
    """How many keys have not the check value they should have."""
    found: int = live.office.ask("check")["wrong"]
    return found


@pytest.mark.parametrize("scheme", ["variant", "aes-block"])
def test_N20_N21_N24_a_whole_store_moves_and_the_old_lmk_is_destroyed(
    live: Live, scheme: str
) -> None:
    """Refused without officers; killed in the middle and taken up again; ended; LMK 00 destroyed,
    on record, with its list of copies; every key is what it was, and payments go on."""
    office, admin = live.office, live.admin
    zmk = fill(live)
    signs_on_and_pays(live.host, zmk)
    old = admin.ask(ask.Status())["slots"]["00"]["check_value"]
    before = {key["name"]: key["check_value"] for key in office.ask("list")}
    assert wrong(live) == 0

    new = mixed(admin, "10", scheme)["check_value"]
    signs_on_and_pays(live.host, zmk)
    refused = office.refusal(*ROTATE)
    assert "17" in refused
    assert "yyt hsm auth on --for BW" in refused
    authorised(admin, "BW")
    killed_when(office, "SELECT count(*) > 20 FROM key_successor")
    assert all(text[0] in "U0123456789ABCDEF" and "%" not in text for text in held(office))
    assert wrong(live) == 0
    assert office.ask(*ROTATE)["nodes_behind"] == []
    moved = held(office)
    if scheme == "variant":
        assert all(text.endswith("%10") for text in moved)
    else:
        assert all((text[0], text[15:17]) == ("S", "10") for text in moved)
    settle(office)
    assert office.ask(*ROTATE, "--finish")["finished"]
    admin.ask(ask.Withdraw(officer=LI))

    gone = admin.ask(ask.DestroyLmk(**BOTH, lmk_id="00", check_value=old))
    assert gone["purge"] == ["safe A", "officers li and wang"]
    assert not (live.folder / "lmk" / "lmk.00.sealed").exists()
    assert live.host.ask(b"A00001U") == b"A113"
    assert node_of_before(office.config) == "6225880987654321"
    live.configure("10", new)
    assert wrong(live) == 0
    assert {key["name"]: key["check_value"] for key in office.ask("list")} == before
    ((zmk,),) = office.rows("SELECT held FROM stored_key WHERE name = 'icbc-zmk'")
    live.host.service.default_lmk = "10"
    signs_on_and_pays(live.host, zmk)
    audited(live)


_NODE = """
import sys
from pathlib import Path
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from hsm.client import plugin
from switch.keys.ring import StoredKeyRing
from switch.model.secret import Secret
from switch.observe import logs
from switch.settings import load
from switch.store import open_journal
from switch.timeline import ReactorTimeline

async def main():
    settings, timeline = load(Path(sys.argv[1])), ReactorTimeline(reactor)
    ring = StoredKeyRing(timeline)
    service = plugin.build("hsm", settings.hsm.settings, timeline, reactor, lambda: 0.5, ring=ring)
    service.start()
    journal = await open_journal(settings.journal, reactor, timeline, "late")
    await ring.start(journal.key_source)
    while not service.up:
        await pause()
    print((await service.reveal(await service.protect(Secret("6225880987654321")))).reveal())
    ring.stop()
    await journal.close()
    await service.stop()

def pause():
    waiting = Deferred()
    reactor.callLater(0.05, waiting.callback, None)
    return waiting

logs.configure("error", sys.stderr.buffer)
reactor.callWhenRunning(
    lambda: Deferred.fromCoroutine(main()).addErrback(lambda f: f.printTraceback())
    .addBoth(lambda _: reactor.stop())
)
reactor.run()
"""


def node_of_before(config: Path) -> str:
    """What the vault gives back to a node that starts now, with the configuration of before."""
    done = subprocess.run(
        [sys.executable, "-c", _NODE, str(config)], capture_output=True, text=True, timeout=WAIT_S,
        check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def audited(live: Live) -> None:
    """The log is sound and tells the story."""
    whats = verified(live.folder)
    assert whats.count("key.moved") >= MANY
    assert whats.count("lmk.loaded") == 2
    story = ("authorisation.granted", "key.moved", "authorisation.ended", "lmk.destroyed")
    at = [len(whats) - 1 - whats[::-1].index(what) for what in story]
    assert at == sorted(at)


def test_N21_the_wrong_lmk_is_not_destroyed(live: Live) -> None:
    """The check value says which one is meant; one officer is not two; and after the destruction
    another ceremony may fill the slot."""
    admin = live.admin
    value = admin.ask(ask.Status())["slots"]["00"]["check_value"]
    for request, code in (
        (ask.DestroyLmk(**BOTH, lmk_id="10", check_value=value), "no_file"),
        (ask.DestroyLmk(**BOTH, lmk_id="00", check_value="0" * 16), "other_check_value"),
        (ask.DestroyLmk(first=LI, second=LI, lmk_id="00", check_value=value), "same_person"),
    ):
        with pytest.raises(AdminError, match=code):
            admin.ask(request)
    assert live.host.check_value == value
    admin.ask(ask.DestroyLmk(**BOTH, lmk_id="00", check_value=value))
    assert mixed(admin, "00", "variant")["check_value"] != value
