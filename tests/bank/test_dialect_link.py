"""Channel and bank simulator in every dialect: what the switch says, the bank books."""

import pytest

from channels.iso8583.load import load_dialect
from switch.model.operation import Operation
from switch.model.outcome import Outcome
from switch.model.payment import LegKind
from tests.bank.rig import Rig, card, do, payment, sell, undo
from tests.bank.test_operations import as_original, attempt, order_for
from tests.bank.test_simulator_book import DIALECTS

every_dialect = pytest.mark.parametrize(
    "dialect", [name for name in DIALECTS if load_dialect(name).sign_on.brings_keys]
)


def sold(rig, key="p1"):
    """An approved sale."""
    paid, reply = rig.run(sell(rig, payment(rig, key)))
    assert (reply.outcome, reply.code) == (Outcome.DONE, "00")
    rig.channel.release(do(paid))
    return paid


@every_dialect
def test_a_sale_and_its_reversal(dialect):
    """Signed on, MAC and PIN right, booked, and back."""
    rig = Rig(dialect=dialect)
    paid = sold(rig)
    assert rig.host.debits()["net_fen"] == 12_345

    reply = rig.run(rig.channel.exchange(undo(paid), None))

    assert (reply.outcome, reply.code) == (Outcome.DONE, "00")
    assert rig.host.debits()["net_fen"] == 0


@every_dialect
def test_a_void_a_refund_and_a_completion(dialect):
    """Each finds its original by what this dialect says of it."""
    rig = Rig(dialect=dialect)
    for operation, given_fen in ((Operation.VOID, 12_345), (Operation.REFUND, 45)):
        before = rig.host.debits()["net_fen"]
        original = as_original(sold(rig, f"of-{operation}").legs[0].facts)
        order = order_for(rig, operation, original, f"the-{operation}", amount_fen=given_fen)
        taken, reply, _ = attempt(rig, order, card())
        assert (reply.outcome, reply.code) == (Outcome.DONE, "00")
        assert rig.host.debits()["net_fen"] == before + 12_345 - given_fen
        rig.channel.release(do(taken))

    before = rig.host.debits()["net_fen"]
    order = order_for(rig, Operation.PREAUTH, key="the-preauth", kind=LegKind.DEBIT)
    held, reply, _ = attempt(rig, order, card())
    assert (reply.code, rig.host.debits()["held_fen"]) == ("00", 12_345)
    rig.channel.release(do(held))
    original = as_original(held.legs[0].facts, Operation.PREAUTH)
    order = order_for(rig, Operation.COMPLETION, original, "the-completion", LegKind.DEBIT)
    _, reply, _ = attempt(rig, order, card())
    assert reply.code == "00"
    assert rig.host.debits()["net_fen"] == before + 12_345
