"""Working keys that we make for a terminal which signs on with us: A0 mode 1, by the client."""

import os
from pathlib import Path

import pytest

from hsm import primitives
from hsm.block_header import Attributes
from hsm.client.service import HostCommandService
from hsm.lmk import NewKey, published_test_lmks
from hsm.testing import wrap_test_key
from switch.model.mac_form import CUP
from switch.model.secret import Secret
from switch.ports import KeyServiceError
from tests.hsm.live_service import (
    MAK,
    PAN,
    PIK,
    TEXT,
    ZMK_ONE,
    ZMK_TWO,
    Host,
    admin_of,
    brought,
    done,
    formed_zmk,
    mixed,
    parity,
    pin_block,
)
from tests.hsm.test_client_key_blocks import client, zmk_block
from tests.hsm.test_daemon_process import daemon, service

TMK = parity(primitives.xor(bytes.fromhex(ZMK_ONE), bytes.fromhex(ZMK_TWO)).hex())


def opened(cryptogram: str) -> bytes:
    """What the terminal finds in it."""
    assert cryptogram.startswith("X")
    return primitives.ecb_decrypt(TMK, bytes.fromhex(cryptogram[1:]))


def serves_a_terminal(service: HostCommandService, zmk: str, pik: str, tpk_type: str) -> None:
    """The terminal signs on, makes a PIN block and MACs a message with what it was sent; we bring
    the PIN under the bank's PIK and check the MAC with what we kept; each key is new."""
    pin_key = done(service.issue_key(tpk_type, zmk))
    mac_key = done(service.issue_key("003", zmk))
    assert len({pin_key.key, mac_key.key, done(service.issue_key("003", zmk)).key}) == 3
    for issued in (pin_key, mac_key):
        shown = primitives.check_value(opened(issued.cryptogram)).hex().upper()
        assert shown == issued.check_value
        assert len(shown) == 16

    block = Secret(pin_block(opened(pin_key.cryptogram)))
    moved = done(service.translate_pin(pin_key.key, pik, block, Secret(PAN[3:15])))
    assert moved.reveal() == pin_block(parity(PIK))
    mac = primitives.cbc_mac(opened(mac_key.cryptogram), TEXT).hex().upper()[:8].encode()
    assert done(service.check_mac(mac_key.key, TEXT, mac, CUP))
    assert done(service.make_mac(mac_key.key, TEXT, CUP)) == mac
    with pytest.raises(KeyServiceError):  # the PIN key makes no MAC
        done(service.make_mac(pin_key.key, TEXT, CUP))


def test_working_keys_under_a_variant_lmk() -> None:
    """The published test LMK."""
    service = client("")
    serves_a_terminal(
        service, wrap_test_key("000", TMK.hex()), wrap_test_key("001", PIK), tpk_type="002"
    )


@pytest.mark.parametrize("lmk_id", ["01", "02"])
def test_working_keys_under_a_key_block_lmk(lmk_id: str) -> None:
    """Both kinds of key block: the terminal still gets plain ECB."""
    service = client(lmk_id)
    new = NewKey("FFF", "S", Attributes("P0", "T2", "N", "00", "N"))
    pik = str(published_test_lmks()[lmk_id].keep(new, parity(PIK), os.urandom))
    serves_a_terminal(service, zmk_block(lmk_id), pik, tpk_type="002")


def test_working_keys_under_an_sm4_master_key_are_sm4() -> None:
    """What a terminal with an SM4 master key can open."""
    service, clear = client("02"), bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
    new = NewKey("FFF", "S", Attributes("K0", "41", "N", "00", "N"))
    zmk = str(published_test_lmks()["02"].keep(new, clear, os.urandom))
    issued = done(service.issue_key("003", zmk))
    key = primitives.BLOCK_CIPHERS["4"].decrypt(clear, bytes.fromhex(issued.cryptogram[1:]))
    assert primitives.sm4_encrypt(key, bytes(16)).hex().upper().startswith(issued.check_value)


def test_a_key_that_is_no_master_key_issues_nothing() -> None:
    """The HSM tells a working key from a master key; a type that must stay at home stays."""
    for zmk in (wrap_test_key("003", PIK), wrap_test_key("001", PIK)):
        with pytest.raises(KeyServiceError, match="10"):
            done(client("").issue_key("002", zmk))
    with pytest.raises(KeyServiceError):
        done(client("").issue_key("003", MAK))


def test_working_keys_at_a_daemon(tmp_path: Path) -> None:
    """A live variant LMK, the terminal's master key formed by two custodians."""
    folder = tmp_path / "hsm"
    config = service(folder, production=True)
    with daemon(config, quick=True) as (_, ready), admin_of(folder) as admin:
        mixed(admin, "00", "variant")
        zmk = formed_zmk(admin, "00", block=False)
        host = Host(ready)
        serves_a_terminal(host.service, zmk, brought(host, "001", zmk, PIK), tpk_type="70D")
