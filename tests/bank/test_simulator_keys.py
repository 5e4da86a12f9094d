"""The bank simulator's keys: at sign-on, by reset, at bad moments."""

from importlib.resources import files

import pytest

from channels.bank_simulator.entries import WorkingKeys
from channels.iso8583.keyblock import cut_keys
from channels.iso8583.load import parse_dialect
from channels.iso8583.recognise import Recogniser
from hsm import primitives
from tests.bank.teller import MERCHANT, NOON_MS, TERMINAL, Teller
from tests.bank.test_simulator_book import every_dialect

OWNER = (MERCHANT, TERMINAL)
_TEXT = (files("channels.iso8583") / "dialects" / "cup-pos.yaml").read_text(encoding="utf-8")
_RESET = """
  key_reset:
    mti: "0800"
    fields: {"11": "{stan}", "41": "{terminal}", "42": "{merchant}", "60": "00{batch}101"}
  day_cut_start:
    mti: "0820"
    fields: {"11": "{stan}", "41": "{terminal}", "42": "{merchant}", "60": "00{batch}401"}
"""
PUSHING = parse_dialect(_TEXT.replace("network:", "network:" + _RESET.rstrip(), 1), "pushing")
"""As cup-pos, of a bank that also sends keys and the turn of its day by itself."""


@every_dialect
def test_a_second_sign_on_makes_the_first_keys_worthless(dialect):
    """A message under the old ones is answered A0."""
    teller = Teller(dialect)
    old = teller.keys
    teller.sign_on()
    teller.now_ms += 60_001

    assert teller.keys.mak != old.mak
    assert teller.send("balance", keys=old).code == "A0"
    assert teller.send("balance").code == "00"


@every_dialect
def test_after_sign_off_nothing_is_taken(dialect):
    """77 until the next sign-on."""
    teller = Teller(dialect)
    teller.send("sign_off")

    assert teller.send("balance").code == "77"
    teller.send("sign_on")
    assert teller.send("balance").code == "00"


def test_pushed_keys_hold_when_the_switch_has_taken_them():
    """Until then the old ones; for a minute after it both; then the new ones alone."""
    teller = Teller(PUSHING)
    old = teller.keys
    ((_, data),) = teller.host.pushes.keys(OWNER)
    assert teller.keys == old
    new = teller.brought(teller.decode(data))
    assert teller.host.receive(teller.cut(data)) == []  # nobody resets the bank's keys

    assert teller.answer(data) == []

    assert [teller.keys.pik, teller.keys.mak] == new
    assert teller.send("balance", keys=old).code in ("55", "00")
    assert teller.send("balance").code == "00"
    teller.now_ms = NOON_MS + 60_001
    assert teller.send("balance", keys=old).code == "A0"


def test_keys_that_the_switch_refuses_are_not_the_banks():
    """A check value that is wrong, on command: the old set stays whole."""
    teller = Teller(PUSHING)
    old = teller.keys
    ((_, data),) = teller.host.pushes.keys(OWNER, wrong=True)
    fields = teller.decode(data).fields
    block = cut_keys(teller.dialect, fields)
    (pik, _) = teller.brought(teller.decode(data))
    assert primitives.check_value(pik)[:4].hex().upper() != block.pik_kcv

    teller.answer(data, code="A7")

    assert teller.keys == old


def test_keys_are_reset_while_a_sale_is_in_flight():
    """The reset leaves before the answer, and the answer is still under the sale's keys."""
    teller = Teller(PUSHING)
    teller.habit("reset_keys")

    reset = teller.send("sale", amount="000000000100")

    assert reset.mti == "0800"
    assert [message.mti for message in teller.more] == ["0800", "0210"]
    assert teller.wire.is_proven(teller.more[1], teller.keys)


def test_a_bank_without_resets_pushes_none():
    """cup-pos gives keys at sign-on only: the habit changes nothing."""
    teller = Teller()
    teller.habit("reset_keys")

    assert teller.business("sale") == "00"


def test_the_day_turns_before_its_time():
    """Field 15 of the answer is tomorrow's, in the book too; it stays so after a restart."""
    teller = Teller()
    teller.habit("cut_over")

    answer = teller.send("sale", amount="000000000100")

    assert answer.fields["15"] == "0705"
    assert [row["date"] for row in teller.rows().values()] == ["20260705"]
    assert Teller(ledger=teller.ledger).host.date() == "20260705"


def test_a_host_sends_the_mac_key_and_then_the_pin_key():
    """cups-host: one key a message, each under the key it brings; only then are they the bank's."""
    teller = Teller("cups-host")
    old = teller.keys
    ((_, first),) = teller.host.pushes.keys(OWNER)
    (mak,) = teller.brought(teller.decode(first))

    (second,) = teller.answer(first)

    assert teller.decode(first).fields["53"] == "2600000000000000"
    assert teller.decode(second).fields["53"] == "1600000000000000"
    assert (teller.keys.mak, teller.keys.pik) == (mak, old.pik)
    (pik,) = teller.brought(teller.decode(second))
    keys = WorkingKeys(pik=pik, mak=pik, batch="")
    assert teller.wire.is_proven(teller.decode(second), keys)
    assert teller.answer(second) == []
    assert (teller.keys.mak, teller.keys.pik) == (mak, pik)
    assert teller.business("sale") == "00"


def test_I10_an_answer_that_does_not_prove_itself_takes_no_key():
    """The old set stays, and so it does for a refusal."""
    teller = Teller("cups-host")
    old = teller.keys
    ((_, data),) = teller.host.pushes.keys(OWNER)

    assert teller.answer(data, proof=bytes(15) + b"\1") == []
    assert teller.keys == old
    ((_, data),) = teller.host.pushes.keys(OWNER)
    assert teller.answer(data, code="A7") == []
    assert teller.keys == old


def test_a_wrong_key_without_check_value_is_another_key():
    """Where a block has no check value the MAC of its own message gives the lie away."""
    teller = Teller("cups-host")
    ((_, data),) = teller.host.pushes.keys(OWNER, wrong=True)
    message = teller.decode(data)
    (mak,) = teller.brought(message)

    assert not teller.wire.is_proven(message, WorkingKeys(pik=b"", mak=mak, batch=""))


@pytest.mark.parametrize("kind", ["day_cut_start", "day_cut_end", "echo"])
def test_a_host_says_when_its_day_turns(kind):
    """0820 of the bank; the answer changes nothing."""
    teller = Teller("cups-host")
    ((_, data),) = teller.host.pushes.send(kind, OWNER)
    message = teller.decode(data)

    assert Recogniser(teller.dialect).kind(message) == kind
    assert teller.answer(data, proof=b"12345678") == []
    assert teller.host.counts[f"{kind}_answer"] == 1


def test_with_the_start_of_a_day_cut_the_day_turns():
    """What is booked afterwards is tomorrow's."""
    teller = Teller("cups-host")
    teller.host.push("day_cut_start", OWNER)
    teller.business("sale")

    assert [row["date"] for row in teller.rows().values()] == ["20260705"]


@every_dialect
def test_a_bank_that_lost_its_keys_believes_nothing_until_they_are_new(dialect):
    """A0 for the sale and for what follows; after a sign-on all is well."""
    teller = Teller(dialect)
    old = teller.keys
    teller.habit("forget_keys")

    assert teller.business("sale") == "A0"
    assert teller.send("balance", keys=old).code == "A0"
    teller.sign_on()
    assert teller.business("sale") == "00"


def test_what_the_bank_sends_can_go_wrong_too():
    """Silent, late, twice; by the same habits."""
    teller = Teller("cups-host")
    for name, delays in (("silent", []), ("late", [70]), ("duplicate", [0, 70])):
        teller.habit(name, on="key_reset", delay_ms=70)
        assert [delay for delay, _ in teller.host.push("key_reset", OWNER)] == delays


def test_what_a_dialect_does_not_have_is_not_sent():
    """cup-pos knows no day cut."""
    assert Teller().host.pushes.send("day_cut_start", OWNER) == []
