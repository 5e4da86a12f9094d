"""终端信息 and 操作员号: what a terminal says of itself, byte for byte (certification)."""

import pytest

from tests.bank.rig import SETTINGS, Rig

ONE = SETTINGS["terminals"][0]


def sign_on(**changes):
    """The bytes of the first sign-on of a terminal that is configured so, without length."""
    rig = Rig(start=False, terminals=[{**ONE, **changes}])
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
