"""Goal: the scanner is trusted only because it can fail: every planted secret is found."""

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.canary.scanner import Scanner, files, processes

PAN = "6225889917364502"
KEY = "0123456789ABCDEF1122334455667788"


@pytest.fixture
def scanner() -> Scanner:
    """Knows one PAN and one key."""
    made = Scanner()
    made.learn("PAN", digits=PAN)
    made.learn("key", key=KEY)
    return made


@pytest.mark.parametrize(
    ("secret", "planted"),
    [
        ("PAN", PAN.encode()),
        ("PAN", PAN.encode().hex().encode()),
        ("PAN", PAN.encode().hex().upper().encode()),
        ("PAN", bytes.fromhex(PAN)),
        ("PAN", bytes.fromhex(f"0{PAN}0")),
        ("PAN", PAN[::-1].encode()),
        ("PAN", base64.b64encode(PAN.encode())),
        ("PAN", base64.b64encode(b"x" + PAN.encode() + b"y")),
        ("PAN", base64.b64encode(b"xy" + PAN.encode() + b"zz")),
        ("PAN", base64.b64encode(b"\x10" + bytes.fromhex(PAN))),
        ("PAN", PAN.encode("utf-16-le")),
        ("key", KEY.encode()),
        ("key", KEY.lower().encode()),
        ("key", bytes.fromhex(KEY)),
        ("key", bytes.fromhex(KEY)[8:]),
        ("key", bytes.fromhex(KEY)[::-1]),
        ("key", KEY[::-1].encode()),
        ("key", KEY.encode().hex().encode()),
        ("key", base64.b64encode(bytes.fromhex(KEY))),
        ("key", base64.b64encode(b"." + bytes.fromhex(KEY)[:8])),
        ("key", base64.b64encode(KEY.encode())),
    ],
)
def test_I12_every_form_is_found(scanner: Scanner, secret: str, planted: bytes) -> None:
    """Goal: a secret in any of the forms is seen, whatever stands around it."""
    hits = scanner.scan("somewhere", b"before \x00" + planted + b"\xff after")

    assert {hit.secret for hit in hits} == {secret}


def test_I12_what_may_be_shown_is_no_hit(scanner: Scanner) -> None:
    """Goal: a masked card number and a check value do not raise a false alarm."""
    assert scanner.scan("slip", f"{PAN[:6]}******{PAN[-4:]} {KEY[:6]}".encode()) == []


def test_I12_files_and_processes_are_read(scanner: Scanner, tmp_path: Path) -> None:
    """Goal: one secret in a file below a folder and one in a process's environment are found; a
    spared file is not read."""
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "deep" / "er" / "some.log").write_text(f"card {PAN}")
    (tmp_path / "outside" / "key.hex").write_text(KEY)
    with subprocess.Popen(
        [sys.executable, "-c", "input()", "harmless"],
        stdin=subprocess.PIPE,
        env={**os.environ, "A_KEY": KEY},
    ) as child:
        seen = [
            *scanner.scan_all(files(tmp_path, ["outside"])),
            *scanner.scan_all(processes({"child": child.pid})),
        ]
        child.communicate(b"\n")

    assert {(hit.secret, hit.place.split()[-1]) for hit in seen} == {
        ("PAN", "deep/er/some.log"),
        ("key", "environ"),
    }
