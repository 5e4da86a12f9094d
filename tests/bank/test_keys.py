"""Working keys in every dialect: where they lie, and which one a key reset brings."""

import pytest

from channels.iso8583.errors import DialectError, RemoteError
from channels.iso8583.keyblock import cut_keys
from channels.iso8583.load import parse_dialect
from hsm import primitives
from tests.bank.dialects import CODECS

BLOCK = "6701EAD6A9AD51E51AA406E2C27FCFA98D0A74B8B651F9E9BACE9AE10000000000000000AB7153CA"
"""Published block of 40 bytes under TMK."""
TMK = bytes.fromhex("CA5D92598DCA48CE8A4C76361A9269E9")


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("cup-pos", {"62": BLOCK}),
        ("gz-ascii", {"48": "2F010161" + "1F2128" + BLOCK + "2F05024142"}),
        ("zj-bcd", {"61": BLOCK}),
    ],
)
def test_known_answer_wherever_the_block_lies(name, fields):
    """F62, a tag among others in F48, F61: the published keys come out, check values agree."""
    block = cut_keys(CODECS[name].dialect, fields)

    pik = primitives.ecb_decrypt(TMK, bytes.fromhex(block.pik[1:]))
    mak = primitives.ecb_decrypt(TMK, bytes.fromhex(block.mak))
    assert pik.hex().upper() == "807A23AD32B36D457AE91FDF927570EA"
    assert mak.hex().upper() == "5BB5C72CD00B7338"
    assert primitives.check_value(pik)[:4].hex().upper() == block.pik_kcv
    assert primitives.check_value(mak)[:4].hex().upper() == block.mak_kcv


@pytest.mark.parametrize(
    ("fields", "pik", "mak"),
    [
        ({"48": "NK" + "11" * 16, "53": "1600000000000000"}, "X" + "11" * 16, ""),
        ({"48": "NK" + "22" * 16, "53": "2600000000000000"}, "", "X" + "22" * 16),
        ({"96": "33" * 8, "53": "2000000000000000"}, "", "33" * 8),
    ],
)
def test_a_host_brings_one_key_at_a_time(fields, pik, mak):
    """F53 says which; 16 bytes come in F48 behind NK, 8 in F96; there is no check value."""
    block = cut_keys(CODECS["cups-host"].dialect, fields)

    assert (block.pik, block.mak) == (pik, mak)
    assert (block.pik_kcv, block.mak_kcv) == ("", "")


@pytest.mark.parametrize(
    ("name", "fields", "path"),
    [
        ("cup-pos", {}, "62"),
        ("cup-pos", {"62": BLOCK + "00"}, "62"),
        ("gz-ascii", {"48": "1F2128" + BLOCK[:-2]}, "48"),
        ("gz-ascii", {"48": "2F010161"}, "48"),
        ("cups-host", {"48": "NK" + "11" * 16, "53": "3600000000000000"}, "53"),
        ("cups-host", {"48": "NK" + "11" * 15, "53": "1600000000000000"}, "48"),
        ("cups-host", {"48": "XY", "53": "1600000000000000"}, "48"),
    ],
)
def test_a_block_that_is_none_changes_no_key(name, fields, path):
    """Absent, of an unknown length, broken TLV, of an unknown kind: the old keys stay."""
    with pytest.raises(RemoteError) as caught:
        cut_keys(CODECS[name].dialect, fields)

    assert caught.value.path == path


def test_a_block_that_does_not_say_its_key_is_refused_when_read():
    """One key without ``which`` could be either."""
    from importlib.resources import files

    text = (files("channels.iso8583") / "dialects" / "cups-host.yaml").read_text(encoding="utf-8")
    text = text.replace('    which: {field: "53", at: 0, size: 1}\n', "", 1)

    with pytest.raises(DialectError, match="which key it is must be said"):
        parse_dialect(text, "mine")
