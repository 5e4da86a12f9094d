"""Channel and bank simulator in every dialect: what the switch says, the bank books."""

import re
from importlib.resources import files

import pytest

from channels.iso8583.exchange import Origin
from channels.iso8583.load import load_dialect
from switch.model.operation import Operation
from switch.model.outcome import Outcome
from switch.model.payment import LegKind
from switch.net.frames import framed
from switch.ports import WorkingKeys
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


@pytest.mark.parametrize("dialect", DIALECTS)
def test_I5_a_late_approval_of_what_another_process_sent_is_believed(dialect):
    """This process knows the sale from the journal alone. Its approval says all that the dialect's
    banks echo (cups-host: F7, which the journal has no field for) and finds its payment; one over
    another amount is nobody's (I10)."""
    _late_approval(Rig(start=False, dialect=dialect))


def test_I5_a_late_approval_that_echoes_the_card_is_believed(tmp_path):
    """The journal has the card number as the vault wrote it only: nothing to compare with."""
    text = (files("channels.iso8583") / "dialects" / "cup-pos.yaml").read_text(encoding="utf-8")
    whole = re.sub(r'("0210": .*?echoes: \[)', r'\1"2", ', text, count=1, flags=re.DOTALL)
    assert whole != text
    path = tmp_path / "echo.yaml"
    path.write_text(whole, encoding="utf-8")
    _late_approval(Rig(start=False, dialect=str(path)), **{"2": "6225881234567890"})


def _late_approval(rig, **more):
    terminal = next(iter(rig.bank.terminals.values()))
    issued = rig.run(rig.key_service.issue_key("003", terminal.config.tmk))
    rig.key_rows[terminal.identity] = WorkingKeys(
        generation=1, pik="", mak=issued.key, pik_kcv="", mak_kcv="", installed_at=0
    )
    rig.channel.start()
    rig.settle()
    paid = payment(rig)
    facts = rig.run(rig.channel._prepared(do(paid), card(), terminal)).facts
    sent = rig.channel._splits[terminal.config.operator][Operation.SALE].whole(facts, facts) | more
    rig.settle(7, steps=7)
    origin = Origin(payment_key=paid.key, leg_index=0, attempt=1)
    template = rig.dialect.operations[Operation.SALE]
    rig.bank.remember(template, facts, terminal, origin)

    def approved(**changed):
        echoes = {n: sent[n] for n in rig.dialect.mtis["0210"].echoes}
        fields = {**echoes, "39": "00", "37": "202607040001", **changed}
        fields[rig.dialect.mac.field] = rig.bank.hub.macs.blank
        frame = rig.run(rig.bank.hub.with_mac("0210", fields, terminal.mak))
        rig.net.ends[0][0].take(framed(frame, rig.dialect.length_prefix))
        rig.settle()

    approved(**{"4": "000000099999"})
    assert rig.late_replies == []
    approved()
    ((key, _, _, late),) = rig.late_replies
    assert (key, late.outcome) == (paid.key, Outcome.DONE)
