"""Rows of the norms checklist (docs/security.md) that no other test shows: a production daemon in
its own process, and the processor's frames."""

import ast
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from configparser import RawConfigParser
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from hsm import console, keyblock, primitives, selftest
from hsm.address import Address, parse_address
from hsm.admin import protocol as ask
from hsm.admin.client import Admin, AdminError
from hsm.admin.protocol import Login
from hsm.ceremony.founding import found, random_component
from hsm.ceremony.plan import LmkPlan
from hsm.commands import macs, pin_checks
from hsm.errors import CommandError
from hsm.layouts import COMMANDS
from hsm.policy import Policy
from hsm.sealing.entries import Cost
from hsm.sealing.passphrase import Officer
from tests.canary import scanner
from tests.crash.rig import until
from tests.hsm.test_hsm_process import WAIT_S, command, first_line

ROOT = Path(__file__).parents[2]
CHEAP = Cost(memory_kib=64, passes=1, lanes=1)
PASSPHRASE = secrets.token_hex(12)
LI, WANG = Login("Li", f"{PASSPHRASE} one"), Login("Wang", f"{PASSPHRASE} two")
BOTH = {"first": LI, "second": WANG}
PLAN = LmkPlan("00", "variant", False)
ACCOUNT = "588098765432"
WRONG_LIMIT = 5
WRONG_OF_ACCOUNT = 3
KEY, OTHER = "0123456789ABCDEFFEDCBA9876543210", "CA5D92598DCA48CE8A4C76361A9269E9"


# ---- a production daemon ------------------------------------------------------------------------


class Production:
    """A daemon with a live variant LMK that two custodians brought."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = found(folder, True, (_officer(LI), _officer(WANG)), CHEAP)
        content = yaml.safe_load(self.config.read_text("utf-8"))
        content["verification"]["limit"] = WRONG_LIMIT
        content["verification"]["window_ms"] = content["verification"]["hold_ms"] = 3_600_000
        content["verification"]["account_limit"] = WRONG_OF_ACCOUNT
        content["clients"]["switch"]["commands"] = ["all"]
        content["policy"] = {"pin_formats": ["01"], "pin_translations": ["01-01"]}
        content["metrics_port"] = 0
        self.config.write_text(yaml.safe_dump(content), "utf-8")
        self.components = [random_component(PLAN), random_component(PLAN)]
        self.ready: dict[str, Any] = {}
        self.log = folder.parent / "daemon.log"

    @contextmanager
    def running(self) -> Iterator[int]:
        """Its process, locked; the process id."""
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                command("serve", "--config", str(self.config)), stdout=log, stderr=log
            )
        try:
            until(lambda: b"\n" in self.log.read_bytes(), "the daemon is up")
            self.ready = json.loads(self.log.read_bytes().splitlines()[0])
            yield process.pid
        finally:
            process.terminate()
            process.wait(WAIT_S)

    @classmethod
    def restored(cls, other: "Production", folder: Path) -> "Production":
        """A copy of its folder, as a backup gives it back. The LMK is among what is copied."""
        made = cls.__new__(cls)
        kept = shutil.ignore_patterns("*.sock*", "audit")
        made.folder = Path(shutil.copytree(other.folder, folder, ignore=kept))
        made.config, made.log = folder / "hsm.yaml", folder / "daemon.log"
        text = other.config.read_text("utf-8").replace(str(other.folder), str(folder))
        made.config.write_text(text, "utf-8")
        return made

    def admin(self) -> Admin:
        """The officers' socket."""
        return Admin(str(self.folder / "hsm-admin.sock"))

    def officers(self, request: Any) -> dict[str, Any]:
        """One request of theirs."""
        with self.admin() as admin:
            return admin.ask(request)

    def wrong_pvv(self, zpk: Any, pvk: Any, account: str) -> str:
        """The answer to a PIN of this account beside its PVV."""
        pin = self.host("JA", account=account)["pin"]
        block = self.host("JG", zpk=zpk, format="01", account=account, pin=pin)["pin_block"]
        made = {"account": account, "pvk_index": "1"}
        right = int(self.host("DG", pvk=pvk, pin=pin, **made)["new_pvv"])
        asked = {"zpk": zpk, "pvk": pvk, "pin_block": block, "format": "01", **made}
        return self.code("EC", **asked, pvv=f"{(right + 1) % 10_000:04}")

    def load(self) -> str:
        """The LMK's ceremony; its check value."""
        with self.admin() as admin:
            admin.ask(ask.BeginLmk(**BOTH, lmk_id="00", scheme="variant", components=2))
            for who, component in zip((LI, WANG), self.components, strict=True):
                value = component.hex().upper()
                facts = admin.ask(ask.Component(custodian=who, value=value, again=value))
            return str(admin.ask(ask.Confirm(check_value=facts["whole"]))["check_value"])

    def health(self) -> tuple[int, Any]:
        """Status and body of ``/health``."""
        page = self.ready["metrics_address"].replace("/metrics", "/health")
        try:
            with urllib.request.urlopen(page, timeout=WAIT_S) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def host(self, code: str, **values: Any) -> dict[str, Any]:
        """A host's command. CommandError."""
        return console.ask(self.address, COMMANDS[code], values)

    def code(self, code: str, **values: Any) -> str:
        """The error code of a host's command."""
        try:
            self.host(code, **values)
        except CommandError as error:
            return error.code
        return "00"

    def new_key(self, key_type: str) -> Any:
        """A key of this type under the LMK."""
        return self.host("A0", mode="0", key_type=key_type, scheme_lmk="U")["key_lmk"]

    @property
    def address(self) -> Address:
        """Where hosts reach it."""
        return parse_address(self.ready["address"])


def _officer(login: Login) -> Officer:
    return Officer(login.name, login.passphrase)


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    """Running, its LMK loaded."""
    made = Production(tmp_path_factory.mktemp("norms") / "service")
    with made.running():
        made.load()
        yield made


def test_N9_no_clear_pin_leaves_a_production_daemon(production: Production) -> None:
    """BA and NG are 68; officers cannot switch them on; JA's PIN comes out as another number."""
    assert production.code("BA", clear_pin="1234F", account=ACCOUNT) == "68"
    assert production.code("NG", account=ACCOUNT, pin="12345") == "68"
    config = production.folder.parent / "open.yaml"
    content = yaml.safe_load(production.config.read_text("utf-8"))
    content["policy"] = {"disabled": []}
    config.write_text(yaml.safe_dump(content), "utf-8")
    done = subprocess.run(
        command("serve", "--config", str(config)), capture_output=True, timeout=WAIT_S, check=False
    )
    assert done.returncode == 2
    assert b"BA and NG" in done.stderr


def test_N24_a_key_goes_out_only_while_two_officers_allow_it(production: Production) -> None:
    """A8: 17, then done, then 17 again after RA; one officer is not enough."""
    zmk, zpk = production.new_key("000"), production.new_key("001")
    export = {"key_type": "001", "zmk": zmk, "key": zpk, "scheme_zmk": "X"}
    assert production.code("A8", **export) == "17"
    alone = ask.Authorise(first=LI, second=LI, commands=("A8",), minutes=1, purpose="test")
    with pytest.raises(AdminError):
        production.officers(alone)
    assert production.code("A8", **export) == "17"
    together = ask.Authorise(**BOTH, commands=("A8",), minutes=1, purpose="test")
    production.officers(together)
    assert production.code("A8", **export) == "00"
    assert production.code("RA") == "00"
    assert production.code("A8", **export) == "17"


def test_N26_a_pin_is_not_found_by_trying_pvvs(production: Production) -> None:
    """The daemon's own counters: as many 01 as configured for an account, then 39, for the right
    PVV too; other accounts until the PVK is held; another PVK is not held."""
    issuing = ask.Authorise(**BOTH, commands=("DG",), minutes=5, purpose="test")
    production.officers(issuing)
    zpk, pvk, other = (production.new_key(kind) for kind in ("001", "002", "002"))
    pin = production.host("JA", account=ACCOUNT)["pin"]
    block = production.host("JG", zpk=zpk, format="01", account=ACCOUNT, pin=pin)["pin_block"]
    made = {"account": ACCOUNT, "pvk_index": "1"}
    right = production.host("DG", pvk=pvk, pin=pin, **made)["new_pvv"]
    tried = {"zpk": zpk, "pvk": pvk, "pin_block": block, "format": "01", **made}
    assert production.code("EC", **tried, pvv=right) == "00"
    wrong = [f"{(int(right) + step) % 10_000:04}" for step in range(1, 2 * WRONG_LIMIT)]
    codes = [production.code("EC", **tried, pvv=pvv) for pvv in wrong]

    assert codes == ["01"] * WRONG_OF_ACCOUNT + ["39"] * (len(wrong) - WRONG_OF_ACCOUNT)
    assert production.code("EC", **tried, pvv=right) == "39"
    assert production.code("EC", **{**tried, "pvk": other}, pvv=right) in {"00", "01"}
    elsewhere = [production.wrong_pvv(zpk, pvk, f"00000000{n:04}") for n in range(6)]
    left = WRONG_LIMIT - WRONG_OF_ACCOUNT
    assert elsewhere == ["01"] * left + ["39"] * (6 - left)


def test_N26_a_mac_is_not_found_by_trying(production: Production) -> None:
    """M8: the same counter, for the key of the MAC."""
    tak = production.new_key("003")
    asked = {
        "mode": "0", "form": "2", "mac_size": "0", "algorithm": "3", "padding": "1",
        "key_type": "003", "key": tak, "message": b"amount 1",
    }  # fmt: skip
    right = production.host("M6", **asked)["mac"]
    wrong = [f"{(int(right, 16) + step) % 2**32:08X}" for step in range(1, 2 * WRONG_LIMIT)]
    codes = [production.code("M8", **asked, mac=mac) for mac in wrong]

    assert codes == ["01"] * WRONG_LIMIT + ["39"] * (WRONG_LIMIT - 1)
    assert production.code("M8", **asked, mac=right) == "39"


def test_N1_N10_an_lmk_and_its_components_are_seen_nowhere(production: Production) -> None:
    """A ceremony, work, errors, lock, unlock: no component, LMK or passphrase in the files, logs,
    metrics, command line or environment; and the same search finds one that is laid down."""
    known = scanner.Scanner()
    for number, component in enumerate(production.components, 1):
        known.learn(f"component {number}", key=component.hex())
    joined = bytes(a ^ b for a, b in zip(*production.components, strict=True))
    known.learn("LMK", key=PLAN.finished(memoryview(joined)).hex())
    known.learn("passphrases", text=PASSPHRASE)
    zmk, zpk = production.new_key("000"), production.new_key("001")
    wrong = {"key_type": "001", "zmk": zpk, "key_zmk": zmk, "scheme_lmk": "U"}
    assert production.code("A6", **wrong) == "10"
    assert production.health() == (200, {"hsm": "up"})
    production.officers(ask.Lock(officer=LI))
    assert production.health() == (503, {"hsm": "locked"})
    production.officers(ask.Unlock(**BOTH))
    pid, home = production.ready["pid"], production.folder.parent
    page = urllib.request.urlopen(production.ready["metrics_address"], timeout=WAIT_S).read()
    places = [("metrics", page), *scanner.processes({"hsm": pid}), *scanner.files(home, ())]
    hits = known.scan_all(places)
    planted = home / "planted"
    planted.write_bytes(production.components[1][8:16])
    found_there = known.scan_all(scanner.files(home, ()))
    planted.unlink()

    assert {"service/audit/audit-000001.log", "service/lmk/lmk.00.sealed", "daemon.log"} <= {
        place for place, _ in places
    }
    assert hits == []
    assert {hit.secret for hit in found_there} == {"component 2"}
    assert "LMK" in _memory_of(pid, known) or os.geteuid() != 0


def _memory_of(pid: int, known: scanner.Scanner) -> set[str]:
    """What the search finds in the one place where it must be; nothing for whoever is not root."""
    try:
        return {hit.secret for hit in known.scan_all(scanner.memory("hsm", pid))}
    except PermissionError:
        return set()


_UNLIMITED = """
import os, resource, sys
most = resource.getrlimit(resource.RLIMIT_CORE)[1]
resource.setrlimit(resource.RLIMIT_CORE, (most, most))
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_N28_an_abort_leaves_no_core(tmp_path: Path) -> None:
    """SIGABRT in the middle of its work, cores allowed by whoever started it: the kernel says
    killed, not dumped, and no file appears."""
    words = command("serve", "--test-lmk", "--listen", "tcp:127.0.0.1:0")
    with subprocess.Popen(
        [sys.executable, "-c", _UNLIMITED, *words], stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True, cwd=tmp_path,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            assert json.loads(first_line(process.stdout))["hardening"]["not_dumpable"] == "on"
            process.send_signal(signal.SIGABRT)
            end = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        finally:
            process.kill()

    assert end is not None
    assert (end.si_status, end.si_code) == (signal.SIGABRT, os.CLD_KILLED)
    assert list(tmp_path.iterdir()) == []


def test_N28_its_memory_is_not_swapped(production: Production) -> None:
    """Nothing of it is in the swap, and as root all of it is locked."""
    text = Path(f"/proc/{production.ready['pid']}/status").read_text()
    status = dict(line.split(":\t", 1) for line in text.splitlines())
    assert status["VmSwap"].split()[0] == "0"
    if os.geteuid() == 0:
        assert production.ready["hardening"]["memory_locked"] == "on"
        assert int(status["VmLck"].split()[0]) * 2 > int(status["VmRSS"].split()[0])


def test_N28_no_network_listener_unless_configured(production: Production) -> None:
    """As it was founded: Unix sockets alone (metrics, switched on here, are on loopback)."""
    content = yaml.safe_load(production.config.read_text("utf-8"))
    assert [listener["kind"] for listener in content["listeners"]] == ["unix"]
    assert production.ready["addresses"] == [f"unix:{production.folder}/hsm.sock"]
    assert production.ready["metrics_address"].startswith("http://127.0.0.1:")


def test_N28_the_unit_takes_away_what_it_can() -> None:
    """Own user, no cores, no swap, no new privileges, a system-call filter, no network."""
    unit = RawConfigParser(strict=False, delimiters=("=",), allow_no_value=True)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ROOT / "conf" / "systemd" / "yyt-hsm.service", "utf-8")
    service = dict(unit["Service"])
    for key, value in {
        "User": "yyt-hsm", "LimitCORE": "0", "MemorySwapMax": "0", "NoNewPrivileges": "yes",
        "PrivateNetwork": "yes", "ProtectSystem": "strict", "MemoryDenyWriteExecute": "yes",
        "CapabilityBoundingSet": "", "UMask": "0077",
    }.items():  # fmt: skip
        assert service[key] == value, key
    assert "SystemCallFilter" in service


def test_N30_a_backup_opens_with_two_officers_only(production: Production, tmp_path: Path) -> None:
    """What is copied is sealed files; restored elsewhere it starts locked, one officer opens
    nothing, two bring back the same LMK."""
    status = production.officers(ask.Status())["slots"]["00"]
    copy = Production.restored(production, tmp_path / "restored")
    with copy.running():
        assert copy.ready["locked"]
        for second in (LI, Login("Wang", LI.passphrase)):
            with pytest.raises(AdminError):
                copy.officers(ask.Unlock(first=LI, second=second))
        assert copy.officers(ask.Status())["locked"]
        opened = copy.officers(ask.Unlock(**BOTH))["loaded"]

    assert opened == {"00": status["check_value"]}


# ---- self-tests ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("primitive", "wrong", "named"),
    [
        ("check_value", lambda _key: bytes(8), {"3des", "des"}),
        ("retail_mac", lambda *_: bytes(8), {"x919"}),
        ("cbc_mac", lambda *_: bytes(8), {"cbc", "cup_mac"}),
        ("pin_block_0", lambda *_: bytes(8), {"pin_block"}),
        ("aes_encrypt", lambda *_: bytes(16), {"aes"}),
        ("aes_decrypt", lambda *_: bytes(16), {"aes_inverse"}),
        ("aes_cmac", lambda *_: bytes(16), {"aes_cmac"}),
        ("ff1_encrypt", lambda *_: "0" * 10, {"ff1"}),
        ("sm4_encrypt", lambda *_: bytes(16), {"sm4"}),
        ("sm3", lambda *_: bytes(32), {"sm3"}),
    ],
)
def test_N29_each_wrong_primitive_is_named(
    monkeypatch: pytest.MonkeyPatch, primitive: str, wrong: Callable[..., Any], named: set[str]
) -> None:
    """One broken function, and the self-test names it; nothing else fails for it."""
    assert selftest.failures(secrets.token_bytes) == []
    monkeypatch.setattr(primitives, primitive, wrong)
    assert named <= set(selftest.failures(secrets.token_bytes)) <= named | {"3des_inverse"}


def test_N29_dead_randomness_is_noticed() -> None:
    """The same bytes twice."""
    assert selftest.failures(bytes) == ["random"]


def test_N29_a_failing_self_test_blocks_service(tmp_path: Path) -> None:
    """The daemon's process with a MAC that is wrong: exit code 1, the check is named, and no socket
    was ever there."""
    spoilt = "from hsm import primitives; primitives.retail_mac = lambda *_: bytes(8);"
    path = tmp_path / "hsm.sock"
    done = subprocess.run(
        [sys.executable, "-c", f"{spoilt} from switch.cli import main; raise SystemExit(main())",
         "hsm", "serve", "--test-lmk", "--listen", f"unix:{path}"],
        capture_output=True, text=True, timeout=WAIT_S, check=False, cwd=ROOT,
    )  # fmt: skip

    assert done.returncode == 1
    assert "x919" in done.stderr
    assert "ready" not in done.stdout
    assert not path.exists()


# ---- keys ---------------------------------------------------------------------------------------


def test_N5_randomness_is_the_systems() -> None:
    """No module that serves imports Python's own generator; the soak may, for its traffic."""
    guilty = []
    for path in sorted((ROOT / "hsm").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if "random" in names and path.parent.name != "soak":
                guilty.append(path.name)
    assert guilty == []


def _block(key: str, pin: str = "1234") -> str:
    clear = primitives.pin_block_0(pin, ACCOUNT)
    odd = primitives.odd_parity(bytes.fromhex(key))
    return primitives.ecb_encrypt(odd, clear).hex().upper()


def _translated(host: Any, tpk: Any, zpk: Any, block: str) -> str:
    error: str
    error, _ = host.ask(
        "CA", tpk=tpk, zpk=zpk, pin_length_max="12", pin_block=block, source_format="01",
        target_format="01", account=ACCOUNT,
    )  # fmt: skip
    return error


def test_N7_tpk_tmk_pvk_and_cvk_are_four_types(make_host: Callable[[Policy], Any]) -> None:
    """PCI HSM's separation, as every configured daemon has it: the same key held as another type
    opens no PIN block, and verifies no PVV."""
    host = make_host(Policy(separate_002=True))
    zpk, block = host.wrap("001", KEY), _block(KEY)
    found = {t: _translated(host, host.wrap(t, KEY), zpk, block) for t in ("70D", "80D", "402")}
    found["002"] = _translated(host, host.wrap("002", KEY), zpk, block)
    assert found == {"70D": "00", "80D": "10", "402": "10", "002": "10"}
    asked = {"tpk": host.wrap("70D", KEY), "pin_block": block, "format": "01", "account": ACCOUNT,
             "pvk_index": "1", "pvv": "0000"}  # fmt: skip
    codes = {t: host.ask("DC", pvk=host.wrap(t, OTHER), **asked)[0] for t in ("70D", "80D", "402")}
    assert codes == dict.fromkeys(codes, "11")
    assert host.ask("DC", pvk=host.wrap("002", OTHER), **asked)[0] == "01"


def test_N15_secrets_are_compared_in_constant_time(
    host: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MACs of messages and key blocks, and PVVs, go through hmac.compare_digest, whole."""
    compared: list[tuple[int, int]] = []

    def spy(ours: Any, theirs: Any) -> bool:
        compared.append((len(ours), len(theirs)))
        return bool(ours == theirs)

    for module in (macs, keyblock, pin_checks):
        monkeypatch.setattr(module, "compare_digest", spy)
    flags = {"mode": "0", "form": "2", "mac_size": "0", "algorithm": "3", "padding": "1"}
    message = {"key_type": "003", "key": host.wrap("003", KEY), "message": b"abc"}
    assert host.ask("M8", **flags, **message, mac="00000000")[0] == "01"
    made = host.raw(b"0042A00FFFS%02#M3T2N00N00")
    assert made[4:8] == b"A100"
    block = made[8:-6].decode()
    checked = {"pair_code": "FF", "length_flag": "F", "key_type": "FFF", "key": block}
    assert host.ask("BU", "02", **checked)[0] == "00"
    pvv = {"tpk": host.wrap("002", KEY), "pvk": host.wrap("002", OTHER), "pin_block": _block(KEY)}
    more = {"format": "01", "account": ACCOUNT, "pvk_index": "1", "pvv": "0000"}
    assert host.ask("DC", **pvv, **more)[0] == "01"

    assert compared == [(8, 8), (8, 8), (4, 4)], compared


def test_N17_another_banks_keys_give_an_error_never_a_success(host: Any) -> None:
    """A pad's PIN block under another pad's key is no PIN; a MAC under another key set is 01; a
    key of one purpose in the other's place is 10."""
    mine, theirs = host.wrap("002", KEY), host.wrap("002", OTHER)
    zpk = host.wrap("001", OTHER)
    assert _translated(host, mine, zpk, _block(KEY)) == "00"
    assert _translated(host, theirs, zpk, _block(KEY)) in {"20", "24"}
    assert _translated(host, zpk, mine, _block(KEY)) == "10"
    flags = {"mode": "0", "form": "2", "mac_size": "0", "algorithm": "3", "padding": "1",
             "key_type": "003", "message": b"abc"}  # fmt: skip
    _, made = host.ask("M6", **flags, key=host.wrap("003", KEY))
    assert host.ask("M8", **flags, key=host.wrap("003", KEY), mac=made["mac"])[0] == "00"
    assert host.ask("M8", **flags, key=host.wrap("003", OTHER), mac=made["mac"])[0] == "01"


# ---- honesty ------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("hsm",), ("hsm", "serve"), ("key",)])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_help_says_that_software_is_no_secure_device(words: tuple[str, ...], language: str) -> None:
    """Where an operator looks first; the same in the README."""
    done = subprocess.run(
        [sys.executable, "-m", "switch.cli", *words, "--help"],
        capture_output=True, text=True, timeout=WAIT_S, check=True, cwd=ROOT,
        env={**os.environ, "YYT_LANG": language, "COLUMNS": "200"},
    )  # fmt: skip
    said = done.stdout.lower()
    assert "secure cryptographic device" in said or "安全密码设备" in said
    assert "secure cryptographic device" in (ROOT / "README.md").read_text("utf-8")
    assert "安全密码设备" in (ROOT / "README.zh.md").read_text("utf-8")


def test_the_wire_says_software_too(host: Any) -> None:
    """NC and NO, where a host's operator looks: the firmware name, and no PCI setting."""
    assert host.ask("NC")[1]["firmware"].startswith("YYT")
    assert host.ask("NO", mode="01")[1]["pci_setting"] == "0"
