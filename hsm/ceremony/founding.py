"""``yyt hsm init``: a new key service's folder, its first two officers, its audit log."""

import os
import time
from pathlib import Path
from typing import Final

from hsm.audit import AuditLog, make_key
from hsm.ceremony.plan import LmkPlan, Plan
from hsm.lmk_material import SCHEMES, LmkMaterial
from hsm.officers import People
from hsm.sealing.entries import Cost
from hsm.sealing.envelope import seal
from hsm.sealing.passphrase import Officer, PassphraseSealer

CONFIG: Final = "hsm.yaml"

_TEMPLATE: Final = """\
# The key service (软件加密机); every key is explained in docs/hsm.md.
# 软件不是安全密码设备 Software is not a secure cryptographic device.
mode: {mode}
name: hsm-1
lmk:
  folder: {folder}/lmk
  slots:
    "00": {{}}
officers: {folder}/officers.json
audit:
  folder: {folder}/audit
  key: {folder}/audit.key
admin:
  path: {sockets}/hsm-admin.sock
  uids: [0]
  idle_ms: 600000
  authority_minutes_max: 60
listeners:
  - kind: unix
    path: {sockets}/hsm.sock
clients:
  switch:
    uid: {uid}
    commands: [A0, A6, A8, BU, BW, CA, CC, M0, M2, M6, M8]
limits:
  connections: 64
  frame_ms: 5000
  idle_ms: 600000
verification:
  limit: 50
  window_ms: 60000
  hold_ms: 60000
  keys_max: 100000
  account_limit: 5
  account_window_ms: 86400000
  account_hold_ms: 3600000
"""


def found(
    folder: Path,
    production: bool,
    officers: tuple[Officer, Officer],
    cost: Cost | None = None,
    *,
    sockets: Path | None = None,
    client_uid: int | None = None,
) -> Path:
    """Make the folder (0700, must be empty or new); the configuration's path. A test service gets
    a random variant LMK of test status at once, a live one waits for its ceremony. ``sockets``:
    their folder, if not this one; ``client_uid``: the switch's user, if not ours.

    OSError, SealingError, PeopleError, AuditKeyError: something stands in the way.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    names = tuple(officer.name for officer in officers)
    People.found(folder / "officers.json", *officers, cost)
    (folder / "lmk").mkdir(mode=0o700)
    key = make_key(folder / "audit.key")
    audit = AuditLog.open(folder / "audit", key, lambda: time.time_ns() // 1_000_000, "hsm-1")
    try:
        audit.record("service.founded", who=names, details={"mode": _mode(production)})
        if not production:
            material = random_lmk("00", "variant", test=True)
            seal(material, (PassphraseSealer(*officers, cost),), folder / "lmk")
            details = {"lmk": "00", "scheme": "variant", "check_value": material.check_value}
            audit.record("lmk.generated", who=names, details=details)
    finally:
        audit.close()
    path = folder / CONFIG
    text = _TEMPLATE.format(
        mode=_mode(production),
        folder=folder,
        sockets=sockets or folder,
        uid=os.getuid() if client_uid is None else client_uid,
    )
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


def random_lmk(lmk_id: str, scheme: str, *, test: bool) -> LmkMaterial:
    """An LMK that nobody ever saw; there are no components of it."""
    plan = LmkPlan(lmk_id, scheme, test)
    return plan.material(random_value(plan))


def random_value(plan: LmkPlan) -> bytes:
    """As long as the LMK, of the system's generator, with no weak key in it."""
    while True:
        drawn = os.urandom(SCHEMES[plan.scheme])
        key = plan.finished(memoryview(drawn))
        if not plan.weak(key):
            return key


def random_component(plan: Plan) -> bytes:
    """A component: every bit of it random, the parity of a DES key's bytes too."""
    while True:
        drawn = os.urandom(plan.length)
        if not plan.weak(plan.finished(memoryview(drawn))):
            return drawn


def _mode(production: bool) -> str:
    return "production" if production else "test"
