"""What a slip prints of a sale reaches the answer to the kiosk (certification)."""

from msgspec.structs import replace

from switch.model.payment import LegState, Rest
from switch.payment import answer_of
from tests.bank.rig import SETTINGS, Rig, payment, sell

ONE = {**SETTINGS["terminals"][0], "merchant_name": "示范医院门诊", "operator": "07 "}


def test_the_banks_facts_are_in_the_receipt():
    """Issuer and acquirer of field 44, operator, merchant's name, numbers, times, the business; and
    of the card its masked number alone (I12)."""
    rig = Rig(terminals=[ONE])
    paid, _ = rig.run(sell(rig, payment(rig)))
    leg = replace(paid.legs[0], state=LegState.DONE)
    receipt = answer_of(replace(paid, legs=(leg,), rest=Rest.DONE)).receipt

    assert receipt["issuer"] == "01020000"
    assert receipt["acquirer"] == "01030000"
    assert (receipt["operator"], receipt["merchant_name"]) == ("07", "示范医院门诊")
    assert (receipt["operation"], receipt["F22"]) == ("sale", "021")
    assert receipt["masked_pan"] == "622588******7890"
    for name in ("batch", "F11", "F12", "F13", "F15", "F37", "F41", "F42"):
        assert receipt[name], name
    assert "F2" not in receipt
