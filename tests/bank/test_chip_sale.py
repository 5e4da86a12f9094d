"""Chip cards end to end at the bank's side: a virtual card and the kiosk's kernel, the channel, the
bank simulator; what the journal holds of it, and what a reversal says."""

import msgspec
import pytest

from channels.bank_simulator.entries import State
from channels.bank_simulator.world import WorldError, load_world
from channels.iso8583.errors import DialectError
from channels.iso8583.load import parse_dialect
from switch.model.chip import JOURNALED, encode, parse
from switch.model.outcome import Outcome
from switch.model.payment import Leg, LegKind, LegState
from switch.model.secret import Secret
from terminal_agent.devices.virtual_card import PRESETS, Habits, VirtualCard
from terminal_agent.emv.actions import EndKind, HostAnswer, Verdict
from tests.bank.rig import CHIP_PAN, DIALECT, PAN, Rig, card, do, payment, sell, undo
from tests.emv.parts import run


class Town:
    """One virtual card at one kiosk: its bank is the rig's."""

    def __init__(self, habit="", card_habits=None, amount_fen=12_345, **more):
        self.rig = Rig()
        self.seen = []
        receive = self.rig.host.receive
        decode = self.rig.host.codec.decode
        self.rig.host.receive = lambda frame: self.seen.append(decode(frame)) or receive(frame)
        if habit:
            self.rig.habit(habit, **more)
        self.amount_fen = amount_fen
        self.paid = self.reply = self.online = None
        self.run = run(VirtualCard(PRESETS["debit"], card_habits), self.host)

    def host(self, online):
        self.online = online
        self.paid, self.reply = self.rig.run(
            sell(self.rig, payment(self.rig, amount_fen=self.amount_fen), self.secrets())
        )
        approved = self.reply.outcome is Outcome.DONE
        issuer = self.reply.issuer.reveal() if approved else b""
        verdict = Verdict.APPROVED if approved else Verdict.DECLINED
        return HostAnswer.read(verdict, self.reply.code, issuer)

    def secrets(self, **changes):
        return msgspec.structs.replace(
            card(pan=CHIP_PAN),
            track2=Secret(self.online.track2.reveal()),
            expiry=self.online.expiry,
            card_sequence=self.online.card_sequence,
            entry_mode="051",
            chip=Secret(bytes.fromhex(self.online.field55.reveal())),
            **changes,
        )

    def finished(self, state, chip="", **changes):
        """The payment with the finish leg that the card's last word made."""
        policy = self.paid.legs[0].policy
        facts = {"chip": chip} if chip else {}
        leg = Leg(
            kind=LegKind.FINISH,
            counterparty="kiosks",
            amount_fen=self.amount_fen,
            policy=policy,
            state=state,
            facts=facts,
            **changes,
        )
        return msgspec.structs.replace(self.paid, legs=(*self.paid.legs, leg))

    def reversed(self, paid):
        """Reverse it; field 55 of what the bank read, and its reason."""
        reply = self.rig.run(self.rig.channel.exchange(undo(paid), None))
        assert reply.outcome is Outcome.DONE
        fields = self.seen[-1].fields
        return dict(parse(bytes.fromhex(fields.get("55", "")))), fields["39"]


def test_a_chip_card_pays_and_knows_its_issuer() -> None:
    """Field 22, 23 and 55 go out; the answer's 91 reaches the card, and the card confirms."""
    town = Town()

    assert town.run.end.kind is EndKind.APPROVED
    assert town.run.step("issuer_authentication") == "9000"
    fields = town.seen[-1].fields
    assert (fields["22"], fields["23"]) == ("051", "001")
    assert fields["55"] == town.online.field55.reveal().upper()
    assert fields["35"].startswith(CHIP_PAN)
    (entry,) = town.rig.host.ledger.entries()
    assert entry.state is State.BOOKED


def test_a_script_comes_to_the_card_with_its_mac() -> None:
    """PIN CHANGE after the last word; its result is DF31."""
    town = Town("script", code="84240000")

    assert town.run.end.kind is EndKind.APPROVED
    assert town.run.end.script_results == "2000000001"


def test_a_wrong_issuer_is_not_confirmed_and_the_reversal_says_so() -> None:
    """91 that proves nothing: the card says no; the reversal has its word and reason 06."""
    town = Town("wrong_arpc")
    assert town.run.end.kind is EndKind.DECLINED
    assert town.run.end.reversal_needed

    chip = town.run.end.field55_reversal.reveal()
    objects, reason = town.reversed(town.finished(LegState.REFUSED, chip))

    assert reason == "06"
    assert list(objects) == [tag for tag in DIALECT.reversal.chip if tag in objects]
    assert objects == dict(parse(bytes.fromhex(chip)))
    assert town.rig.host.debits()["net_fen"] == 0


def test_a_script_result_is_in_the_reversal() -> None:
    """DF31, as the card's last word has it."""
    town = Town("script", code="84240000", card_habits=Habits(second_declined=True))
    chip = town.run.end.field55_reversal.reveal()

    objects, _ = town.reversed(town.finished(LegState.REFUSED, chip))

    assert "DF31" in objects


def test_without_issuer_data_the_card_decides_alone() -> None:
    """No 91: nothing is authenticated; this card confirms all the same."""
    town = Town("no_issuer_data")

    assert town.reply.issuer.reveal() == b""
    assert town.run.end.kind is EndKind.APPROVED


def test_I3_a_reversal_without_a_last_word_takes_the_sales_own() -> None:
    """Given up, or the sale itself Unknown: what the card said before; not the card's no."""
    town = Town()
    before = dict(parse(bytes.fromhex(town.online.field55.reveal())))

    given_up = town.finished(LegState.REFUSED, unknown_seen=True)
    objects, reason = town.reversed(given_up)

    assert reason == "96"
    assert objects == {tag: before[tag] for tag in DIALECT.reversal.chip if tag in before}
    assert town.reversed(given_up) == (objects, reason), "a repeat is the identical message (I3)"


def test_I3_a_reversal_leaves_without_field_55_rather_than_not_at_all() -> None:
    """Facts that nobody can read are no reason to keep the money."""
    town = Town()

    objects, reason = town.reversed(town.finished(LegState.DONE, "95FF"))

    assert (objects, reason) == ({}, "96")


def test_a_stripe_is_reversed_without_field_55() -> None:
    """Nothing of a chip, nothing in the message."""
    rig = Rig()
    seen = []
    receive = rig.host.receive
    rig.host.receive = lambda frame: seen.append(rig.host.codec.decode(frame)) or receive(frame)
    paid, reply = rig.run(sell(rig, payment(rig)))

    rig.run(rig.channel.exchange(undo(paid), None))

    assert "chip" not in paid.legs[0].facts
    assert reply.issuer.reveal() == b""
    assert "55" not in seen[-1].fields


def test_I12_of_a_chip_only_rule_18_is_journaled() -> None:
    """A kiosk that puts 5A, 57 and 5F20 into field 55: they go to the bank as they are, and not
    into the facts."""
    rig = Rig()
    number, track = PAN, f"{PAN}D4912"
    extra = encode(
        [
            ("5A", bytes.fromhex(number)),
            ("57", bytes.fromhex(track + "0" * (len(track) % 2))),
            ("5F20", b"ZHANG/SAN"),
            ("9F36", b"\x00\x1c"),
            ("95", bytes(5)),
        ]
    )
    secrets = msgspec.structs.replace(card(), chip=Secret(extra))

    paid, reply = rig.run(sell(rig, payment(rig), secrets))

    facts = paid.legs[0].facts
    assert reply.outcome is Outcome.DONE
    assert [tag for tag, _ in parse(bytes.fromhex(facts["chip"]))] == ["95", "9F36"]
    journaled = repr([facts, reply])
    for canary in (number, b"ZHANG/SAN".hex().upper(), "ZHANG"):
        assert canary not in journaled


def test_I12_field_55_that_is_no_tlv_is_not_prepared() -> None:
    """Nothing is sent, and the terminal is given back; the log names no value."""
    rig = Rig()
    secrets = msgspec.structs.replace(card(), chip=Secret(bytes.fromhex("5A09" + PAN)))

    assert rig.run(rig.channel.prepare(do(payment(rig)), secrets)) is None
    assert all(terminal.leases == 0 for terminal in rig.terminals)


def test_an_answer_with_an_unreadable_field_55_is_still_an_approval() -> None:
    """I9: the money moved; the card decides without its issuer."""
    rig = Rig()
    rig.host.chips.answer = lambda *_: {"55": "91FF00"}

    _, reply = rig.run(sell(rig, payment(rig)))

    assert reply.outcome is Outcome.DONE
    assert reply.issuer.reveal() == b""


def test_an_answer_that_echoes_the_request_gives_the_card_its_own_data_only() -> None:
    """91, 71, 72 and 8A as they came, nothing else."""
    rig = Rig()
    mine = [("91", b"\x01" * 10), ("72", b"\x86\x00"), ("72", b"\x86\x00"), ("8A", b"00")]
    echoed = encode([("9F36", b"\x00\x01"), *mine, ("95", bytes(5))])
    rig.host.chips.answer = lambda *_: {"55": echoed.hex().upper()}

    _, reply = rig.run(sell(rig, payment(rig)))

    assert reply.issuer.reveal() == encode(mine)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"chip": None}, "30"),
        ({"chip": Secret(encode([("9F36", b"\x00\x01")]))}, "30"),
        ({"card_sequence": "02"}, "05"),
        ({"entry_mode": "021", "chip": None}, "00"),
    ],
)
def test_the_bank_believes_no_chip_without_a_right_cryptogram(changes, code) -> None:
    """No data, too few, another card's keys; a stripe has none to show."""
    town = Town()
    secrets = msgspec.structs.replace(town.secrets(), **changes)

    _, reply = town.rig.run(sell(town.rig, payment(town.rig, "p2"), secrets))

    assert reply.code == code


def test_the_bank_believes_no_cryptogram_over_another_amount() -> None:
    """9F02 is field 4, or it is declined; nothing is booked."""
    town = Town(amount_fen=99_999)

    assert (town.reply.outcome, town.reply.code) == (Outcome.REFUSED, "05")
    assert town.rig.host.ledger.entries() == []
    assert town.run.end.kind is EndKind.DECLINED


def test_a_repeated_sale_is_answered_with_the_same_issuer_data() -> None:
    """The same frame again moves nothing and says the same."""
    town = Town()
    frames = []
    receive = town.rig.host.receive
    town.rig.host.receive = lambda frame: frames.append(frame) or receive(frame)
    town.rig.run(sell(town.rig, payment(town.rig, "p2"), town.secrets()))

    first, second = ([data for _, data in receive(frames[0])] for _ in range(2))

    decode = town.rig.host.codec.decode
    assert decode(first[0][2:]).fields["55"] == decode(second[0][2:]).fields["55"]


def test_a_dialect_may_not_ask_for_what_is_not_journaled() -> None:
    """Rule 18 is closed: a tag beyond it is a mistake in the file, said by name."""
    from importlib.resources import files

    text = (files("channels.iso8583") / "dialects" / "cup-pos.yaml").read_text("utf-8")
    with pytest.raises(DialectError, match=r"reversal\.chip: 5A is not in rule 18"):
        parse_dialect(text.replace('"9F1E", "9F10"', '"5A", "9F10"', 1), "mine")
    assert set(DIALECT.reversal.chip) <= set(JOURNALED)


@pytest.mark.parametrize(
    ("issuer", "problem"),
    [
        ("", "a chip without an issuer"),
        ("issuer: {cryptogram_key: 00, script_key: 00}\n", "its keys are not 32 hex digits"),
    ],
)
def test_a_keys_file_with_chips_needs_its_issuers_keys(tmp_path, issuer, problem) -> None:
    """Said when the file is read."""
    file = tmp_path / "bank.yaml"
    card_row = 'cards: [{name: a, pan: "6200000000000000", pin: "1", balance_fen: 1, chip: true}]\n'
    file.write_text("terminals: []\n" + card_row + issuer)

    with pytest.raises(WorldError, match=problem):
        load_world(file)
