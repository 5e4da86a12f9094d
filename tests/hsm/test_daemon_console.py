"""The console: commands explained field by field, and nothing secret shown."""

import json
import socket
import subprocess

import pytest

from hsm import explain
from hsm.layouts import COMMANDS
from tests.hsm.test_hsm_process import WAIT_S, command, framed, read

KEY = "U063A0E7C0F2124E56192A4510F395ED7"
BLOCK = "B35621D3FC600329"
TRANSLATE = f"CA{KEY}{KEY}12{BLOCK}0101225880123456"
SECRETS = (KEY[5:], BLOCK, "225880123456")


@pytest.mark.parametrize("code", sorted(COMMANDS))
def test_every_command_has_a_layout(code: str) -> None:
    """``CA ?`` names each field and its kind."""
    text = explain.layout(COMMANDS[code])
    assert text.startswith(f"{code}/{COMMANDS[code].response_code}  ")
    assert code in explain.listing()


def test_I12_a_request_is_explained_and_masked() -> None:
    """Scheme and four characters of a key, four digits of an account, no PIN block."""
    explained = explain.request(TRANSLATE.encode() + b"%00")
    shown = {row.name: row.shown for row in explained.rows}

    assert shown["tpk"] == "U063A… <32 characters>"
    assert shown["pin_block"] == "<16 characters>"
    assert shown["account"] == "********3456"
    assert shown["source_format"] == "01"
    assert shown["%"] == "00"
    for secret in SECRETS:
        assert secret not in explained.text()
        assert secret not in json.dumps(explained.record("request"))


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"A0001", "15"),
        (b"QQ" + BLOCK.encode(), "68"),
        (b"", "68"),
        (TRANSLATE[:80].encode(), "15"),
    ],
)
def test_a_request_that_cannot_be_read_names_the_field_alone(body: bytes, error: str) -> None:
    """The code and the field, nothing of its value."""
    explained = explain.request(body)
    assert explained.error == error
    assert explained.rows == ()
    assert BLOCK not in explained.text()


def test_a_service_and_its_commands_are_shown_as_they_come() -> None:
    """--listen: what a human types and what a host sends, explained as JSON lines."""
    process = subprocess.Popen(
        command("console", "--listen", "tcp:127.0.0.1:0", "--json"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        line = next(line for line in process.stderr if "tcp:127.0.0.1:" in line)
        port = int(line.split("tcp:127.0.0.1:")[1].split("；")[0].split(";")[0])
        with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as host:
            host.sendall(framed(b"7777" + TRANSLATE.encode()))
            assert read(host, 1)[0][:6] == b"7777CB"
        out, _ = process.communicate("NC\n", timeout=WAIT_S)
    finally:
        process.kill()
        process.wait(WAIT_S)
    told = [json.loads(line) for line in out.splitlines()]
    assert [(row["direction"], row["command"]) for row in told] == [
        ("request", "CA"), ("answer", "CB"), ("request", "NC"), ("answer", "ND"),
    ]  # fmt: skip
    assert told[3]["fields"][0]["value"] == "B92D36B73662A61C"
    for secret in SECRETS:
        assert secret not in out
    assert process.returncode == 0


def test_a_key_service_that_is_not_there() -> None:
    """--connect: exit code 1 and a sentence; plain TCP to the world is refused."""
    for arguments, code in (
        (("--connect", "unix:/nowhere/hsm.sock"), 1),
        (("--listen", "tcp:0.0.0.0:1500"), 2),
    ):
        done = subprocess.run(
            command("console", *arguments), input="list\nCA ?\nhelp\nNC\n", capture_output=True,
            text=True, timeout=WAIT_S, check=False,
        )  # fmt: skip
        assert done.returncode == code
        assert "Traceback" not in done.stderr
