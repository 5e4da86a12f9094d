"""MACs in every form that a bank's dialect may name, by the switch's client at a processor."""

import os

import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import SM4

from hsm import primitives
from hsm.block_header import Attributes
from hsm.client.service import HostCommandService
from hsm.lmk import NewKey, published_test_lmks
from hsm.testing import wrap_test_key
from switch.model.mac_form import CUP, MacForm
from switch.ports import KeyServiceError
from tests.hsm.live_service import done
from tests.hsm.test_client_key_blocks import client

SINGLE, DOUBLE = "C24A8FB57AA20123", "6E4CA2F19B37C8D1E9F4628CD3E5F28A"
SM4_KEY = "0123456789ABCDEFFEDCBA9876543210"
MESSAGE = b"0200\x70\x24\x04\x80\x00\xc0\x80\x11 a message with \x00, \x19 and \xff in it"
CUP_X99 = MacForm(algorithm="cbc", padding="zeros", characters=8)
X99 = MacForm(algorithm="cbc", padding="zeros", characters=16)
X919 = MacForm(algorithm="retail", padding="zeros", characters=16)
X919_80 = MacForm(algorithm="retail", padding="80", characters=8)
SM4_CBC = MacForm(algorithm="sm4_cbc", padding="zeros", characters=16)


def encrypted(key: str, data: bytes) -> bytes:
    """Triple DES in CBC by the library; a single-length key is one three times."""
    clear = bytes.fromhex(key)
    cipher = Cipher(TripleDES((clear * 3)[:24]), modes.CBC(bytes(8)))
    part = cipher.encryptor()
    return part.update(data) + part.finalize()


def cbc(key: str, data: bytes) -> bytes:
    """Algorithm 1 over whole blocks."""
    return encrypted(key, data)[-8:]


def retail(key: str, data: bytes) -> bytes:
    """Algorithm 3 over whole blocks: single DES under the left half, the last step triple."""
    chain = bytes(8) if len(data) == 8 else cbc(key[:16], data[:-8])
    return cbc(key, bytes(a ^ b for a, b in zip(chain, data[-8:], strict=True)))


def padded(data: bytes, padding: str, unit: int = 8) -> bytes:
    """Methods 1 and 2."""
    data += b"\x80" if padding == "80" else b""
    return data + bytes(-len(data) % unit)


def mak_in_block(lmk_id: str, clear: str, algorithm: str) -> str:
    """A MAC key as a key block under a test LMK."""
    new = NewKey("FFF", "S", Attributes("M3", algorithm, "N", "00", "N"))
    kept = published_test_lmks()[lmk_id].keep(new, bytes.fromhex(clear), os.urandom)
    return str(kept)


def proven(service: HostCommandService, mak: str, data: bytes, form: MacForm) -> str:
    """The MAC, which also checks; changed in its last digit or its data it does not."""
    mac = done(service.make_mac(mak, data, form))
    assert len(mac) == form.characters
    assert done(service.check_mac(mak, data, mac, form))
    last = b"0" if mac[-1:] != b"0" else b"1"
    for wrong in (mac[:-1] + last, mac[:-1], mac + b"0", mac.lower(), b""):
        assert wrong == mac or not done(service.check_mac(mak, data, wrong, form))
    assert not done(service.check_mac(mak, data + b"\x01", mac, form))
    return mac.decode()


@pytest.mark.parametrize("size", [1, 7, 8, 9, 16, 255, 1999])
@pytest.mark.parametrize("key", [SINGLE, DOUBLE])
def test_I10_every_form_over_any_message(key: str, size: int) -> None:
    """X9.9 and X9.19, both paddings, both sizes, single- and double-length keys, any bytes: what an
    independent library computes. A single-length key has only one X9.19: X9.9."""
    service, mak = client(""), wrap_test_key("003", key)
    clear = primitives.odd_parity(bytes.fromhex(key)).hex()
    data = (MESSAGE * 60)[:size]
    for form in (X99, X919, X919_80, CUP_X99):
        whole = padded(data, form.padding)
        double = form.algorithm == "retail" and len(key) == 32
        expected = (retail if double else cbc)(clear, whole).hex().upper()
        assert proven(service, mak, data, form) == expected[: form.characters]


def test_I10_field_64_under_single_and_double_length_keys() -> None:
    """The published single-length MAC, and triple DES in both steps for a double-length key; never
    X9.19, which gives another value."""
    service, folded = client(""), b"4D08F434464FE7BF"
    assert proven(service, wrap_test_key("003", SINGLE), folded, CUP) == "8A9E91B8"
    clear = primitives.odd_parity(bytes.fromhex(DOUBLE)).hex()
    mac = proven(service, wrap_test_key("003", DOUBLE), folded, CUP)
    assert mac == cbc(clear, folded).hex().upper()[:8]
    assert mac != retail(clear, folded).hex().upper()[:8]


@pytest.mark.parametrize("lmk_id", ["01", "02"])
def test_a_key_in_a_block_makes_the_same_macs(lmk_id: str) -> None:
    """Its header says how long it is; the block's MAC is the variant key's."""
    variant, blocks = client(""), client(lmk_id)
    for key, algorithm in ((SINGLE, "T1"), (DOUBLE, "T2")):
        clear = primitives.odd_parity(bytes.fromhex(key)).hex()
        for form in (X99, X919, X919_80):
            made = proven(blocks, mak_in_block(lmk_id, clear, algorithm), MESSAGE, form)
            assert made == proven(variant, wrap_test_key("003", key), MESSAGE, form)


def test_an_sm4_key_makes_sm4_macs() -> None:
    """SM4 in CBC under a key block of the AES LMK: over a message, and over the 32 characters of a
    fold in blocks of 16."""
    service, mak = client("02"), mak_in_block("02", SM4_KEY, "41")
    for data in (MESSAGE, primitives.folded(padded(MESSAGE, "zeros", 16), 16)):
        for form in (SM4_CBC, MacForm(algorithm="sm4_cbc", padding="80", characters=8)):
            part = Cipher(SM4(bytes.fromhex(SM4_KEY)), modes.CBC(bytes(16))).encryptor()
            last = part.update(padded(data, form.padding, 16))[-16:]
            assert proven(service, mak, data, form) == last.hex().upper()[: form.characters]


def test_a_key_of_another_cipher_makes_no_mac() -> None:
    """A7, before anything is sent: the key service would take the cipher from the key."""
    service = client("02")
    for mak, form in (
        (mak_in_block("02", SM4_KEY, "41"), X99),
        (mak_in_block("02", DOUBLE, "T2"), SM4_CBC),
        (wrap_test_key("003", DOUBLE), SM4_CBC),
    ):
        with pytest.raises(KeyServiceError, match="A7"):
            done(service.make_mac(mak, MESSAGE, form))
        with pytest.raises(KeyServiceError, match="A7"):
            done(service.check_mac(mak, MESSAGE, b"0" * form.characters, form))


def test_an_empty_message_has_no_mac() -> None:
    """80, as the device says."""
    with pytest.raises(KeyServiceError, match="80"):
        done(client("").make_mac(wrap_test_key("003", DOUBLE), b"", X99))


def test_working_keys_come_under_an_sm4_master_key() -> None:
    """A6 under an SM4 ZMK in a block: the MAK works, its check value is SM4's."""
    service = client("02")
    new = NewKey("FFF", "S", Attributes("K0", "41", "N", "00", "N"))
    zmk_clear, mak_clear = bytes.fromhex(SM4_KEY), bytes.fromhex(DOUBLE)
    zmk = str(published_test_lmks()["02"].keep(new, zmk_clear, os.urandom))
    sent = primitives.sm4_encrypt(zmk_clear, mak_clear).hex().upper()
    for tag in ("X", ""):
        mak, value = done(service.import_key("003", zmk, tag + sent))
        assert primitives.sm4_encrypt(mak_clear, bytes(16)).hex().upper().startswith(value)
        made = proven(service, mak, MESSAGE, SM4_CBC)
        assert made == proven(service, mak_in_block("02", DOUBLE, "41"), MESSAGE, SM4_CBC)
