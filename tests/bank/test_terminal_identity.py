"""终端信息 and 操作员号: what a terminal says of itself, byte for byte (certification)."""

import pytest

from channels.iso8583.codec import Codec
from channels.iso8583.describe import described
from channels.iso8583.load import load_dialect, read_source
from tests.bank.rig import SETTINGS, Rig

ONE = SETTINGS["terminals"][0]


def sign_on(**changes):
    """The bytes of the first sign-on of a terminal that is configured so, without length."""
    dialect = changes.pop("dialect", "cup-pos")
    rig = Rig(start=False, dialect=dialect, terminals=[{**ONE, **changes}])
    heard = []
    receive = rig.host.receive
    rig.host.receive = lambda frame: heard.append(frame) or receive(frame)
    rig.channel.start()
    rig.settle()
    return heard[0]


def test_a_serial_number_is_sent_as_the_dialect_writes_it():
    """Field 62: length 26 in BCD, the words, the length of the number in two digits, the number."""
    frame = sign_on(serial="SN00012345")
    block = b"Sequence No" + b"10" + b"SN00012345"
    assert bytes.fromhex("0023") + block in frame
    assert len(block) == 23


def test_a_bank_may_have_the_block_in_field_59(tmp_path):
    """By data alone: as cup-pos.yaml says in its comment; and a record shows it, in its parts."""
    block = '"010020402{serial:len3}{serial}"'
    source = read_source("cup-pos")
    assert f"#   terminal_block: {block}" in source
    source = source.replace(
        'terminal_block: "Sequence No{serial:len2}{serial}"', f"terminal_block: {block}"
    )
    source = source.replace(
        '"62": "{terminal_block:hex}"', '"59": "A2{terminal_block:len3}{terminal_block}"'
    )
    path = tmp_path / "own.yaml"
    path.write_text(source, encoding="utf-8")

    frame = sign_on(serial="SN00012345", dialect=str(path))

    sent = b"A2" + b"022" + b"0100204" + b"02010SN00012345"
    assert bytes.fromhex("0027") + sent in frame
    dialect = load_dialect(str(path))
    shown = described(dialect, Codec(dialect).decode(frame))
    field = next(one for one in shown.fields if one.number == "59")
    assert field.value == sent.decode()
    assert [(one.name, one.value) for one in field.pieces] == [("终端信息", sent[5:].decode())]


def test_without_a_serial_number_the_field_is_left_out():
    """No empty block."""
    assert b"Sequence No" not in sign_on()


@pytest.mark.parametrize(("operator", "sent"), [("", b"01 "), ("007", b"007"), ("12 ", b"12 ")])
def test_the_operator_number_is_the_terminals_own_or_the_dialects(operator, sent):
    """Field 63, the last of the sign-on: length 3 in BCD and the number."""
    assert sign_on(operator=operator).endswith(bytes.fromhex("0003") + sent)


def test_a_bad_operator_number_is_refused():
    """Before anything is sent."""
    with pytest.raises(ValueError, match="operator"):
        sign_on(operator="0001\n")
