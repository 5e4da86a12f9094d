"""Patients at the demo's kiosk, in a real browser, with everything behind it: they see the truth,
and the books of bank, hospital, switch and kiosk agree with it."""

from switch.demo.cards import PIN as RIGHT
from switch.demo.cards import WRONG_PIN
from tests.crash.rig import until
from tests.e2e.stack import EMULATED
from tests.e2e.visitor import (
    CARD,
    CLOSED,
    HOME,
    PAID,
    PAYING,
    PIN,
    RETURNED,
    WHO,
    Visitor,
)

SLOW_MS = 900
"""A bank that takes its time, less than the switch's."""
PATIENT = "P2002"
"""Has a visit card at the side panel."""


def to_the_bank(demo: Visitor, pin: str = RIGHT) -> None:
    """The PIN is typed, and the bank has the question: it thinks about it for a while."""
    asked = demo.stack.asked()
    demo.stack.bank_habit("late", delay_ms=SLOW_MS)
    demo.hands.type(pin)
    demo.sees(PAYING)
    until(lambda: demo.stack.asked() > asked, "the bank is asked")


def test_a_bill_is_paid_with_chip_and_pin(demo: Visitor) -> None:
    """From the tile to the card taken: the slip is printed, the money is booked."""
    before = demo.stack.settled()
    fen = demo.to_pin()
    demo.step("支付")
    demo.hands.type()
    demo.sees(PAID)
    demo.step("完成")
    demo.reads("凭条已打印，请取走")
    assert demo.amount_fen() == fen
    demo.goes_home()

    assert demo.stack.moved(before) == fen


def test_rule_17_a_wrong_pin_is_asked_again(demo: Visitor) -> None:
    """55 moves nothing; with the right one the same bill is paid, the card inside all the time."""
    before = demo.stack.settled()
    fen = demo.to_pin()
    demo.hands.type(WRONG_PIN)
    demo.sees("付款未成功")
    demo.reads("银行未扣款")
    demo.taps("再试一次")
    demo.sees(PIN)
    demo.hands.type()
    demo.sees(PAID)
    demo.goes_home()

    assert demo.stack.moved(before) == fen


def test_a_card_pulled_at_the_pin(demo: Visitor) -> None:
    """Nothing is sent; the same bill is paid at the second try."""
    before = demo.stack.settled()
    fen = demo.to_pin()
    demo.hands.press("1")
    demo.hands.pull()
    demo.sees("未能完成")
    demo.reads("银行卡被提前拔出")
    demo.reads("没有扣款")
    demo.taps("再试一次")
    demo.sees(CARD)
    demo.hands.insert()
    demo.sees(PIN)
    demo.hands.type()
    demo.sees(PAID)
    demo.goes_home()

    assert demo.stack.moved(before) == fen


def test_a_card_pulled_while_the_bank_thinks(demo: Visitor) -> None:
    """The bank approves, the card cannot confirm it any more: the money goes back (finish leg)."""
    before = demo.stack.settled()
    demo.to_pin()
    to_the_bank(demo)
    demo.hands.pull()
    demo.sees(RETURNED)
    demo.taps("返回首页")
    demo.sees(HOME)

    assert demo.stack.moved(before) == 0


def test_the_issuer_does_not_prove_itself(demo: Visitor) -> None:
    """A wrong ARPC: the card declines what the bank approved, and the money goes back."""
    before = demo.stack.settled()
    demo.stack.bank_habit("wrong_arpc")
    demo.to_pin()
    demo.hands.type()
    demo.sees(RETURNED)
    demo.goes_home()

    assert demo.stack.moved(before) == 0


def test_I7_the_page_is_loaded_anew(demo: Visitor) -> None:
    """At the PIN and while the money moves: the same screen again, and one payment."""
    before = demo.stack.settled()
    fen = demo.to_pin()
    for key in RIGHT[:3]:
        demo.hands.press(key)
    demo.dots(3)
    demo.page.reload()
    demo.sees(PIN)
    demo.dots(3)
    to_the_bank(demo, RIGHT[3:])
    demo.page.reload()
    demo.sees(PAID)
    demo.goes_home()

    assert demo.stack.moved(before) == fen


def test_I7_the_power_is_lost_while_the_bank_thinks(demo: Visitor) -> None:
    """kill -9 of the kiosk: the page comes back by itself and shows how it ended. The card has
    no power either, so nobody can finish it and the money goes back."""
    before = demo.stack.settled()
    demo.to_pin()
    to_the_bank(demo)
    demo.stack.power_cut(EMULATED)
    demo.is_gone()
    demo.sees(RETURNED)
    demo.reads("凭条已打印，请取走")
    demo.taps("返回首页")
    demo.sees(HOME)

    assert demo.stack.moved(before) == 0


def test_no_paper_then_the_slip_again(demo: Visitor) -> None:
    """The payment stands without its slip; with new paper it can be printed at the same kiosk."""
    before = demo.stack.settled()
    demo.hands.paper(False)
    fen = demo.to_pin(number=PATIENT)
    demo.hands.type()
    demo.sees(PAID)
    demo.reads("凭条未打印出来")
    demo.goes_home()
    demo.hands.paper(True)
    demo.taps("凭条补打")
    demo.sees(WHO)
    demo.hands.show(PATIENT)
    demo.sees("请选择要补打的记录")
    demo.screen.locator("button.line").first.click()
    demo.sees("打印成功")
    demo.taps("返回首页")
    demo.sees(HOME)

    assert demo.stack.moved(before) == fen


def test_the_switch_is_away_and_back(demo: Visitor) -> None:
    """Nobody can begin while it is away; the page opens again by itself, and pays."""
    before = demo.stack.settled()
    demo.stack.power_cut("switch")
    demo.sees(CLOSED)
    demo.reads("网络中断")
    demo.sees(HOME)
    fen = demo.to_pin()
    demo.hands.type()
    demo.sees(PAID)
    demo.goes_home()

    assert demo.stack.moved(before) == fen


def test_I1_the_switch_dies_in_the_middle_of_a_payment(demo: Visitor) -> None:
    """While the bank thinks. The patient is told the truth as soon as it is known."""
    before = demo.stack.settled()
    demo.to_pin()
    to_the_bank(demo)
    demo.stack.power_cut("switch")
    demo.sees(RETURNED)
    demo.goes_home()

    assert demo.stack.moved(before) == 0


def test_the_bank_is_silent(demo: Visitor) -> None:
    """And hears no reversal at first: the patient waits as long as nobody knows, with the card
    inside, and is told the end."""
    before = demo.stack.settled()
    demo.stack.bank_habit("silent")
    demo.stack.bank_habit("lose", on="reversal", times=2)
    demo.to_pin()
    demo.hands.type()
    demo.sees(PAYING)
    demo.sees(RETURNED)
    demo.reads("款项将退回原卡")
    demo.goes_home()

    assert demo.stack.moved(before) == 0
