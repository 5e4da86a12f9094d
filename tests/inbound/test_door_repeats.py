"""Repeats and reversals at a door: nothing that lives or is done is denied, nothing else undone."""

from importlib.resources import files

import msgspec
import pytest
from twisted.internet.defer import Deferred

from channels.inbound.station import BATCH_TRUST_MS
from switch.model.outcome import Outcome, Reply
from tests.bank.rig import PAN, PIN
from tests.inbound.rig import APPROVED, HANG, POS_DOOR, Town, origin_town
from tests.inbound.test_bank_origin import DONE, REFUSED, _pay, _reverse

OTHER = "6225881234560000"


def _sold(town, pos, stan="000007", amount_fen=1_000):
    town.bank.script.append(APPROVED)
    frame = pos.sale(pos.card(PAN, PIN), amount_fen, stan=stan)
    town.settle()
    assert pos.code == "00"
    return frame


# ---- a repeat is never told that its payment is not ----------------------------------------------


@pytest.mark.parametrize("away", ["journal", "HSM"])
def test_I7_a_repeat_of_a_done_sale_is_not_denied_while_something_is_away(away):
    """Its answer was lost, and the switch cannot look: silence, and 00 when it can again."""
    town = Town()
    pos = town.signed_on()
    frame = _sold(town, pos)
    pos.answers.clear()

    town.faults.is_down = away == "journal"
    town.key_service.down = {"check_mac"} if away == "HSM" else set()
    pos.raw(frame)
    town.settle()
    assert pos.answers == []
    town.faults.is_down, town.key_service.down = False, set()
    pos.raw(frame)
    town.settle()

    assert pos.code == "00"


def test_I7_a_repeat_of_a_booked_bill_is_not_denied_while_the_journal_is_away():
    """The bank would give the money of a booked bill back."""
    town = origin_town()
    bank = town.signed_on()
    town.his.script.append(DONE)
    frame = _pay(bank)
    town.settle()
    bank.answers.clear()

    town.faults.is_down = True
    bank.raw(frame)
    town.settle()

    assert bank.answers == []


@pytest.mark.parametrize("front", ["pos", "bank"])
def test_I7_a_repeat_above_the_quota_is_not_denied(front):
    """The quota of the address is in use, by the payment itself among others: its repeat hears
    nothing, and then what came of it."""
    town = Town() if front == "pos" else origin_town()
    peer = town.signed_on()
    service = town.bank if front == "pos" else town.his
    service.script += [HANG] * 3
    frames = []
    for n in range(3):
        if front == "pos":
            frames.append(peer.sale(peer.card(PAN, PIN), 100, stan=f"00001{n}"))
        else:
            frames.append(_pay(peer, stan=f"00001{n}", bill=f"MZ00{n}"))
    town.settle()

    peer.raw(frames[0])
    town.settle()
    assert peer.answers == []
    service.sent[0].reply.callback(APPROVED if front == "pos" else DONE)
    town.settle()

    assert peer.code == "00"


# ---- numbers that begin again --------------------------------------------------------------------


def test_I8_a_bank_whose_f11_begins_again_pays_another_payment():
    """The batch is not settled, F11 is yesterday's: booked, and today's 0400 takes back today's."""
    town = origin_town()
    bank = town.signed_on()
    town.his.script += [DONE, DONE]
    for bill, day in (("MZ001", "0704"), ("MZ999", "0705")):
        _pay(bank, bill=bill, stan="000007", F15=day)
        town.settle()
        assert bank.code == "00"

    bank.send("0400", _reversal_of(bank, day="0705"))
    town.settle()

    assert bank.code == "00"
    assert [(one.bill, one.rest) for one in town.payments()] == [
        ("MZ001", "done"), ("MZ999", "undone"),
    ]  # fmt: skip


def test_I8_a_0400_that_names_the_day_beside_takes_nothing_back(capsys):
    """The bank writes the date of its clock where its business date belongs: neither 00, that would
    make it give back what is booked, nor another day's un-booking."""
    town = origin_town()
    bank = town.signed_on()
    town.his.script.append(DONE)
    _pay(bank, stan="000007", F15="0705")
    town.settle()

    bank.send("0400", _reversal_of(bank, day="0704"))
    town.settle()

    assert bank.code == "25"
    assert town.payments()[0].rest == "done"
    assert "reversal_of_other_date" in capsys.readouterr().out


def test_I8_a_0400_that_says_no_date_is_a_format_error():
    """Nobody can say which day's payment is meant."""
    town = origin_town()
    bank = town.signed_on()
    town.his.script.append(DONE)
    _pay(bank, stan="000007")
    town.settle()

    bank.send("0400", _reversal_of(bank, day="0000"))
    town.settle()

    assert bank.code == "30"
    assert town.payments()[0].rest == "done"


@pytest.mark.parametrize("card", [{35: f"{OTHER}D49121010000012300000"}, {}], ids=["other", "none"])
@pytest.mark.parametrize("front", ["pos", "bank"])
def test_I8_a_0400_shows_the_card_that_paid(front, card):
    """By the track when field 2 is absent; without any card it takes nothing back."""
    town = Town() if front == "pos" else origin_town()
    peer = town.signed_on()
    if front == "pos":
        _sold(town, peer, amount_fen=500)
    else:
        town.his.script.append(DONE)
        _pay(peer, stan="000007")
        town.settle()

    fields = _reversal_of(peer, day="0704")
    del fields[2]
    peer.send("0400", fields | card)
    town.settle()

    assert peer.code == "25"
    assert town.payments()[0].rest == "done"


def test_a_0400_may_show_its_card_by_the_track():
    """The right card, without field 2: taken back."""
    town = Town()
    pos = town.signed_on()
    _sold(town, pos, amount_fen=500)

    fields = _reversal_of(pos, day="0704")
    del fields[2]
    pos.send("0400", fields | {35: f"{PAN}D49121010000012300000"[:37]})
    town.settle()

    assert pos.code == "00"


def test_I7_a_pos_that_lost_its_counter_gets_a_fresh_batch(capsys):
    """It signs on with an F11 that its open batch has seen: the same card, amount and F11 is a new
    sale, and is debited; the sale of before stands."""
    town = Town()
    pos = town.signed_on()
    _sold(town, pos)
    town.bank.script.append(APPROVED)

    again = town.signed_on()
    assert again.batch == "000002"
    assert "counter_lost" in capsys.readouterr().out
    again.sale(again.card(PAN, PIN), 1_000, stan="000007")
    town.settle()

    assert again.code == "00"
    assert [(one.key[-13:], one.rest) for one in town.payments()] == [
        ("000001/000007", "done"), ("000002/000007", "done"),
    ]  # fmt: skip
    assert town.bank.verbs() == ["do", "do"]


def test_a_pos_that_counts_on_keeps_its_batch():
    """A sign-on in the middle of a day changes keys, and nothing else."""
    town = Town()
    pos = town.signed_on()
    _sold(town, pos)
    pos.stan = 7
    pos.sign_on()
    town.settle()
    pos.take_keys()

    assert pos.batch == "000001"


# ---- what a 0400 names ---------------------------------------------------------------------------


def test_I8_a_0400_with_two_numbers_never_reverses_the_sale_of_a_void():
    """Field 61 copied from the void that never came: it names the sale, F11 the void. The sale
    stands."""
    town = Town()
    pos = town.signed_on()
    _sold(town, pos)

    pos.reverse(PAN, 1_000, "000009", kind="23", code="200000", F61=f"{pos.batch}0000070704")
    town.settle()

    assert pos.code == "30"
    assert town.payments()[0].rest == "done"
    assert town.bank.verbs() == ["do"]


def test_I8_a_0400_with_two_numbers_reverses_the_void_that_it_has_the_f11_of():
    """The void is known: it goes back, and the sale stands again."""
    town = Town()
    pos = town.signed_on()
    _sold(town, pos)
    pos.refer("0200", "23", pos.card(PAN, PIN), 1_000, "000007")
    town.settle()

    pos.reverse(PAN, 1_000, pos.last[11], kind="23", code="200000", F61=f"{pos.batch}0000070704")
    town.settle()

    assert pos.code == "00"
    assert {one.business: one.rest for one in town.payments()} == {
        "pos_sale": "done", "pos_void": "undone",
    }  # fmt: skip


@pytest.mark.parametrize("agreed", [True, False])
def test_I15_a_0400_after_its_batch_was_settled_takes_nothing_back(agreed, capsys):
    """Both sides have the totals: what stands in them stays, and a person is called."""
    town = Town()
    pos = town.signed_on()
    _sold(town, pos)
    pos.settle([1_000] if agreed else [])
    town.settle()

    pos.reverse(PAN, 1_000, "000007")
    town.settle()

    assert pos.code == "12"
    assert town.payments()[0].rest == "done"
    assert "reversal_after_batch" in capsys.readouterr().out


def test_I7_a_repeated_0400_is_answered_as_before_after_its_batch_was_settled():
    """It was taken while the batch was open: 00 stays 00."""
    town = Town()
    pos = town.signed_on()
    _sold(town, pos)
    pos.reverse(PAN, 1_000, "000007")
    town.settle()
    pos.settle([])
    town.settle()

    pos.reverse(PAN, 1_000, "000007")
    town.settle()

    assert (pos.answers[-1][0], pos.code) == ("0410", "00")


def test_I1_a_batch_that_another_node_closed_takes_no_payment():
    """Settled at one node, while the other has served it since: 77 there too, a second later."""
    town = Town()
    pos = town.signed_on()
    twin_settings = {**POS_DOOR, "listen": {**POS_DOOR["listen"], "port": 7002}}
    twin = Town(twin_settings, town=town)
    town.net.listeners[7001] = town.net.listeners[7002]
    other = twin.connect()
    other.mak, other.tpk = pos.mak, pos.tpk
    other.sale(other.card(PAN, PIN), 100, stan="000007")
    twin.settle()
    assert other.code == "00"
    pos.settle([100])
    town.settle()
    town.pass_s(BATCH_TRUST_MS / 1_000 + 0.1)

    other.sale(other.card(PAN, PIN), 100, stan="000008")
    twin.settle()

    assert other.code == "77"
    assert len(town.payments()) == 1


# ---- what a bank is told -------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["51", "54", "04"])
def test_I16_a_hospital_s_code_is_no_bank_s(code):
    """The hospital's 51 is not "balance too low": a plain decline."""
    town = origin_town()
    bank = town.signed_on()
    town.his.script.append(Reply(outcome=Outcome.REFUSED, code=code, text="单据已作废"))
    _pay(bank)
    town.settle()

    assert bank.code == "05"


# ---- silence that stands -------------------------------------------------------------------------


@pytest.mark.parametrize("why", ["link lost", "too late", "no seal"])
def test_I1_a_refusal_that_did_not_reach_the_bank_is_called(why, tmp_path, capsys):
    """Where silence stands the bank keeps the money of a bill that the hospital refused."""
    town = _standing_town(tmp_path, **({"terminal_timeout_ms": 2_000} if why == "too late" else {}))
    bank = town.signed_on()
    town.his.script.append(HANG)
    _pay(bank)
    town.settle()
    if why == "link lost":
        bank.line.transport.loseConnection()
    elif why == "no seal":
        town.key_service.down = {"make_mac"}
    else:
        town.pass_s(3)
    town.his.sent[0].reply.callback(REFUSED)
    town.settle()

    assert bank.answers == []
    assert "taken_and_not_booked" in capsys.readouterr().out


def test_I1_a_refusal_that_reached_the_bank_is_not_called(tmp_path, capsys):
    """It gives the money back by itself; so it does after its own 0400."""
    town = _standing_town(tmp_path)
    bank = town.signed_on()
    town.his.script += [REFUSED, DONE]
    _pay(bank, stan="000007", bill="MZ001")
    _pay(bank, stan="000008", bill="MZ002")
    town.settle()
    _reverse(bank, "000008")
    town.settle()

    assert [fields[39] for _, fields, _ in bank.answers] == ["05", "00", "00"]
    assert "taken_and_not_booked" not in capsys.readouterr().out


def test_I1_a_bill_that_is_not_booked_after_a_restart_is_called(tmp_path, capsys):
    """The node died with the payment; the next one takes it back at the hospital, and calls it."""
    town = _standing_town(tmp_path)
    bank = town.signed_on()
    town.his.script.append(HANG)
    _pay(bank)
    town.settle()
    town.journal.crash()
    town.pass_s(31)

    again = Town(msgspec.to_builtins(town.settings), town.plugin, "cqbank", town=town)
    again.his.script.append(DONE)  # of the cancel: the payment's time is over
    Deferred.fromCoroutine(again.engine.recover())
    again.pass_s(5)

    assert (again.his.verbs(), again.payments()[0].rest) == (["cancel"], "undone")
    assert "taken_and_not_booked" in capsys.readouterr().out


def test_I6_a_payment_that_could_not_be_looked_up_is_called_where_silence_stands(tmp_path, capsys):
    """The journal is away, so nothing is said, and the bank takes that for booked."""
    town = _standing_town(tmp_path)
    bank = town.signed_on()
    town.faults.is_down = True
    _pay(bank)
    town.settle()

    assert bank.answers == []
    assert "booking_unknown" in capsys.readouterr().out


def _reversal_of(peer, day, stan="000007", amount_fen=500):
    return {2: PAN, 3: "000000", 4: f"{amount_fen:012d}", 11: stan, 22: "021", 25: "00", 39: "98",
            49: "156", 60: f"01{peer.batch}00050", 61: f"{peer.batch}{stan}{day}"}  # fmt: skip


def _standing_town(folder, **changes):
    text = (files("channels.iso8583") / "dialects" / "cup-pos.yaml").read_text(encoding="utf-8")
    file = folder / "cup.yaml"
    file.write_text(text.replace("silence_stands: false", "silence_stands: true"), encoding="utf-8")
    return origin_town(dialect=str(file), **changes)
