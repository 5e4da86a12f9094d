"""The switch and names of keys: an unknown one stops the start and says where it stands."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
WAIT_S = 60


def test_unknown_names_stop_the_start_and_are_told_with_file_and_field(office: Any) -> None:
    """Each name without a key is named with file, section and field, in one refusal; a retired key
    is no key; a pad's key in the terminals' registry counts too."""
    office.ask("generate", "vault", "--usage", "DEK")
    office.ask("retire", "vault")
    registry = office.folder / "pki" / "terminals"
    registry.mkdir(parents=True)
    record = {"terminal": "K1", "hospital": "h", "tpk": "key:k1-tpk"}
    (registry / "K1.json").write_text(json.dumps(record), "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "switch.cli", "switch", "--config", str(office.config)],
        check=False, capture_output=True, text=True, timeout=WAIT_S, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    (reason,) = [line["reason"] for line in lines if line["event"] == "start_refused"]
    told = reason.splitlines()
    assert all(line.startswith(f"{office.config}: ") for line in told)
    places = [line.split(": ")[1:3] for line in told]
    assert ["hsm hsm", "dek"] in places
    assert ["channels bank-a", "terminals[0].tmk"] in places
    assert any(place[1] == "terminals/K1.json tpk" for place in places)
    assert "no active key 'vault'" in reason
