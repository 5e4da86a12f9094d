"""Profiles, stripe rules, and what the kernel may import."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from terminal_agent.config import ConfigError
from terminal_agent.emv import profile
from terminal_agent.emv.actions import EmvPayment
from terminal_agent.emv.apdu import Style
from terminal_agent.emv.context import Context
from terminal_agent.emv.fallback import ChipTrouble, stripe_allowed
from tests.emv.parts import CUP, PAYMENT, TERMINAL

CUP_TEXT = (profile.FOLDER / "cup.yaml").read_text("utf-8")


def test_shipped_profiles_load() -> None:
    """Every one, and by the name it has inside."""
    assert profile.shipped() == ("cup", "international")
    for name in profile.shipped():
        assert profile.load_profile(name).name == name


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ('9F35: "24"', 'DF01: "24"', "9F35 is missing"),
        ('9F35: "24"', '9F35: "2A"', "objects.9F35"),
        ('9F33: "604000"', '9F33: "6040"', "objects.9F33"),
        ('9F33: "604000"', '9F33: "60400"', "objects.9F33"),
        ("A0000000031010,", "A000,", "applications"),
        ("A0000000031010,", "A00000000310G0,", "applications"),
        ('version: "0096"', 'version: "96"', "applications"),
        ('"9F63"]', '"9f63"]', "field55"),
        ("records_max: 64", "records_max: 0", "limits"),
        ("records_max: 64", "records_max: many", "records_max"),
        ("reset_tries: 3", "reset_tries: 0", "limits"),
        ("velocity: false", "speed: false", "speed"),
        ("velocity: false", "", "velocity"),
    ],
)
def test_a_wrong_profile_is_refused_with_its_place(
    tmp_path: Path, old: str, new: str, where: str
) -> None:
    """Nothing is half understood."""
    assert old in CUP_TEXT
    path = tmp_path / "bank.yaml"
    path.write_text(CUP_TEXT.replace(old, new), "utf-8")
    with pytest.raises(ConfigError, match=where):
        profile.load_profile(str(path))


def test_a_banks_own_file_is_loaded(tmp_path: Path) -> None:
    """A copy that was changed."""
    path = tmp_path / "bank.yaml"
    path.write_text(CUP_TEXT.replace("name: cup", "name: bank").replace("floor_limit_fen: 0\n", ""))
    assert profile.load_profile(str(path)).name == "bank"
    assert profile.load_profile(str(path)).floor_limit_fen is None


@pytest.mark.parametrize(
    ("service", "trouble", "tries", "allowed"),
    [
        ("101", ChipTrouble.NOT_TRIED, 0, True),
        ("", ChipTrouble.NOT_TRIED, 0, True),
        ("201", ChipTrouble.NOT_TRIED, 0, False),
        ("620", ChipTrouble.NOT_TRIED, 0, False),
        ("201", ChipTrouble.UNREADABLE, 2, False),
        ("201", ChipTrouble.UNREADABLE, 3, True),
        ("201", ChipTrouble.NO_APPLICATION, 3, False),
        ("201", ChipTrouble.REFUSED, 9, False),
    ],
)
def test_when_the_stripe_counts(
    service: str, trouble: ChipTrouble, tries: int, allowed: bool
) -> None:
    """A chip card's stripe only where the chip stayed dumb often enough and the bank allows it."""
    assert stripe_allowed(CUP.fallback, service, trouble, tries) is allowed


@pytest.mark.parametrize(
    ("fen", "fits"), [(0, True), (10**12 - 1, True), (10**12, False), (-1, False)]
)
def test_I16_an_amount_fits_or_is_refused(fen: int, fits: bool) -> None:
    """Twelve digits, integer fen; never cut."""
    payment = EmvPayment(
        amount_fen=fen,
        date=PAYMENT.date,
        time=PAYMENT.time,
        unpredictable=PAYMENT.unpredictable,
        counter=1,
    )
    if fits:
        context = Context(CUP, TERMINAL, payment, Style.T1)
        assert context.own["9F02"].hex() == f"{fen:012d}"
    else:
        with pytest.raises(ValueError, match="12 digits"):
            Context(CUP, TERMINAL, payment, Style.T1)


def test_the_kernel_imports_no_cipher_no_reader_and_nothing_posix() -> None:
    """It runs where only Python and the agent's own parts are: a fresh process with the rest
    blocked imports and runs it."""
    code = """
import sys
for name in ("Crypto", "smartcard", "serial", "fcntl", "termios", "pty", "pwd", "grp", "resource",
             "twisted", "switch", "hsm", "channels", "his_bridge"):
    sys.modules[name] = None
from terminal_agent.emv import cli, fallback, kernel
from terminal_agent.emv.profile import load_profile
load_profile("cup")
heavy = {"PIL", "lxml", "structlog", "asyncio", "sqlite3", "cryptography"} & set(sys.modules)
assert not heavy, heavy
"""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    "changed",
    [
        {"merchant_number": "1"},
        {"terminal_number": "123456789"},
        {"interface_serial": ""},
        {"merchant_name": "x" * 41},
    ],
)
def test_a_terminal_that_does_not_fit_is_refused(changed: dict[str, str]) -> None:
    """Before the card is asked for anything: a cut merchant number would pay somebody else."""
    with pytest.raises(ValueError, match="does not fit"):
        Context(CUP, msgspec.structs.replace(TERMINAL, **changed), PAYMENT, Style.T1)
