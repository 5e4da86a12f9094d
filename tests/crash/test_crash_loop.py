"""Goal: no number of deaths, wherever they fall, makes bank, hospital and terminals disagree."""

import contextlib
import itertools
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import yaml

from switch.audit.compare import Audit
from switch.demo import programs, stage
from switch.demo.scenes import get, post
from switch.store.testing import temporary_postgres
from tests.crash.rig import Rig, running, until

pytestmark = pytest.mark.xdist_group("crash")

SECONDS = float(os.environ.get("CRASH_SECONDS", "25"))
PAYMENTS_PER_S = 12
PAUSE_S = (0.2, 1.2)
BREATHS = 0.6
"""So many of the kills find everything up and payments flowing; the others fall into a recovery."""
BREATH_S = 8.0
HEAL_S = 90.0
KILLS = (
    ("switch", signal.SIGKILL),
    ("switch", signal.SIGKILL),
    ("kiosk-1", signal.SIGKILL),
    ("kiosk-2", signal.SIGKILL),
    ("postgres", signal.SIGKILL),
    ("postgres", signal.SIGQUIT),  # what `pg_ctl stop -m immediate` sends
    ("hsm", signal.SIGKILL),
    ("bank", signal.SIGKILL),
    ("his", signal.SIGKILL),
)
HABITS = (
    {"habit": "silent", "permille": 30},
    {"habit": "wrong_mac", "permille": 20},
    {"habit": "late", "delay_ms": 2_500, "permille": 20},
    {"habit": "lose", "on": "reversal", "permille": 100},
)
_patients = itertools.count(1)


def test_K14_killed_again_and_again_inside_the_recovery_sweep(rig: Rig) -> None:
    """Goal: a sweep over two payments, one with its booking out and one with its debit out, is
    killed at its first, its second, and again at its first: it is idempotent."""
    known = {payment.key for payment in rig.books()}
    sweeps = ("K14", "K14#2", "K14", "K14#2")
    start = rig.arm("switch", "K4 sent, no answer#2", *sweeps)
    booking, debiting = f"L{next(_patients)}", f"L{next(_patients)}"
    rig.his_habit("silent", patient=booking, count=0)
    first = rig.pay(booking, kiosk="kiosk-2")
    until(lambda: _books(rig, known, first), "booking")
    rig.pay(debiting, kiosk="kiosk-1")
    rig.dies("switch", start)
    rig.his_habit("none", patient=booking)
    for number in range(len(sweeps)):
        rig.dies("switch", start + 1 + number)

    audit = rig.settled()

    assert audit.violations == []
    assert (audit.in_flight, audit.exceptions) == (0, 0)
    rests = {payment.key: payment.rest for payment in rig.books() if payment.key not in known}
    assert sorted(rests.values()) == ["done", "undone"]


def _books(rig: Rig, known: set[str], paying: "Future[Any]") -> bool:
    """Whether the new payment waits for its booking. One that ended instead fails here."""
    trails = [rig.trails(payment.key) for payment in rig.books() if payment.key not in known]
    assert not paying.done(), f"it ended: {paying.result()}, {trails}"
    return len(trails) == 1 and "book:doing" in trails[0][-1][-1]


def test_I1_random_kills_under_load(tmp_path: Path) -> None:
    """Goal: every process dies at random under load, at a bank that is silent, late and wrong now
    and then; after healing, every payment is at rest, every terminal told, and the audit clean.
    ``CRASH_SEED=n CRASH_SECONDS=s`` plays the same choice of kills again, or for longer."""
    seed = int(os.environ.get("CRASH_SEED") or secrets.randbits(32))
    sys.stdout.write(f"CRASH_SEED={seed} CRASH_SECONDS={SECONDS:.0f}\n")
    with running(Rig(tmp_path, load=PAYMENTS_PER_S)) as rig:
        story = _storm(rig, random.Random(seed))
        _heal(rig)
        audit = rig.settled(HEAL_S)
        rests = [payment.rest for payment in rig.books()]
        starts = {name: rig.starts(name) for name, _ in KILLS}

    done = rests.count("done")
    sys.stdout.write(f"{len(story)} kills, {len(rests)} payments, {done} done; {audit}\n")
    _clean(audit, story)
    assert done >= len(KILLS)
    assert min(starts.values()) > 1, starts


def _storm(rig: Rig, dice: random.Random) -> list[str]:
    """Kill until the time is over, each kind at least once; what was killed, and when."""
    began, story = time.monotonic(), []
    kinds = [*dice.sample(KILLS, len(KILLS)), *(dice.choice(KILLS) for _ in range(1_000))]
    for name, number in kinds:
        if dice.random() < BREATHS:
            _breathe(rig)
        time.sleep(dice.uniform(*PAUSE_S))
        if time.monotonic() - began > SECONDS and len(story) >= len(KILLS):
            break
        _bad_habits(rig, HABITS)
        rig.supervisor.kill(name, number)
        story.append(f"{time.monotonic() - began:.1f} {name} {number.name}")
    return story


def _breathe(rig: Rig) -> None:
    """Until a kiosk is told something new, unless that takes too long."""
    told, end = _told(rig), time.monotonic() + BREATH_S
    while time.monotonic() < end and _told(rig) <= told:
        time.sleep(0.05)


def _told(rig: Rig) -> int:
    with contextlib.suppress(OSError, ValueError):
        return sum(len(get(f"{rig.http[kiosk]}/ledger")["told"]) for kiosk in stage.KIOSKS)
    return 0


def _bad_habits(rig: Rig, habits: tuple[dict[str, object], ...]) -> None:
    """A bank that was killed has forgotten its habits; one that is down gets them the next time."""
    with contextlib.suppress(OSError):
        post(f"{rig.http['bank']}/habits", {"clear": True, "chances": habits})


def _heal(rig: Rig) -> None:
    """No more load, no more habits: the kiosks come back with nobody before them."""
    for program in programs.Programs(rig.stage, load=0).kiosks():
        rig.supervisor.replace(program)
        was = rig.starts(program.name)
        rig.supervisor.kill(program.name)
        until(lambda name=program.name, was=was: rig.starts(name) > was, "kiosks are plain ones")  # type: ignore[misc]
    rig.up("bank", "switch", *stage.KIOSKS)
    _bad_habits(rig, ())


def _clean(audit: Audit, story: list[str]) -> None:
    assert audit.violations == [], story
    assert (audit.in_flight, audit.exceptions) == (0, 0), story


def test_I4_a_database_that_may_forget_is_refused(rig: Rig, tmp_path: Path) -> None:
    """Goal: the negative control of the kills above: where a commit may be lost, nothing starts."""
    settings = yaml.safe_load((rig.stage.folder / "switch.yaml").read_text("utf-8"))
    config = tmp_path / "switch.yaml"
    with temporary_postgres("synchronous_commit=off") as server:
        settings["journal"]["data"] = str(server.data)
        config.write_text(yaml.safe_dump(settings), "utf-8")
        ended = subprocess.run(
            stage.command("switch", "--config", str(config)),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    lines = [json.loads(line) for line in ended.stdout.splitlines()]

    assert ended.returncode == 1
    (refusal,) = [line["reason"] for line in lines if line["event"] == "start_refused"]
    assert refusal.startswith("I4: synchronous_commit is off")
