"""``yyt key`` at the real daemon: TR-31 blocks of a bank, and keys under its key-block LMK."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hsm.testing import wrap_test_key

ROOT = Path(__file__).parents[2]
ZMK = "0123456789ABCDEFFEDCBA9876543210"


@pytest.fixture
def at_the_daemon(office: Any) -> Iterator[Any]:
    """The officer at ``yyt hsm serve --test-lmk``: LMKs 00 (variant), 01 and 02 (key block)."""
    with subprocess.Popen(
        [sys.executable, "-m", "switch.cli", "hsm", "serve", "--test-lmk", "--listen",
         "tcp:127.0.0.1:0"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            ready = json.loads(next(line for line in process.stdout if '"ready"' in line))
            office.port = int(ready["address"].rpartition(":")[2])
            office.configure()
            yield office
        finally:
            process.terminate()


def test_a_banks_tr31_block_comes_in_and_a_changed_one_does_not(at_the_daemon: Any) -> None:
    """Out as TR-31 and in again as the bank would send it, without the R and without a stated check
    value: the same key. One changed character is refused by the HSM, and nothing is kept."""
    office = at_the_daemon
    office.ask("import", "zmk", "--usage", "ZMK", "--cryptogram", wrap_test_key("000", ZMK))
    made = office.ask("generate", "zpk", "--usage", "ZPK")
    block = office.ask("export", "zpk", "--under", "key:zmk", "--scheme", "R")["cryptogram"]
    came = ("--usage", "ZPK", "--under", "key:zmk", "--cryptogram-file", "-")
    again = office.ask("import", "again", *came, stdin=block.removeprefix("R"))
    assert (again["held"], again["check_value"]) == (made["held"], made["check_value"])
    (event,) = office.ask("show", "again")["history"]
    assert event["detail"] == "came as TR-31 under zmk version 1"
    changed = block[:-1] + ("0" if block[-1] != "0" else "1")
    assert "A4" in office.refusal("import", "changed", *came, stdin=changed)
    assert {key["name"] for key in office.ask("list")} == {"zmk", "zpk", "again"}


def test_keys_under_a_key_block_lmk_say_themselves_where_they_are(at_the_daemon: Any) -> None:
    """Made under LMK 02 as blocks, without a suffix; they go out as TR-31 under a ZMK of the same
    LMK, never together with a ZMK of another one."""
    office = at_the_daemon
    office.ask("import", "zmk", "--usage", "ZMK", "--cryptogram", wrap_test_key("000", ZMK))
    for name, usage in (("zmk-2", "ZMK"), ("zpk-2", "ZPK")):
        made = office.ask("generate", name, "--usage", usage, "--lmk", "02", "--scheme", "S")
        assert (made["held"][0], made["lmk_id"], made["scheme"]) == ("S", "02", "S")
        assert "%" not in made["held"]
    out = office.ask("export", "zpk-2", "--under", "key:zmk-2", "--scheme", "R")
    assert out["cryptogram"].startswith("R")
    mixed = office.refusal("export", "zpk-2", "--under", "key:zmk", "--scheme", "R")
    assert "13 its keys are under different LMKs" in mixed
