"""PIN blocks under the bank's own key in a kiosk's pad: by their own terminal, or not at all."""

import pytest
from msgspec.structs import replace

from channels.iso8583.terminal import State
from hsm import primitives
from switch.model.outcome import Outcome
from switch.model.pin import PinFor
from switch.model.secret import Secret
from switch.observe import metrics
from switch.ports import BalanceQuery
from tests.bank.rig import (
    MERCHANT,
    PAN,
    PIN,
    SETTINGS,
    TMK,
    Rig,
    card,
    do,
    payment,
    sell,
    undo,
    with_facts,
)

SHARED, OURS, THEIRS = "10000001", "10000002", "10000003"
KIOSK = "k1"
"""The kiosk that the rig's payments come from."""


def terminals(**kiosks):
    """One terminal of the pool, one for each of two kiosks."""
    row = SETTINGS["terminals"][0]
    return [
        {**row, "terminal": SHARED},
        {**row, "terminal": OURS, "kiosk": KIOSK},
        {**row, "terminal": THEIRS, "kiosk": "k2"},
    ]


@pytest.fixture
def rig():
    return Rig(terminals=terminals())


def plan(rig, kiosk=KIOSK, clearing="outpatient"):
    return rig.run(rig.channel.pin_plan(clearing, kiosk))


def padded(made, pan=PAN, pin=PIN, **pin_for):
    """A card whose PIN the pad has encrypted as a plan said; ``pin_for`` changes what it says."""
    key = primitives.ecb_decrypt(bytes.fromhex(TMK), bytes.fromhex(made.cryptogram))
    assert primitives.check_value(key).hex().upper().startswith(made.check_value)
    block = primitives.ecb_encrypt(key, primitives.pin_block_0(pin, primitives.account12(pan)))
    own = card(pan)
    own.pin_block, own.pin_key = Secret(block.hex().upper()), ""
    facts = {name: getattr(made.pin_for, name) for name in PinFor.__struct_fields__}
    own.pin_for = PinFor(**{**facts, **pin_for})
    return own


def refused(what):
    """Refused so far for this reason."""
    return metrics.PIN_BLOCKS_REFUSED.labels("icbc", what)._value.get()


def sales(rig):
    """Terminals of the sales in the bank's book, in order."""
    return [entry.terminal for entry in rig.host.ledger.entries()]


def test_the_block_reaches_the_bank_as_the_pad_made_it(rig):
    """F52 is the pad's own block under the terminal's PIN key; the key service translates nothing,
    and makes and checks the MACs as always."""
    made = plan(rig)
    rig.key_service.calls.clear()
    own = padded(made)

    _, reply = rig.run(sell(rig, payment(rig), own))

    assert reply.outcome is Outcome.DONE
    assert sales(rig) == [OURS]
    assert "translate_pin" not in rig.key_service.calls
    assert {"make_mac", "check_mac"} <= set(rig.key_service.calls)


def test_a_plan_is_the_key_of_a_terminal_of_this_kiosk(rig):
    """By merchant role and kiosk; a kiosk without a terminal, or whose terminal is not signed on,
    has none. Only dedicated terminals keep their PIN key as the bank sent it."""
    ours, theirs = plan(rig), plan(rig, "k2")
    assert (ours.slot, ours.pin_for.terminal, theirs.pin_for.terminal) == (
        "icbc.outpatient", OURS, THEIRS,
    )  # fmt: skip
    assert ours.pin_for == PinFor(
        bank="icbc", merchant=MERCHANT, terminal=OURS, generation=1, kiosk=KIOSK
    )
    assert ours.cryptogram != theirs.cryptogram
    assert plan(rig, "k3") is None
    assert plan(rig, clearing="inpatient") is None
    assert plan(rig, "") is None
    kept = {t.terminal: bool(keys.pik_cryptogram) for t, keys in rig.key_rows.items()}
    assert kept == {SHARED: False, OURS: True, THEIRS: True}
    for end, _ in tuple(rig.net.ends):
        end.loseConnection()
    rig.net.refuse = True
    rig.settle()
    assert plan(rig) is None


def test_the_configuration_says_in_which_roles(rig):
    """For ``conf check``: a pass-through route needs a dedicated terminal."""
    assert rig.config.pass_through() == {"outpatient"}
    assert Rig(start=False).config.pass_through() == frozenset()


def test_I12_a_plan_shows_no_key(rig):
    """Not even wrapped."""
    made = plan(rig)
    assert made.cryptogram not in repr(made)


@pytest.mark.parametrize(
    ("pin_for", "what"),
    [
        ({"bank": "ccb"}, "bank"),
        ({"merchant": "103290083980002"}, "terminal"),
        ({"terminal": "10000009"}, "terminal"),
        ({"terminal": SHARED}, "kiosk"),
        ({"terminal": THEIRS}, "kiosk"),
        ({"kiosk": "k2"}, "kiosk"),
    ],
)
def test_I8_a_block_for_another_is_not_sent(rig, pin_for, what):
    """Another bank's, merchant's, terminal's, kiosk's: NotSent, alarmed and counted; nothing of it
    reaches the bank, and no terminal is held for it."""
    own, before = padded(plan(rig), **pin_for), refused(what)
    paid = payment(rig)
    assert rig.run(rig.channel.prepare(do(paid), own)) is None
    assert refused(what) == before + 1
    assert sales(rig) == []
    assert [terminal.leases for terminal in rig.terminals] == [0, 0, 0]


def test_I8_the_other_merchant_number_does_not_carry_it(rig):
    """A payment of the inpatient role with the outpatient terminal's block."""
    own, before = padded(plan(rig)), refused("clearing")
    paid = payment(rig, clearing="inpatient")
    assert rig.run(rig.channel.prepare(do(paid), own)) is None
    assert refused("clearing") == before + 1


def test_I8_a_key_that_was_replaced_makes_no_sale(rig):
    """Signed on again between the PIN and the sale: the block is nobody's. The next plan has the
    new key, and pays."""
    old = padded(plan(rig))
    ours = rig.terminals[1]
    ours.want_sign_on("test")
    rig.settle(1)
    assert ours.state is State.READY
    before = refused("generation")

    _, reply = rig.run(sell(rig, payment(rig), old))

    assert (reply.outcome, sales(rig)) == (Outcome.NOT_SENT, [])
    assert refused("generation") == before + 1
    new = plan(rig)
    assert new.pin_for.generation == 2
    assert rig.run(sell(rig, payment(rig, "p2"), padded(new)))[1].outcome is Outcome.DONE


def test_I8_a_key_that_is_replaced_while_the_mac_is_made_makes_no_sale(rig, monkeypatch):
    """The bank's reset of the PIN key is stored between the check of the block and the write."""
    own, before = padded(plan(rig)), refused("generation")
    new_keys, real = rig.terminals[1].session.new_keys, rig.key_service.make_mac

    async def replaced(*what):
        new_keys.newest = replace(new_keys.newest, generation=2)
        return await real(*what)

    monkeypatch.setattr(rig.key_service, "make_mac", replaced)
    _, reply = rig.run(sell(rig, payment(rig), own))

    assert (reply.outcome, sales(rig)) == (Outcome.NOT_SENT, [])
    assert refused("generation") == before + 1


def test_I8_a_shared_block_never_goes_by_a_dedicated_terminal(rig):
    """From the same kiosk: by the pool, translated. Where the bank has no pool, not at all."""
    assert rig.run(sell(rig, payment(rig)))[1].outcome is Outcome.DONE
    assert sales(rig) == [SHARED]
    assert "translate_pin" in rig.key_service.calls
    only = Rig(terminals=terminals()[1:])
    assert only.run(only.channel.prepare(do(payment(only)), card())) is None


def test_I8_a_terminal_is_its_kiosks_alone(rig):
    """While k1's own terminal is idle, another kiosk waits for the pool's, in vain."""
    sell_one = rig.begin(sell(rig, payment(rig, "p1"), card()))
    rig.net.black_hole = True
    waiting = rig.begin(rig.channel.prepare(do(payment(rig, "p2")), card()))
    rig.settle(4)
    assert waiting == [None]
    assert not sell_one


def test_rule_17_a_refused_block_is_not_tried_again(rig):
    """The bank says A0 (its keys are newer): one sign-on follows, but this block is made under the
    old key for ever, so the sale is Refused and not repeated. A translated one is."""
    rig.habit("decline", code="A0")
    _, through = rig.run(sell(rig, payment(rig), padded(plan(rig))))
    assert (through.outcome, through.code, through.again) == (Outcome.REFUSED, "A0", False)
    rig.habit("decline", code="A0")
    _, shared = rig.run(sell(rig, payment(rig, "p2")))
    assert (shared.outcome, shared.again) == (Outcome.REFUSED, True)


def test_I3_what_a_block_passed_through_paid_is_reversed_without_it(rig):
    """The reversal is built from the journal, by the same terminal; F52 is no part of it."""
    rig.habit("silent")
    paid = payment(rig)
    own = padded(plan(rig))
    prepared = rig.run(rig.channel.prepare(do(paid), own))
    paid = with_facts(paid, prepared.facts)
    assert own.pin_block.reveal() not in str(paid.legs[0].facts)
    ended = rig.begin(rig.channel.exchange(do(paid), own))
    rig.settle(61)
    assert ended[0].outcome is Outcome.UNKNOWN
    undone = rig.run(rig.channel.exchange(undo(with_facts(paid, ended[0].facts)), None))
    assert undone.outcome is Outcome.DONE


def test_a_balance_goes_the_same_way(rig):
    """Its block too belongs to one terminal."""
    query = BalanceQuery(clearing="outpatient", secrets=padded(plan(rig)))
    reply = rig.run(rig.channel.inquire("balance", query))
    assert (reply.ok, reply.body) == (True, {"balance_fen": 1_000_000})
    foreign = BalanceQuery(clearing="outpatient", secrets=padded(plan(rig), kiosk="k2"))
    assert rig.run(rig.channel.inquire("balance", foreign)).ok is False


def test_a_plan_at_the_node_that_does_not_hold_the_terminal(rig):
    """The kiosk is connected to another node than the one that signed its terminal on: it hears the
    stored key; the terminal comes over for the payment, and pays under that very key."""
    peer = rig.peer()
    made = peer.run(peer.channel.pin_plan("outpatient", KIOSK))
    assert made == plan(rig)
    sold = peer.begin(sell(peer, payment(peer), padded(made)))
    peer.settle(3)
    assert sold[0][1].outcome is Outcome.DONE
    assert sales(rig) == [OURS]
