"""A live key service for tests: LMKs made in ceremonies, a bank's keys, the switch's own client."""

import json
import os
import subprocess
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, TypeVar

from hsm import console, primitives
from hsm.address import Address
from hsm.admin import protocol as ask
from hsm.admin.client import Admin
from hsm.ceremony.founding import random_value
from hsm.ceremony.plan import LmkPlan
from hsm.client.service import HostCommandService
from hsm.codec import Command
from hsm.daemon.config import load_config
from hsm.keys import scheme_for
from switch.model.secret import Secret
from tests.hsm.test_daemon_process import LI, WANG
from tests.hsm.test_hsm_process import WAIT_S, command

T = TypeVar("T")

BOTH = {"first": LI, "second": WANG}
ZMK_ONE, ZMK_TWO = "0123456789ABCDEFFEDCBA9876543210", "A7C4B9D3E5F28A619B37C8D1E9F46273"
TPK, PIK = "CA5D92598DCA48CE8A4C76361A9269E9", "B55D9E8F16B0F8A4C2F25483C4EC97B6"
MAK, LONG_MAK = "C24A8FB57AA20123", "6E4CA2F19B37C8D1E9F4628CD3E5F28A"
PAN, PIN = "6225880987654321", "739182"
TEXT = b"4D08F434464FE7BF"


def mixed(admin: Admin, lmk_id: str, scheme: str) -> dict[str, Any]:
    """An LMK of two components, by Li and Wang."""
    plan = LmkPlan(lmk_id, scheme, test=False)
    admin.ask(ask.BeginLmk(**BOTH, lmk_id=lmk_id, scheme=scheme, components=2))
    facts: dict[str, Any] = {}
    for person in (LI, WANG):
        value = random_value(plan).hex()
        facts = admin.ask(ask.Component(custodian=person, value=value, again=value))
    return admin.ask(ask.Confirm(check_value=facts["whole"]))


def admin_of(folder: Path) -> Admin:
    """The officers' socket."""
    return Admin(str(folder / "hsm-admin.sock"))


def authorised(admin: Admin, *commands: str) -> None:
    """Both officers allow these for five minutes."""
    admin.ask(ask.Authorise(**BOTH, commands=commands, minutes=5, purpose="test"))


def formed_zmk(admin: Admin, lmk_id: str, *, block: bool) -> str:
    """The bank's ZMK, formed of its two components."""
    authorised(admin, "A4")
    begin = ask.BeginKey(
        key_type="FFF" if block else "000", scheme="S" if block else "U", length=16, components=2,
        lmk_id=lmk_id, attributes="K0T2N00N00" if block else "",
    )  # fmt: skip
    admin.ask(begin)
    facts: dict[str, Any] = {}
    for person, value in ((LI, ZMK_ONE), (WANG, ZMK_TWO)):
        facts = admin.ask(ask.Component(custodian=person, value=value, again=value))
    key: str = admin.ask(ask.Confirm(check_value=facts["whole"]))["key"]
    return key


def sent(clear_hex: str) -> str:
    """A key as the bank sends it: plain ECB under the ZMK, untagged."""
    joined = primitives.xor(bytes.fromhex(ZMK_ONE), bytes.fromhex(ZMK_TWO))
    zmk = primitives.odd_parity(joined)
    clear = primitives.odd_parity(bytes.fromhex(clear_hex))
    return primitives.ecb_encrypt(zmk, clear).hex().upper()


def parity(clear_hex: str) -> bytes:
    """The key with odd parity."""
    return primitives.odd_parity(bytes.fromhex(clear_hex))


class Host:
    """The switch's client at a daemon's first listener, one blocking command at a time."""

    def __init__(self, ready: dict[str, Any], lmk_id: str = "") -> None:
        self.address = Address(path=ready["address"].removeprefix("unix:"))
        self.service = HostCommandService(self._exchange, "key:none", lmk_id, os.urandom)

    def ask(self, frame: bytes) -> bytes:
        """The answer without its header."""
        return console.exchange(self.address, b"0000" + frame)[4:]

    async def _exchange(self, _command: Command, body: bytes) -> bytes:
        return self.ask(body)

    @property
    def check_value(self) -> str:
        """Of LMK 00, as NC shows it."""
        return self.ask(b"NC")[4:20].decode()


def done(asked: Awaitable[T]) -> T:
    """The end of a coroutine that waits for nothing."""
    try:
        asked.__await__().__next__()
    except StopIteration as end:
        found: T = end.value
        return found
    raise AssertionError("it waits")


def pin_block(key: bytes) -> str:
    """Format 0 of the test's PIN and PAN under a key."""
    pin = f"{len(PIN):02X}{PIN}".ljust(16, "F")
    clear = primitives.xor(bytes.fromhex(pin), bytes.fromhex("0000" + PAN[3:15]))
    return primitives.ecb_encrypt(key, clear).hex().upper()


def signs_on_and_pays(host: Host, zmk: str, tpk_type: str = "70D") -> None:
    """A bank's sign-on (A6 of PIK and MAK), then a payment's CA, M6 and M8: the PIN block comes out
    exactly as the bank will open it, the MAC checks, a changed text does not."""
    tpk = brought(host, tpk_type, zmk, TPK)
    pik = brought(host, "001", zmk, PIK)
    block = done(
        host.service.translate_pin(tpk, pik, Secret(pin_block(parity(TPK))), Secret(PAN[3:15]))
    )
    assert block.reveal() == pin_block(parity(PIK))
    for key_type, clear in (("003", MAK), ("003", LONG_MAK)):
        mak = brought(host, key_type, zmk, clear)
        mac = done(host.service.make_mac(mak, TEXT))
        assert done(host.service.check_mac(mak, TEXT, mac))
        assert not done(host.service.check_mac(mak, TEXT[::-1], mac))


def brought(host: Host, key_type: str, zmk: str, clear: str) -> str:
    """A6 of a key of the bank, its check value compared; under the LMK."""
    key, value = done(host.service.import_key(key_type, zmk, sent(clear)))
    expected = primitives.check_value(parity(clear)).hex().upper()
    assert expected.startswith(value)
    if not key.startswith("S"):
        assert key[0] == scheme_for(len(clear) // 2) or len(clear) == 16
    return key


def verified(folder: Path) -> list[str]:
    """What the audit log records; it is sound."""
    config = load_config(folder / "hsm.yaml")
    places = ("--log", config.audit.folder)
    verify = command("audit", "verify", *places, "--key", config.audit.key)
    shown = command("audit", "show", *places, "--last", "5000", "--json")
    assert subprocess.run(verify, capture_output=True, timeout=WAIT_S, check=False).returncode == 0
    told = subprocess.run(shown, capture_output=True, timeout=WAIT_S, check=True).stdout
    return [json.loads(line)["what"] for line in told.splitlines()]
