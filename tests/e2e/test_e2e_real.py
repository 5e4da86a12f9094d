"""The same patients where nothing is emulated inside the kiosk: bank and visit cards in slots of a
real pcscd, pad and printer at serial lines, each with its driver of real devices."""

import pytest

from switch.demo.cards import WRONG_PIN
from terminal_agent.devices.virtual_card import Habits
from tests.crash.rig import until
from tests.e2e.hands import DeviceHands
from tests.e2e.stack import REAL
from tests.e2e.visitor import CARD, HOME, PAID, PIN, RETURNED, Visitor
from tests.pcsc.daemon import Pcscd

READING, FINISHING = 5, 10
"""Commands to a card: a record of it, and the first one after the bank's answer."""


@pytest.fixture
def hands(real: Visitor) -> DeviceHands:
    """The far ends."""
    found = real.hands
    assert isinstance(found, DeviceHands)
    return found


def test_a_bill_is_paid_with_chip_and_pin(real: Visitor, hands: DeviceHands) -> None:
    """As at the demo's kiosk; the slip comes out of the printer's line, with the card masked."""
    before = real.stack.settled()
    printed = len(hands.slips)
    fen = real.to_pin()
    hands.type()
    real.sees(PAID)
    real.reads("凭条已打印，请取走")
    real.goes_home()

    assert real.stack.moved(before) == fen
    (slip,) = hands.slips[printed:]
    assert f"{fen // 100}.{fen % 100:02d}" in slip
    assert "重打印" not in slip


def test_rule_17_a_wrong_pin_is_asked_again(real: Visitor, hands: DeviceHands) -> None:
    """The chip is asked for a second cryptogram without leaving the reader."""
    before = real.stack.settled()
    fen = real.to_pin()
    hands.type(WRONG_PIN)
    real.sees("付款未成功")
    real.taps("再试一次")
    real.sees(PIN)
    hands.type()
    real.sees(PAID)
    real.goes_home()

    assert real.stack.moved(before) == fen


def test_a_card_pulled_while_it_is_read(real: Visitor, hands: DeviceHands) -> None:
    """Nothing is sent; put in again and left there it pays."""
    before = real.stack.settled()
    fen = real.to_card()
    hands.insert(habits=Habits(pulled_at=READING))
    real.sees("未能完成")
    real.reads("银行卡被提前拔出")
    hands.pull()
    real.taps("再试一次")
    real.sees(CARD)
    hands.insert()
    real.sees(PIN)
    hands.type()
    real.sees(PAID)
    real.goes_home()

    assert real.stack.moved(before) == fen


def test_a_card_pulled_at_the_pin(real: Visitor, hands: DeviceHands) -> None:
    """Nothing is sent, and the pad asks for nothing any more."""
    before = real.stack.settled()
    real.to_pin()
    hands.press("1")
    real.dots(1)
    hands.pull()
    real.sees("未能完成")
    real.reads("没有扣款")
    real.taps("返回首页")
    real.sees(HOME)

    assert real.stack.moved(before) == 0


def test_a_card_pulled_after_the_banks_approval(real: Visitor, hands: DeviceHands) -> None:
    """In the middle of being finished: the debit is undone, the patient told so."""
    before = real.stack.settled()
    real.to_card()
    hands.insert(habits=Habits(pulled_at=FINISHING))
    real.sees(PIN)
    hands.type()
    real.sees(RETURNED)
    real.reads("款项将退回原卡")
    real.taps("返回首页")
    real.sees(HOME)

    assert real.stack.moved(before) == 0


def test_pcscd_dies_between_the_visit_card_and_the_bank_card(
    real: Visitor, hands: DeviceHands, pcscd: Pcscd
) -> None:
    """Both readers are found again by themselves, and the same patient pays."""
    before = real.stack.settled()
    fen = real.to_check()
    pcscd.kill()
    pcscd.start()
    real.taps("确认支付")
    real.sees(CARD)
    hands.insert()
    real.sees(PIN)
    hands.type()
    real.sees(PAID)
    real.goes_home()

    assert real.stack.moved(before) == fen


def test_K10_the_power_is_lost_before_the_slip(real: Visitor, hands: DeviceHands) -> None:
    """The kiosk dies knowing that it is paid, with nothing printed: after the restart the slip
    comes out, marked, since nobody can know whether one did before."""
    before = real.stack.settled()
    printed = len(hands.slips)
    real.stack.power_cut(REAL, {"CRASH_AT": "K10 told, not printed"})
    fen = real.to_pin()
    hands.type()
    real.is_gone()
    until(lambda: len(hands.slips) > printed, "the slip is printed")
    hands.pull()
    real.sees(HOME)

    assert real.stack.moved(before) == fen
    (slip,) = hands.slips[printed:]
    assert "重打印" in slip
