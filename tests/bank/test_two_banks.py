"""Two banks, two merchant numbers each, at one kiosk: translated, and passed through."""

import pytest

from hsm import primitives
from switch.model.answer import AnswerState
from switch.observe import metrics
from terminal_agent import protocol
from tests.bank.two_banks import BINS, PANS, PIN, ROLES, Town, owner_of, tmk_of

PINS = ("translate", "pass_through")


def pays_everywhere(town):
    """Four cards and PINs one after the other at the pad, four payments at the same time."""
    cards = [town.card(bank, clearing) for bank, clearing in ROLES]
    asked = [
        town.begin(f"{n:06d}", *role, card, 1_000 + n)
        for n, (role, card) in enumerate(zip(ROLES, cards, strict=True))
    ]
    assert asked == [[], [], [], []]
    town.settle()
    return cards, [answers[0] for answers in asked]


@pytest.mark.parametrize("pin", PINS)
def test_one_kiosk_two_banks_two_merchant_numbers(pin):
    """All four are approved, each bank having opened the PIN with that merchant number's own key;
    each amount is in the book of its bank under its merchant number. Passed through, the block goes
    by the terminal that is the kiosk's own; translated, by the pool's."""
    town = Town(pin)
    cards, answers = pays_everywhere(town)

    assert [answer.state for answer in answers] == [AnswerState.APPROVED] * 4
    dedicated = pin == "pass_through"
    for name, bank in town.banks.items():
        assert bank.booked() == sorted(
            (*owner_of(name, clearing, dedicated), 1_000 + n)
            for n, (at, clearing) in enumerate(ROLES)
            if at == name
        )
    assert ("translate_pin" in town.key_service.calls) is not dedicated
    assert [card.pin_for is not None for card in cards] == [dedicated] * 4


def test_the_slots_hold_four_different_keys():
    """One pad, real slots: every block opens with its own bank's and merchant's key alone."""
    town = Town("pass_through")
    blocks, keys = {}, {}
    for bank, clearing in ROLES:
        card = town.card(bank, clearing)
        plan = town.run(town.engine.pin_plan("h1", "KIOSK001", *_of(bank, clearing)))
        sealed = bytes.fromhex(plan.cryptogram)
        keys[bank, clearing] = primitives.ecb_decrypt(tmk_of(bank, clearing), sealed)
        blocks[bank, clearing] = card.pin_block
    assert len(set(keys.values())) == 4
    for at, block in blocks.items():
        clear = primitives.pin_block_0(PIN, primitives.account12(PANS[at[0]]))
        opened = [
            role
            for role, key in keys.items()
            if primitives.ecb_decrypt(key, bytes.fromhex(block.reveal())) == clear
        ]
        assert opened == [at]


def _of(bank, clearing):
    business = {"outpatient": "outpatient_bill", "inpatient": "inpatient_deposit"}[clearing]
    return business, "bank_card", BINS[bank]


@pytest.mark.parametrize("to", ROLES)
@pytest.mark.parametrize("made", ROLES)
def test_I8_cross_use_is_refused(made, to):
    """Norm 17: a block made for one bank and merchant number pays there and nowhere else: not at
    the other bank, not under the other merchant number. Nothing is sent, and it is counted."""
    town = Town("pass_through")
    block, card = town.card(*made), town.card(*to)
    crossed = _with(card, block.pin_block, block.pin_for)
    before = _refused()

    answers = town.begin("000001", *to, crossed, 1_000)
    town.settle()

    sent = sum(len(bank.booked()) for bank in town.banks.values())
    if made == to:
        assert (answers[0].state, sent) == (AnswerState.APPROVED, 1)
        return
    assert answers[0].state is not AnswerState.APPROVED
    assert sent == 0
    assert _refused() == before + 1


@pytest.mark.parametrize("to", ROLES)
def test_I8_a_block_under_another_key_that_lies_about_it_pays_nothing(to):
    """A kiosk that says the right names over another slot's block: the bank's own key does not open
    it, so the bank declines (55, 99): never a success."""
    town = Town("pass_through")
    for made in ROLES:
        if made == to:
            continue
        block, card = town.card(*made), town.card(*to)
        answers = town.begin(
            f"{ROLES.index(made):06d}", *to, _with(card, block.pin_block, card.pin_for), 1_000
        )
        town.settle()
        assert answers[0].state is AnswerState.DECLINED
    assert sum(len(bank.booked()) for bank in town.banks.values()) == 0


@pytest.mark.parametrize("pin", PINS)
def test_I8_the_other_way_is_refused(pin):
    """A block under the shared key on a pass-through route, and the other way round: refused
    before anything is journaled. So a kiosk of protocol 1 or 2 cannot pay where a bank insists."""
    town = Town(pin)
    other = Town("pass_through" if pin == "translate" else "translate")
    role = ROLES[0]
    answers = town.begin("000001", *role, other.card(*role), 1_000)
    town.settle()
    assert (answers[0].state, answers[0].code) == (AnswerState.REFUSED, "pin_way")
    assert town.banks[role[0]].booked() == []


def test_I8_without_a_terminal_of_its_own_no_pin_is_asked_for():
    """Another kiosk hears at once that this card cannot pay here."""
    town = Town("pass_through")
    assert town.run(town.engine.pin_plan("h1", "KIOSK002", *_of(*ROLES[0]))) is None
    assert (
        town.run(town.engine.pin_plan("h1", "KIOSK001", "outpatient_bill", "bank_card", "9"))
        is None
    )


def _with(card, block, made_for):
    return protocol.Card(
        pan=card.pan,
        track2=card.track2,
        expiry=card.expiry,
        pin_block=block,
        pin_for=made_for,
    )


def _refused():
    return sum(
        sample.value
        for family in metrics.PIN_BLOCKS_REFUSED.collect()
        for sample in family.samples
        if sample.name.endswith("_total")
    )
