"""The real daemon: its own process, real sockets, real signals."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import pytest

from hsm import console, layouts, primitives
from hsm.address import Address, parse_address
from hsm.keys import parse_cryptogram
from hsm.testing import wrap_test_key

CANARY_KEY = "A7C4B9D3E5F28A619B37C8D1E9F46273"
CANARY_PIN, CANARY_PAN = "739182", "6225880987654321"
WAIT_S = 20


class Daemon:
    """A running ``yyt hsm serve`` and what it printed first."""

    def __init__(self, process: subprocess.Popen[str], ready: dict[str, Any]) -> None:
        self.process = process
        self.ready = ready
        self.address: Address = parse_address(ready["address"])

    def connect(self) -> socket.socket:
        """A plain client socket."""
        if self.address.path:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(WAIT_S)
            connection.connect(self.address.path)
            return connection
        return socket.create_connection((self.address.host, self.address.port), timeout=WAIT_S)

    def stop(self) -> tuple[str, str]:
        """SIGTERM; the rest of its output and its errors. It must go with exit code 0."""
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=WAIT_S)
        assert self.process.returncode == 0
        return out, err


def first_line(stream: IO[str]) -> str:
    """A line, or a failure in time."""
    ready, _, _ = select.select([stream], [], [], WAIT_S)
    assert ready, "nothing printed in time"
    return stream.readline()


def command(*arguments: str) -> list[str]:
    """``yyt hsm …`` by this interpreter."""
    return [sys.executable, "-m", "switch.cli", "hsm", *arguments]


@contextmanager
def daemon(*arguments: str) -> Iterator[Daemon]:
    """A daemon under the test LMK that is gone at the end."""
    process = subprocess.Popen(
        command("serve", "--test-lmk", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = first_line(process.stdout)
        assert line, process.communicate(timeout=WAIT_S)[1]
        yield Daemon(process, json.loads(line))
    finally:
        process.kill()
        process.communicate(timeout=WAIT_S)


def read(connection: socket.socket, count: int) -> list[bytes]:
    """``count`` frames."""
    with connection.makefile("rb") as stream:
        return [stream.read(int.from_bytes(stream.read(2), "big")) for _ in range(count)]


def framed(body: bytes) -> bytes:
    """With its length."""
    return len(body).to_bytes(2, "big") + body


def test_serving_over_tcp() -> None:
    """Ready line with the chosen port, pipelining, limits, metrics, banner, clean stop."""
    with daemon(
        "--listen", "tcp:127.0.0.1:0", "--metrics-port", "0", "--max-connections", "1"
    ) as hsm:
        assert hsm.ready["event"] == "ready"
        assert hsm.ready["pid"] == hsm.process.pid
        assert hsm.ready["hardening"]["no_core"] == "on"
        with hsm.connect() as connection:
            connection.sendall(framed(b"0001NC") + framed(b"0002B20002hi") + framed(b"0003XX"))
            answers = read(connection, 3)
            assert answers == [b"0001ND00B92D36B73662A61CYYT0-0001", b"0002B300hi", b"0003XY68"]
            with hsm.connect() as another:
                assert another.recv(1) == b""
        page = urllib.request.urlopen(hsm.ready["metrics_address"], timeout=WAIT_S).read()
        assert b'yyt_hsmd_commands_total{command="NC",error="00"} 1.0' in page
        assert b'yyt_hsmd_refused_connections_total{reason="full"} 1.0' in page
        _, err = hsm.stop()
        assert "LMK" in err


def test_hardening_of_the_real_process() -> None:
    """No core file, and another process of the same user cannot read its memory map."""
    with daemon("--listen", "tcp:127.0.0.1:0") as hsm:
        limits = Path(f"/proc/{hsm.process.pid}/limits")
        if os.geteuid() == 0:
            core = next(line for line in limits.read_text().splitlines() if "core file" in line)
            assert core.split()[4:6] == ["0", "0"]
        assert hsm.ready["hardening"]["not_dumpable"] == "on"
        assert Path(f"/proc/{hsm.process.pid}/mem").stat().st_uid == 0


def test_unix_socket_survives_kill_9(tmp_path: Path) -> None:
    """The file a killed daemon leaves behind is replaced; a clean stop removes it."""
    path = tmp_path / "hsm.sock"
    with daemon("--listen", f"unix:{path}") as hsm:
        assert path.stat().st_mode & 0o777 == 0o660
        hsm.process.kill()
        hsm.process.wait(WAIT_S)
    assert path.exists()
    with daemon("--listen", f"unix:{path}") as hsm:
        assert console.ask(hsm.address, layouts.NC, {})["lmk_check_value"] == "B92D36B73662A61C"
        hsm.stop()
    assert not path.exists()


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--listen", "tcp:127.0.0.1:0"], ("--test-lmk", "--test-lmk")),
        (["--listen", "tcp:0.0.0.0:1500", "--test-lmk"], ("本机", "loopback")),
        (["--listen", "tcp:1500", "--test-lmk"], ("IP", "IP")),
    ],
)
def test_it_does_not_start_unsafely(
    arguments: list[str], words: tuple[str, str], language: str
) -> None:
    """Without an LMK, or with plain TCP to the world: exit code 2 and a sentence."""
    done = subprocess.run(
        command("serve", *arguments),
        env=os.environ | {"YYT_LANG": language},
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )

    assert done.returncode == 2
    assert words[language == "en"] in done.stderr
    assert "Traceback" not in done.stderr


def test_command_line_round_trip(tmp_path: Path) -> None:
    """status, generate-key, wrap-test-key and commands print what a script can read."""
    key_file = tmp_path / "tmk.hex"
    key_file.write_text("0123456789ABCDEFFEDCBA9876543210\n")

    def run(*arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            command(*arguments), capture_output=True, text=True, timeout=WAIT_S, check=False
        )
        assert done.returncode == code, done.stderr
        return done.stdout

    with daemon("--listen", f"unix:{tmp_path}/hsm.sock") as hsm:
        where = ("--connect", str(hsm.address))
        status = json.loads(run("status", "--json", *where))
        assert status["lmk_check_value"] == "B92D36B73662A61C"
        made = json.loads(run("generate-key", "--type", "00B", *where))
        checked = console.ask(
            hsm.address,
            layouts.BU,
            {"pair_code": "0B", "length_flag": "1", "key": parse_cryptogram(made["key"])},
        )
        assert checked["check_value"][:6] == made["kcv"]
        run("generate-key", "--type", "XYZ", *where, code=2)
        hsm.stop()
        run("status", *where, code=1)
    assert "| `A6`/`A7` |" in run("commands")
    wrapped = json.loads(run("wrap-test-key", "--type", "001", "--file", str(key_file)))
    assert wrapped == {"key": "U063A0E7C0F2124E56192A4510F395ED7", "kcv": "08D7B4FB"}
    key_file.write_text("no key")
    run("wrap-test-key", "--type", "001", "--file", str(key_file), code=2)


def test_I12_canary_key_pin_and_card_never_leave_the_daemon() -> None:
    """They go through it, through errors too; then its output is searched in every form."""
    account = primitives.account12(CANARY_PAN)
    block = primitives.ecb_encrypt(
        bytes.fromhex(CANARY_KEY), primitives.pin_block_0(CANARY_PIN, account)
    )
    tpk, zpk = wrap_test_key("002", CANARY_KEY), wrap_test_key("001", CANARY_KEY)
    dek = wrap_test_key("00B", CANARY_KEY)
    good = f"CA{tpk}{zpk}12{block.hex().upper()}0101{account}".encode()
    frames = [
        b"0001" + good,
        b"0002" + good[:-2],
        b"0003" + good.replace(b"0101", b"0199"),
        f"0004M0012100B{dek}0102030405060708".encode() + b"0010" + CANARY_PAN.encode(),
        f"0005M0002100B{dek}".encode() + b"FFFF" + CANARY_PAN.encode(),
        b"0006QQ" + CANARY_PAN.encode() + bytes.fromhex(CANARY_KEY),
        CANARY_PAN.encode() + b"NC",
    ]
    with daemon("--listen", "tcp:127.0.0.1:0") as hsm:
        with hsm.connect() as connection:
            connection.sendall(b"".join(framed(frame) for frame in frames))
            answers = read(connection, len(frames))
            connection.sendall(b"\xff\xff" + CANARY_PAN.encode())
            with suppress(ConnectionResetError):
                assert connection.recv(1) == b""
        out, err = hsm.stop()
    assert [answer[4:8] for answer in answers[:4]] == [b"CB00", b"CB15", b"CB23", b"M100"]
    assert "command_refused" in out
    odd = primitives.odd_parity(bytes.fromhex(CANARY_KEY)).hex()
    seen = (json.dumps(hsm.ready) + out + err).lower()
    for canary in (CANARY_KEY, odd, CANARY_PIN, CANARY_PAN, account, block.hex(), tpk, dek):
        assert canary.lower() not in seen
        assert canary.lower()[::-1] not in seen
