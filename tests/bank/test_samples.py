"""Sample frames of each dialect, put together by hand as its specification draws them.

The pieces are the wire; nothing of ours made them. They decode to what they say and encode back to
the same bytes.
"""

import json

import pytest

from channels.iso8583.framing import likely
from channels.iso8583.keyblock import cut_keys
from channels.iso8583.message import Message
from channels.iso8583.recognise import Recogniser
from hsm import primitives
from switch import cli
from switch.net.frames import FrameReader, framed
from tests.bank.dialects import CODECS, NAMES
from tests.bank.samples import cup_pos, cups_host, gz_ascii, zj_bcd

SAMPLES = [*cup_pos.SAMPLES, *gz_ascii.SAMPLES, *zj_bcd.SAMPLES, *cups_host.SAMPLES]
WITH_KEYS = [one.SIGN_ON_ANSWER for one in (cup_pos, gz_ascii, zj_bcd)]
TMK = bytes.fromhex("CA5D92598DCA48CE8A4C76361A9269E9")
PIK = "807A23AD32B36D457AE91FDF927570EA"
MAK = "5BB5C72CD00B7338"


def _id(sample):
    return f"{sample.dialect}, {sample.name}"


every_sample = pytest.mark.parametrize("sample", SAMPLES, ids=_id)


def _decoded(sample):
    codec = CODECS[sample.dialect]
    (frame,) = FrameReader(codec.dialect.length_prefix, 4_096).receive(sample.frame)
    return codec, codec.decode(frame)


def _encoded(codec, message):
    """As we send it; what a bank sends, as a host that answers it turns its headers round."""
    if message.lead == codec.decode(codec.encode(message.mti, message.fields)).lead:
        return codec.encode(message.mti, message.fields)
    theirs = message.lead.answering
    to = Message(mti=message.mti, fields={}, tpdu=theirs.tpdu, header=theirs.header)
    return codec.answer(to, message.mti, message.fields)


def test_every_dialect_has_samples_of_both_ways():
    """Questions and answers of each; no frame is there twice."""
    asks = {(one.dialect, _decoded(one)[1].mti[2] in "02") for one in SAMPLES}

    assert asks == {(name, way) for name in NAMES for way in (True, False)}
    assert len({one.frame for one in SAMPLES}) == len(SAMPLES)


@every_sample
def test_a_sample_decodes_to_what_it_says_and_back_to_its_bytes(sample):
    """encode(decode(bytes)) = bytes, length prefix and headers included."""
    codec, message = _decoded(sample)

    assert message.fields == sample.fields
    assert framed(_encoded(codec, message), codec.dialect.length_prefix) == sample.frame
    assert Recogniser(codec.dialect).kind(message) == sample.kind


@every_sample
def test_a_sample_is_known_by_its_looks(sample):
    """Without a name the likeliest dialect is its own."""
    assert likely(list(CODECS.values()), sample.frame)[0].codec.dialect.name == sample.dialect


@every_sample
def test_I12_a_sample_is_described_whole_and_masked(sample, capsys, monkeypatch):
    """``yyt describe`` without a hint: dialect and kind, nothing is missing, no secret is shown."""
    monkeypatch.setenv("YYT_LANG", "zh")

    code = cli.main(["describe", "--json", sample.frame.hex()])

    said = capsys.readouterr().out
    shown = json.loads(said)
    assert (code, shown["dialect"], shown["kind"]) == (0, sample.dialect, sample.kind)
    assert (shown["problem"], set(shown["fields"])) == ("", set(sample.fields))
    fields = CODECS[sample.dialect].dialect.fields
    secrets = [value for n, value in sample.fields.items() if fields[n].secret]
    assert not any(secret in said for secret in secrets)


@pytest.mark.parametrize("sample", WITH_KEYS, ids=_id)
def test_the_keys_of_a_sample_are_the_published_ones(sample, capsys):
    """Cut by the dialect's layout and decrypted under the published TMK: a PIK of double length, a
    MAK of single length, both with their check values; and no description shows them."""
    codec, message = _decoded(sample)

    block = cut_keys(codec.dialect, message.fields)

    assert _clear(block.pik) == PIK
    assert _clear(block.mak) == MAK
    assert (block.pik_kcv, block.mak_kcv) == ("8D0A74B8", "AB7153CA")
    cli.main(["describe", "--json", sample.frame.hex()])
    said = capsys.readouterr().out
    assert not any(key.removeprefix("X") in said for key in (block.pik, block.mak))


def test_I10_the_headers_of_a_host_say_who_speaks():
    """All ten fields of the 46 bytes are read as they stand; the centre names us as its aim."""
    _, message = _decoded(cups_host.REVERSAL_ANSWER)

    header = message.header

    assert (header.version, header.destination, header.source) == ("02", "00000000", "00010000")
    assert (header.reserved, header.batch, header.trade) == ("000000", "07", "00000000")
    assert (header.user, header.reject_code) == ("00", "00000")


def _clear(cryptogram):
    key = bytes.fromhex(cryptogram.removeprefix("X"))
    return primitives.ecb_decrypt(TMK, key).hex().upper()
