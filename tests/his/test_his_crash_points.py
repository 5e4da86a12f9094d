"""Goal: the K points around a booking lie where the catalogue of faults says."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.his.processes import Process


@pytest.mark.parametrize(
    ("point", "booked"),
    [
        ("K6 booking committed, HIS not called", 0),
        ("K7 HIS called, no reply", 1),
        ("K8 HIS reply read, not committed", 1),
        ("", 1),
    ],
)
def test_I2_crash_point_kills_before_or_after_the_booking(
    tmp_path: Path, point: str, booked: int
) -> None:
    """Goal: killed at K6 the HIS knows nothing; at K7 and K8 it has booked, durably."""
    his = Process(tmp_path / "his.db")
    try:
        bill = json.loads(his.post(f"{his.http}/bills", b'{"patient": "P1"}'))["bills"][0]
        client = subprocess.run(
            [sys.executable, "-m", "tests.his.processes", his.soap, json.dumps(bill)],
            env=os.environ | {"CRASH_AT": point},
            stdout=subprocess.PIPE,
            timeout=30,
            check=False,
        )
        rows = his.get("/ledger")["bookings"]
    finally:
        his.kill()

    assert len(rows) == booked
    assert client.returncode == (-signal.SIGKILL if point else 0)
    assert client.stdout == (b"" if point else b"done\n")
