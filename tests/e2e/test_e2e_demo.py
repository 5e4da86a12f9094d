"""Patients at the demo's kiosk, in a real browser, with everything behind it: they see the truth,
and the books of bank, hospital, switch and kiosk agree with it."""

from tests.e2e.visitor import PAID, Visitor


def test_a_bill_is_paid_with_chip_and_pin(demo: Visitor) -> None:
    """From the tile to the card taken: the slip is printed, the money is booked."""
    before = demo.stack.settled()
    fen = demo.to_pin()
    demo.step("支付")
    demo.hands.type()
    demo.sees(PAID)
    demo.reads("凭条已打印，请取走")
    assert demo.amount_fen() == fen
    demo.goes_home()

    assert demo.stack.moved(before) == fen
