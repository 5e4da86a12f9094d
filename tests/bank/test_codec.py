"""Dialect and codec: what the wire looks like, odd lengths, hostile bytes, and MACs."""

import iso8583
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.iso8583.codec import Codec
from channels.iso8583.codec_bench import specification
from channels.iso8583.dialect import Content
from channels.iso8583.errors import DialectError, Iso8583Error, LocalError, RemoteError
from channels.iso8583.keyblock import cut_keys, same_kcv
from channels.iso8583.load import load_dialect, parse_dialect
from channels.iso8583.mac import cup_fold
from channels.iso8583.message import Message
from channels.iso8583.rules import check_complete, check_echo
from hsm import primitives
from tests.bank import dialects

DIALECT = load_dialect("cup-pos")
CODEC = Codec(DIALECT)
SALE = {n: value for n, value in dialects.SALE.items() if n != "55"} | {"64": "ABCDEF01"}


def _values(number):
    """Values that the dialect allows for a field."""
    field = DIALECT.fields[number]
    encoding = DIALECT.encodings[field.like]
    low = 1 if encoding.len_type else field.max
    alphabets = {
        Content.DIGITS: "0123456789",
        Content.TRACK: "0123456789D",
        Content.ASCII: "ABCxyz 019-/",
        Content.TEXT: "ABC 银联门诊019",
    }
    if encoding.content is Content.BINARY:
        return st.binary(min_size=low, max_size=field.max).map(lambda raw: raw.hex().upper())
    texts = st.text(alphabets[encoding.content], min_size=low, max_size=field.max)
    if encoding.content is Content.TEXT:  # counted in bytes of GBK
        fits = field.max
        return texts.map(lambda t: _cut(t, fits)).map(
            lambda t: t + " " * (fits - len(t.encode("gbk"))) if not encoding.len_type else t
        )
    return texts


def _cut(text, fits):
    while len(text.encode("gbk")) > fits:
        text = text[:-1]
    return text or "A"


_MESSAGES = st.fixed_dictionaries({}, optional={n: _values(n) for n in DIALECT.fields})


@settings(max_examples=150)
@given(st.sampled_from(sorted(DIALECT.mtis)), _MESSAGES)
def test_decode_gives_back_what_was_encoded(mti, fields):
    """decode(encode(x)) = x for every field of the dialect, odd lengths included."""
    message = CODEC.decode(CODEC.encode(mti, fields))

    assert (message.mti, message.fields) == (mti, fields)


def test_wire_image_of_a_sale():
    """Alignment rules: odd BCD left-aligned with 0, F22 left, F23 right, lengths in digits."""
    raw = CODEC.encode("0200", SALE).hex().upper()

    assert raw.startswith("6000030000" + "603100310000" + "0200")
    assert "19" + "62258812345678901230" in raw, "F2: 19 digits, padded right"
    assert "0210" + "0001" + "00" in raw, "F22 left-aligned, F23 right-aligned, F25"
    assert "37" + "6225881234567890123D491210100000123000" in raw, "F35: odd, separator D"
    assert "0013" + "22000007000500" in raw, "F60: 13 digits, two length bytes"
    assert raw.endswith(b"ABCDEF01".hex().upper())


@pytest.mark.parametrize("digits", range(8, 20))
def test_odd_and_even_lengths_of_field_60(digits):
    """Banks send 8 to 19 digits in F60."""
    fields = {"41": "10000001", "60": "1234567890123456789"[:digits]}

    assert CODEC.decode(CODEC.encode("0830", fields)).fields == fields


def test_headers_are_typed_and_an_answer_turns_the_tpdu_round():
    """TPDU addresses swap in the answer; the 6-byte header is read by its parts."""
    request = CODEC.decode(CODEC.encode("0200", SALE))

    answer = CODEC.decode(CODEC.answer(request, "0210", {"39": "00"}))

    assert (request.tpdu.destination, request.tpdu.source) == ("0003", "0000")
    assert (answer.tpdu.destination, answer.tpdu.source) == ("0000", "0003")
    assert (answer.header.application, answer.header.demand) == ("60", "0")


def test_our_codec_agrees_with_pyiso8583():
    """The bytes behind the headers are pyiso8583's for the same specification (oracle)."""
    raw, _ = iso8583.encode({"t": "0200", **SALE}, specification(DIALECT))

    assert CODEC.encode("0200", SALE)[11:] == bytes(raw)


@settings(max_examples=400)
@given(st.binary(max_size=300))
def test_fuzz_any_bytes_give_a_message_or_RemoteError(frame):
    """Whatever comes, the decoder answers with a value or its own error, nothing else."""
    try:
        message = CODEC.decode(frame)
        check_complete(DIALECT, message)
    except RemoteError:
        return

    assert message.mti in DIALECT.mtis


@settings(max_examples=400)
@given(st.data())
def test_fuzz_mutated_sale(data):
    """A true frame with bytes changed, cut or added: a value or our own error."""
    frame = bytearray(CODEC.encode("0200", SALE))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(frame) - 1))
        frame[at] = data.draw(st.integers(0, 255))
    frame = bytes(frame[: data.draw(st.integers(1, len(frame)))])
    said, fields = "", {}
    try:
        fields = CODEC.decode(frame).fields
    except RemoteError as error:
        said = str(error)

    assert SALE["2"] not in said
    assert all(number in DIALECT.fields for number in fields)


def test_I12_errors_carry_no_value_and_no_chain():
    """An error names a field: no clear message hangs on it, printed or chained."""
    frame = CODEC.encode("0200", SALE)[:-40]

    with pytest.raises(RemoteError) as caught:
        CODEC.decode(frame)

    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert SALE["2"] not in str(caught.value)
    assert "622588" not in repr(Message(mti="0200", fields=SALE))


@pytest.mark.parametrize(
    ("frame", "path"),
    [
        (b"", "tpdu"),
        (bytes.fromhex("60000300"), "tpdu"),
        (bytes.fromhex("6F00030000") + b"\0" * 40, "tpdu"),
        (bytes.fromhex("6000030000 6031003100"), "header"),
        (CODEC.encode("0200", SALE)[:12], "mti"),
        (CODEC.encode("0200", SALE)[:15], "bitmap"),
        (bytes.fromhex("6000030000 603100310000 0999 0000000000000000"), "mti"),
        (bytes.fromhex("6000030000 603100310000 0200 8000000000000000"), "1"),
        (bytes.fromhex("6000030000 603100310000 0200 0400000000000000"), "6"),
        (bytes.fromhex("6000030000 603100310000 0200 2000000000000000 00000A"), "3"),
        (bytes.fromhex("6000030000 603100310000 0200 4000000000000000 1A62258812"), "2"),
        (bytes.fromhex("6000030000 603100310000 0200 4000000000000000 99") + b"1" * 60, "2"),
        (CODEC.encode("0200", SALE) + b"x", "64"),
        (CODEC.encode("0210", {"39": "A0"}).replace(b"A0", b"A\x00"), "39"),
    ],
)
def test_bad_frames_name_the_field(frame, path):
    """Short headers, garbage bitmap, unknown type, non-BCD digits, trailing bytes: who and why."""
    with pytest.raises(RemoteError) as caught:
        CODEC.decode(frame)

    assert caught.value.path == path
    assert caught.value.rule


def test_pad_nibble_of_another_bank_is_an_error_not_a_guess():
    """F where 0 is configured: said plainly, to be set per dialect."""
    raw = CODEC.encode("0200", SALE).replace(
        bytes.fromhex("62258812345678901230"), bytes.fromhex("6225881234567890123F")
    )

    with pytest.raises(RemoteError, match=r"^2: "):
        CODEC.decode(raw)


@pytest.mark.parametrize(
    "fields",
    [{"4": "12.5"}, {"35": "62258=4912"}, {"41": "1000"}, {"9": "1"}, {"60": "1" * 20}],
)
def test_we_send_nothing_the_dialect_does_not_allow(fields):
    """Local mistakes are LocalError before a byte leaves."""
    with pytest.raises(LocalError):
        CODEC.encode("0200", fields)


# ---- semantic rules ------------------------------------------------------------------------------


def _answer(**changes):
    fields = {"3": "000000", "4": "000000012345", "11": "000042", "37": "000000000001"}
    fields |= {"39": "00", "41": "10000001", "64": "ABCDEF01"} | changes
    return Message(mti="0210", fields={n: v for n, v in fields.items() if v})


@pytest.mark.parametrize("missing", ["3", "11", "37", "39", "41", "64"])
def test_missing_mandatory_field(missing):
    """An approval without one of these is no approval."""
    with pytest.raises(RemoteError) as caught:
        check_complete(DIALECT, _answer(**{missing: ""}))

    assert caught.value.path == missing


def test_a_refusal_may_leave_out_what_only_an_approval_needs():
    """RRN, amount and MAC may be absent from a refusal."""
    answer = _answer(**{"39": "A0", "4": "", "37": "", "64": ""})

    check_complete(DIALECT, answer)
    check_echo(DIALECT, SALE, answer)


@pytest.mark.parametrize("number", ["3", "4", "11", "41"])
def test_I10_wrong_or_missing_echo(number):
    """An approval speaks of our amount, trace and terminal, or it is none."""
    check_echo(DIALECT, SALE, _answer())

    with pytest.raises(RemoteError):
        check_echo(DIALECT, SALE, _answer(**{number: "9" * len(SALE[number])}))
    with pytest.raises(RemoteError):
        check_echo(DIALECT, SALE, _answer(**{number: ""}))


# ---- MAC and keys --------------------------------------------------------------------------------


def test_mac_known_answer():
    """Published single-length vector: fold R written as hex, then the HSM's CBC-MAC."""
    folded = cup_fold(bytes.fromhex("4D08F434464FE7BF"))
    mac = primitives.cbc_mac(bytes.fromhex("C24A8FB57AA20123"), folded)

    assert folded == b"4D08F434464FE7BF"
    assert mac.hex().upper()[:8] == "8A9E91B8"


@given(st.binary(max_size=200))
def test_fold_is_the_xor_of_the_blocks(mab):
    """Against the definition, block by block."""
    fold = bytes(8)
    padded = mab + bytes(-len(mab) % 8)
    for at in range(0, len(padded), 8):
        fold = bytes(a ^ b for a, b in zip(fold, padded[at : at + 8], strict=True))

    assert cup_fold(mab) == fold.hex().upper().encode()


def test_mab_leaves_headers_and_mac_out():
    """Message type to the byte before F64: TPDU and header are not under the MAC."""
    raw = CODEC.encode("0200", SALE)

    assert CODEC.mab(raw) == raw[11:-8] == CODEC.decode(raw).mab


F62 = "6701EAD6A9AD51E51AA406E2C27FCFA98D0A74B8B651F9E9BACE9AE10000000000000000AB7153CA"
TMK = bytes.fromhex("CA5D92598DCA48CE8A4C76361A9269E9")


def test_field_62_known_answer():
    """Published sign-on block: PIK and single-length MAK decrypt, both check values agree."""
    block = cut_keys(DIALECT, {"62": F62})

    pik = primitives.ecb_decrypt(TMK, bytes.fromhex(block.pik[1:]))
    mak = primitives.ecb_decrypt(TMK, bytes.fromhex(block.mak))
    assert pik.hex().upper() == "807A23AD32B36D457AE91FDF927570EA"
    assert mak.hex().upper() == "5BB5C72CD00B7338"
    assert same_kcv(primitives.check_value(pik).hex(), block.pik_kcv)
    assert same_kcv(primitives.check_value(mak).hex(), block.mak_kcv)
    assert "6701EA" not in repr(block)


def test_field_62_layouts():
    """24 and 60 bytes are cut by their own layout; any other length keeps the old keys."""
    short = cut_keys(DIALECT, {"62": "11" * 8 + "22" * 4 + "33" * 8 + "44" * 4})
    long = cut_keys(DIALECT, {"62": "11" * 16 + "22" * 4 + "33" * 16 + "44" * 4 + "55" * 20})

    assert (short.pik, short.mak, short.mak_kcv) == ("11" * 8, "33" * 8, "44" * 4)
    assert (long.pik, long.mak) == ("X" + "11" * 16, "X" + "33" * 16)
    with pytest.raises(RemoteError, match="41 bytes of keys"):
        cut_keys(DIALECT, {"62": "00" * 41})


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ("8D0A74", "8D0A74B8", True),
        ("8d0a74b8aa", "8D0A74B8", True),
        ("8D0A", "8D0A74B8", False),
        ("8D0A75", "8D0A74B8", False),
        ("", "", False),
    ],
)
def test_check_values_agree_in_all_digits_both_have(ours, theirs, same):
    """Fewer than 6 common digits prove nothing."""
    assert same_kcv(ours, theirs) is same


# ---- dialect files -------------------------------------------------------------------------------


def _text():
    from importlib.resources import files

    return (files("channels.iso8583") / "dialects" / "cup-pos.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("name: cup-pos", "name: cup-pos\nname: other", "stands twice"),
        ("name: cup-pos", "nam: cup-pos", "unknown field `nam`"),
        ('"3":  {like: n,', '"3":  {like: m,', "fields.3.like: no encoding m"),
        ('"4": "{amount}"', '"4": "{amuont}"', "no value is called amuont"),
        ('answer: "0210"', 'answer: "0211"', "no message type 0211"),
        ('echoes: ["11", "41"]', 'echoes: ["11", "9"]', "field 9 is not in fields"),
        ("{length: 24,", "{length: 20,", "lies outside the block"),
        ("action: approve", "action: aprove", "Invalid enum value 'aprove'"),
        ("name: cup-pos", "name: cup-pos\nstan_scope: bank", "stan_scope: bank: batches are"),
        ("name: cup-pos", "name: [", "while parsing"),
    ],
)
def test_mistakes_in_a_dialect_file_are_named(old, new, said):
    """Unknown words, duplicate keys, dangling names: file, path and reason."""
    with pytest.raises(DialectError, match=r"bank\.yaml") as caught:
        parse_dialect(_text().replace(old, new, 1), "bank.yaml")

    assert said in str(caught.value)


def test_dialect_by_path(tmp_path):
    """A bank's own copy is named by its path; a missing one is an error with its name."""
    copy = tmp_path / "my-bank.yaml"
    copy.write_text(_text().replace("name: cup-pos", "name: my-bank", 1), encoding="utf-8")

    assert load_dialect(str(copy)).name == "my-bank"
    with pytest.raises(DialectError, match="no-such"):
        load_dialect("no-such")


def test_codes_are_text_and_complete():
    """A0 and 00 stand side by side; every row has a sentence."""
    assert {"00", "51", "55", "A0", "99", "77", "25"} <= DIALECT.codes.keys()
    assert all(row.text for row in DIALECT.codes.values())
    assert issubclass(RemoteError, Iso8583Error)
