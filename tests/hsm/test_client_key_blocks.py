"""The switch's client where the LMK keeps key blocks only: against the processor, and a daemon."""

import os
from pathlib import Path

import pytest

from hsm import primitives
from hsm.block_header import Attributes
from hsm.client.service import HostCommandService
from hsm.codec import Command
from hsm.commands import Service
from hsm.lmk import NewKey, published_test_lmks
from hsm.policy import Policy, open_policy
from hsm.processor import Processor
from hsm.slots import Slots
from switch.model.secret import Secret
from switch.ports import KeyServiceError
from tests.hsm.live_service import (
    LONG_MAK,
    MAK,
    PAN,
    PIK,
    TEXT,
    TPK,
    ZMK_ONE,
    ZMK_TWO,
    Host,
    admin_of,
    done,
    formed_zmk,
    mixed,
    parity,
    pin_block,
    sent,
    signs_on_and_pays,
)
from tests.hsm.test_daemon_process import daemon, service


def client(lmk_id: str, policy: Policy | None = None) -> HostCommandService:
    """At a processor with the three published test LMKs."""
    slots = Slots(published_test_lmks())
    processor = Processor(Service(slots, policy or open_policy(), os.urandom))

    async def exchange(_command: Command, body: bytes) -> bytes:
        return processor.answer(b"0000" + body).frame[4:]

    return HostCommandService(exchange, "key:none", lmk_id, os.urandom)


def zmk_block(lmk_id: str) -> str:
    """The bank's ZMK in a key block under a test LMK."""
    joined = primitives.xor(bytes.fromhex(ZMK_ONE), bytes.fromhex(ZMK_TWO))
    new = NewKey("FFF", "S", Attributes("K0", "T2", "N", "00", "N"))
    return str(published_test_lmks()[lmk_id].keep(new, primitives.odd_parity(joined), os.urandom))


@pytest.mark.parametrize("lmk_id", ["01", "02"])
def test_a_banks_keys_become_blocks_and_work(lmk_id: str) -> None:
    """PIK and MAK as banks send them at sign-on, single and double length, with and without a tag,
    under a ZMK that is a key block: CA and M6 work with them, the check values are the bank's."""
    service = client(lmk_id)
    zmk = zmk_block(lmk_id)
    keys = {}
    for name, key_type, clear in (
        ("tpk", "002", TPK), ("pik", "001", PIK), ("mak", "003", MAK), ("zak", "008", LONG_MAK),
    ):  # fmt: skip
        tag = "X" if len(clear) == 32 and name != "pik" else ""
        key, value = done(service.import_key(key_type, zmk, tag + sent(clear)))
        assert primitives.check_value(parity(clear)).hex().upper().startswith(value)
        assert (key[0], key[15:17]) == ("S", lmk_id)
        assert done(service.check_value(key_type, key)).startswith(value)
        keys[name] = key
    block, account = Secret(pin_block(parity(TPK))), Secret(PAN[3:15])
    translated = done(service.translate_pin(keys["tpk"], keys["pik"], block, account))
    assert translated.reveal() == pin_block(parity(PIK))
    for name in ("mak", "zak"):
        mac = done(service.make_mac(keys[name], TEXT))
        assert done(service.check_mac(keys[name], TEXT, mac))


@pytest.mark.parametrize("lmk_id", ["01", "02"])
def test_a_data_key_that_travels_is_a_block_that_does_not_decrypt(lmk_id: str) -> None:
    """A ZEK comes in at a strict key service: its usage is not one of those that M2 takes."""
    key, _ = done(client(lmk_id, Policy()).import_key("00A", zmk_block(lmk_id), sent(LONG_MAK)))
    assert key[6:8] == "22"


def test_a_mac_is_the_same_under_every_lmk() -> None:
    """The key decides, not the LMK that keeps it."""
    macs = set()
    for lmk_id in ("01", "02"):
        service = client(lmk_id)
        mak, _ = done(service.import_key("003", zmk_block(lmk_id), sent(LONG_MAK)))
        macs.add(done(service.make_mac(mak, TEXT)))
    assert len(macs) == 1


@pytest.mark.parametrize(("scheme", "algorithm"), [("U", "T"), ("T", "T"), ("S", "T")])
def test_a_key_is_generated_as_what_the_lmk_keeps(scheme: str, algorithm: str) -> None:
    """Asked for U or T, a key-block LMK makes a block of that length; a variant LMK a variant key;
    and the vault works with it."""
    key, _ = done(client("02").generate_key("00B", scheme, ""))
    assert key[6:9] == "D0" + algorithm
    other, _ = done(client("").generate_key("00B", scheme if scheme != "S" else "U", ""))
    assert other[0] in "UT"
    vault = client("02")
    vault._dek = key
    kept = done(vault.protect(Secret(PAN)))
    assert done(vault.reveal(kept)).reveal() == PAN


def test_a_type_without_a_block_is_refused_here() -> None:
    """28, before anything is sent."""
    with pytest.raises(KeyServiceError, match="28"):
        done(client("02").import_key("609", zmk_block("02"), sent(PIK)))


def test_sign_on_and_payment_at_a_daemon_with_a_key_block_lmk(tmp_path: Path) -> None:
    """A live AES key-block LMK in slot 00, the bank's ZMK formed by two custodians."""
    folder = tmp_path / "hsm"
    config = service(folder, production=True)
    with daemon(config, quick=True) as (_, ready), admin_of(folder) as admin:
        mixed(admin, "00", "aes-block")
        signs_on_and_pays(Host(ready), formed_zmk(admin, "00", block=True), "002")
