"""The import rules bite: a copy of the house with wrong imports breaks every one of them."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

WRONG = {
    "switch/model/money.py": "import time",
    "switch/payment/__init__.py": "import switch.store",
    "switch/net/__init__.py": "import switch.engine",
    "switch/engine/__init__.py": "import asyncio, psycopg2, channels.iso8583",
    "channels/iso8583/__init__.py": "import his_bridge, switch.settings, hsm.primitives",
    "channels/inbound/door.py": "import channels.iso8583.hub",
    "channels/inbound/pos/desk.py": "import channels.inbound.bank_origin",
    "his_bridge/reply.py": "import lxml.etree, Crypto.Cipher, terminal_agent.journal",
    "hsm/primitives/des.py": "import switch.model, hsm.client, pkcs11",
    "terminal_agent/journal.py": "import switch.model",
    "terminal_agent/config.py": "import serial",
}


def lint(house: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter over a copy of the house."""
    command = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    assert command is not None
    return subprocess.run(
        [command, "--no-cache", "--no-logo"],
        cwd=house,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={"PYTHONPATH": str(house), "COLUMNS": "200"},
    )


def test_every_import_rule_catches_a_violation(tmp_path: Path) -> None:
    """Untouched the copy is clean; with the wrong imports no rule is kept."""
    for package in ("switch", "channels", "his_bridge", "hsm", "terminal_agent"):
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    clean = lint(tmp_path)

    for name, statement in WRONG.items():
        with (tmp_path / name).open("a", encoding="utf-8") as stream:
            stream.write(f"\n{statement}\n")
    broken = lint(tmp_path)

    assert clean.returncode == 0, clean.stdout
    assert [line for line in broken.stdout.splitlines() if " KEPT" in line] == []
    assert broken.returncode == 1
