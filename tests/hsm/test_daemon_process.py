"""The configured daemon as officers meet it: real processes, a real terminal, another user."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hsm import console, layouts
from hsm.address import parse_address
from hsm.admin import protocol as ask
from hsm.admin.client import Admin
from hsm.admin.protocol import Login
from hsm.ceremony.founding import found
from hsm.sealing.entries import Cost
from hsm.sealing.envelope import load_sealed
from hsm.sealing.passphrase import Officer
from tests.hsm.certificates import Authority
from tests.hsm.test_hsm_process import WAIT_S, command, first_line
from tests.hsm.typist import Typist

QUICK = Path(__file__).with_name("quick_service.py")
CHEAP = Cost(memory_kib=64, passes=1, lanes=1)
LI, WANG = Login("Li", "Canary horse one 7731"), Login("Wang", "Canary horse two 8842")
ONE = "13C4B9D3E5F28A619B37C8D1E9F46273" * 2
TWO = "25A7D3C84E5F19B6073DEA914FC28B65" * 2


def service(folder: Path, production: bool) -> Path:
    """A founded service; its configuration."""
    officers = Officer(LI.name, LI.passphrase), Officer(WANG.name, WANG.passphrase)
    return found(folder, production, officers, CHEAP)


@contextmanager
def daemon(
    config: Path, *, quick: bool = False
) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """``yyt hsm serve --config``, gone at the end. ``quick``: what it seals costs next to nothing
    (see quick_service.py)."""
    program = [sys.executable, str(QUICK), str(config)]
    process = subprocess.Popen(
        program if quick else command("serve", "--config", str(config)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = first_line(process.stdout)
        assert line, process.communicate(timeout=WAIT_S)[1]
        yield process, json.loads(line)
    finally:
        process.kill()
        process.communicate(timeout=WAIT_S)


def two_officers(person: Typist) -> None:
    """Li and Wang sit down."""
    for number, login in enumerate((LI, WANG), 1):
        person.answer(f"Officer {number} name:", login.name)
        person.answer("(not shown)", login.passphrase)


def test_N4_a_ceremony_at_a_real_terminal_shows_no_secret(tmp_path: Path) -> None:
    """Two officers, two custodians, typed components: sealed and loaded; no passphrase and no
    component on the screen, in the daemon's output, its files or its arguments."""
    folder = tmp_path / "hsm"
    config = service(folder, production=True)
    with daemon(config) as (process, ready):
        assert ready["locked"]
        verb = ("lmk", "load", "--id", "00", "--scheme", "aes-block", "--components", "2")
        with Typist([*command(*verb), "--admin", str(folder / "hsm-admin.sock")]) as people:
            two_officers(people)
            for number, login, value in ((1, LI, ONE), (2, WANG, TWO)):
                people.answer(f"Custodian of component {number}:", login.name)
                people.answer("(not shown)", login.passphrase)
                people.answer(f"Component {number} (not shown): [1]", value[:32])
                people.answer("[2]", value[32:])
                people.answer("press Enter", "")
                people.answer("again: [1]", value)
            people.wait_for("Check value of the whole: ")
            people.wait_for("When all agree")
            whole = people.seen.split("Check value of the whole: ")[1].split()[0]
            people.answer("wipes): ", whole)
            assert people.finish() == 0
        status = json.loads(_run("status", "--json", "--admin", str(folder / "hsm-admin.sock")))
        cmdline = Path(f"/proc/{process.pid}/cmdline").read_text()
        process.terminate()
        out, err = process.communicate(timeout=WAIT_S)
    assert status["slots"]["00"]["check_value"] == whole
    (sealer,) = load_sealed(folder / "lmk" / "lmk.00.sealed").content.sealers
    assert sealer.cost == Cost(), "what a real service seals costs what it should"
    assert not status["locked"]
    audit = ("--log", str(folder / "audit"), "--key", str(folder / "audit.key"))
    assert "lmk.loaded" in _run("audit", "show", *audit[:2])
    _run("audit", "verify", *audit)
    files = "".join(p.read_bytes().hex() for p in folder.rglob("*") if p.is_file())
    seen = people.seen + cmdline + out + err + json.dumps([ready, status])
    for canary in (LI.passphrase, WANG.passphrase, ONE[:32], TWO[:32]):
        assert canary not in seen
        assert canary.encode().hex() not in files
        assert canary.lower() not in files
    assert (folder / "hsm-admin.sock").exists() is False


def _run(*arguments: str) -> str:
    done = subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=WAIT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_N4_without_a_terminal_nobody_types(tmp_path: Path) -> None:
    """A pipe is no terminal: exit code 2, whatever it holds."""
    done = subprocess.run(
        command("init", "--test", "--folder", str(tmp_path / "new")),
        input="Li\n",
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
        start_new_session=True,
    )
    assert done.returncode == 2
    assert "/dev/tty" in done.stderr
    assert not (tmp_path / "new").exists()


def test_N5_a_component_goes_to_its_slip_alone(tmp_path: Path) -> None:
    """Not a digit of it on the screen; without --escrow none is made; none is written over."""
    slip = tmp_path / "li.slip"
    verb = ("lmk", "gen-component", "--scheme", "aes-block", "--number", "1", "--of", "3")
    out = _run(*verb, "--custodian", "Li", "--escrow", str(slip))
    groups = slip.read_text().split(" 01 | ")[1].splitlines()[0].split()

    assert slip.stat().st_mode & 0o777 == 0o600
    assert not any(group in out for group in groups)
    for more, code in (((), 2), (("--escrow", str(slip)), 1)):
        done = subprocess.run(
            command(*verb, "--custodian", "Li", *more), capture_output=True, timeout=WAIT_S,
            check=False,
        )  # fmt: skip
        assert done.returncode == code


def test_N27_a_certificate_decides_what_a_client_may_ask(tmp_path: Path) -> None:
    """Mutual TLS: a listed name asks what is listed; a stranger of our own authority, and a client
    without a certificate, get nothing."""
    folder = tmp_path / "hsm"
    config = service(folder, production=False)
    ca = Authority(tmp_path)
    files = ca.issue("hsm-1")
    text = config.read_text().replace(
        "listeners:\n",
        f"listeners:\n  - kind: tls\n    address: 127.0.0.1:0\n    ca: {files.ca}\n"
        f"    certificate: {files.certificate}\n    key: {files.key}\n",
    )
    text = text.replace(
        "clients:\n", "clients:\n  bank:\n    common_name: bank\n    commands: [A0]\n"
    )
    config.write_text(text)
    with daemon(config) as (_, ready):
        with Admin(str(folder / "hsm-admin.sock")) as admin:
            admin.ask(ask.Unlock(first=LI, second=WANG))
        address = parse_address(ready["address"])
        bank, stranger = (ca.issue(name) for name in ("bank", "stranger"))
        assert _tls_ask(address.port, bank, b"0000NC")[:8] == b"0000ND00"
        assert _tls_ask(address.port, bank, b"0000A00001U")[:8] == b"0000A100"
        assert _tls_ask(address.port, bank, b"0000CA")[:8] == b"0000CB68"
        assert _tls_ask(address.port, stranger, b"0000NC") == b""
        assert _tls_ask(address.port, None, b"0000NC") == b""
        assert console.ask(parse_address(ready["addresses"][1]), layouts.NC, {})


def _tls_ask(port: int, files: Any, frame: bytes) -> bytes:
    import socket
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if files is not None:
        context.load_cert_chain(files.certificate, files.key)
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as plain,
            context.wrap_socket(plain) as connection,
        ):
            connection.sendall(len(frame).to_bytes(2, "big") + frame)
            data = connection.recv(2)
            return connection.recv(int.from_bytes(data, "big")) if data else b""
    except (ssl.SSLError, ConnectionError):
        return b""


def test_N28_another_user_sees_nothing_of_the_daemon(tmp_path: Path) -> None:
    """Neither its environment, its memory nor its sockets; ptrace is refused; its command line
    holds no secret. (Not run as root, the other user is our own, who may use the socket.)"""
    root = os.geteuid() == 0
    folder = tmp_path / "hsm"
    config = service(folder, production=False)
    with daemon(config) as (process, _):
        pid = process.pid
        with Admin(str(folder / "hsm-admin.sock")) as admin:
            admin.ask(ask.Unlock(first=LI, second=WANG))
        told = _as_nobody(pid, folder)
        cmdline = Path(f"/proc/{pid}/cmdline").read_text()
    assert told == {
        "environ": "PermissionError",
        "mem": "PermissionError",
        "maps": "PermissionError",
        "ptrace": "1",
        "admin": "PermissionError" if root else "connected",
        "uid": "65534" if root else str(os.geteuid()),
    }
    assert LI.passphrase not in cmdline


_PROBE = """
import ctypes, json, os, socket, sys
pid, admin = sys.argv[1], sys.argv[2]
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
told = {"uid": str(os.geteuid())}
for name in ("environ", "mem", "maps"):
    try:
        open(f"/proc/{pid}/{name}", "rb").read(1)
        told[name] = "read"
    except OSError as error:
        told[name] = type(error).__name__
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace(16, int(pid), None, None)
told["ptrace"] = str(ctypes.get_errno())
try:
    socket.socket(socket.AF_UNIX).connect(admin)
    told["admin"] = "connected"
except OSError as error:
    told["admin"] = type(error).__name__
print(json.dumps(told))
"""


def _as_nobody(pid: int, folder: Path) -> dict[str, str]:
    # The way to the socket is open, so that the socket's own mode is what refuses.
    for above in (folder, *folder.parents):
        if not above.stat().st_mode & 0o001:
            above.chmod(above.stat().st_mode | 0o011)
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, str(pid), str(folder / "hsm-admin.sock")],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found
