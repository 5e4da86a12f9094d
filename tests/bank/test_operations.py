"""Operations beside the sale: what leaves for the bank, and how it is undone."""

from msgspec.structs import replace

from channels.iso8583.codec import Codec
from switch.model.operation import Operation
from switch.model.outcome import Outcome
from switch.model.payment import LegKind, OnUnknown
from switch.model.secret import Secret
from switch.net.frames import FrameReader, framed
from switch.ports import CardSecrets
from tests.bank.rig import DIALECT, PAN, Rig, card, do, payment, sell, undo, with_facts

CODE = "134512345678901234"


def order_for(rig, operation, facts=None, key="p2", kind=LegKind.CREDIT, amount_fen=12_345):
    """A payment of one leg that asks ``operation`` of the bank."""
    paid = payment(rig, key, amount_fen)
    policy = rig.channel.policy(kind, "outpatient", operation)
    leg = replace(paid.legs[0], kind=kind, operation=operation, policy=policy, facts=facts or {})
    return replace(paid, legs=(leg,))


def as_original(facts, operation=Operation.SALE):
    """The facts of a payment as the engine hands them to what refers to it."""
    kept = {f"original_{name}": value for name, value in facts.items()}
    return kept | {"original_operation": operation}


def sent(rig, mti):
    """The last message of this type that left, decoded."""
    codec = Codec(DIALECT)
    found = [
        message
        for client, _ in rig.net.ends
        for frame in FrameReader(DIALECT.length_prefix, 4_096).receive(client.written)
        if (message := codec.decode(frame)).mti == mti
    ]
    return found[-1]


def sold(rig):
    """A sale, approved, and its facts as an original's."""
    paid, reply = rig.run(sell(rig, payment(rig)))
    assert reply.outcome is Outcome.DONE
    rig.channel.release(do(paid))
    return as_original(paid.legs[0].facts)


def attempt(rig, paid, secrets):
    """Prepare, commit, exchange; the payment with its facts."""

    async def go():
        prepared = await rig.channel.prepare(do(paid), secrets)
        assert prepared is not None, "not prepared"
        known = with_facts(paid, prepared.facts)
        return known, await rig.channel.exchange(do(known), secrets), prepared

    return rig.run(go(), seconds=120)


def test_a_void_names_its_sale_and_goes_by_the_same_terminal() -> None:
    """Field 61 has the original's batch, STAN and date; 37 its RRN; 41 and 42 its terminal."""
    rig = Rig()
    original = sold(rig)
    _, _, prepared = attempt(rig, order_for(rig, Operation.VOID, original), card())
    fields = sent(rig, "0200").fields
    assert (fields["3"], fields["4"], fields["2"]) == ("200000", "000000012345", PAN)
    assert fields["61"] == (
        original["original_batch"] + original["original_F11"] + original["original_sent_date"]
    )
    assert fields["37"] == original["original_F37"]
    assert fields["41"] == original["original_F41"]
    assert fields["11"] == prepared.identity.stan != original["original_F11"]


def test_without_its_card_a_void_takes_the_number_from_the_vault() -> None:
    """No track, no PIN block, keyed entry; the number is the original's."""
    rig = Rig()
    attempt(rig, order_for(rig, Operation.VOID, sold(rig)), None)
    fields = sent(rig, "0200").fields
    assert (fields["2"], fields["22"]) == (PAN, "012")
    assert not {"35", "52", "26"} & fields.keys()


def test_rule_8_a_refund_is_sent_once_and_never_reversed() -> None:
    """The dialect says that it is not reversible: Unknown stops for evidence."""
    rig = Rig()
    policy = rig.channel.policy(LegKind.CREDIT, "outpatient", Operation.REFUND)
    assert (policy.on_unknown, policy.ladder) == (OnUnknown.STOP, ())
    attempt(rig, order_for(rig, Operation.REFUND, sold(rig), amount_fen=45), card())
    fields = sent(rig, "0220").fields
    assert (fields["3"], fields["4"], fields["60"][:2]) == ("200000", "000000000045", "25")


def test_rule_8_an_unknown_void_is_reversed_under_its_own_number() -> None:
    """0400 with field 3 and STAN of the void, not of the sale."""
    rig = Rig()
    policy = rig.channel.policy(LegKind.CREDIT, "outpatient", Operation.VOID)
    assert policy.on_unknown is OnUnknown.UNDO
    paid, _, prepared = attempt(rig, order_for(rig, Operation.VOID, sold(rig)), card())
    rig.run(rig.channel.exchange(undo(paid), None), seconds=60)
    fields = sent(rig, "0400").fields
    assert (fields["3"], fields["11"]) == ("200000", prepared.identity.stan)
    assert fields["61"][6:12] == prepared.identity.stan


def test_a_pre_authorisation_and_its_completion() -> None:
    """0100 with 030000 under condition 06; the completion names it by its authorisation code."""
    rig = Rig()
    attempt(rig, order_for(rig, Operation.PREAUTH, kind=LegKind.DEBIT), card())
    fields = sent(rig, "0100").fields
    assert (fields["3"], fields["25"], fields["60"][:2]) == ("030000", "06", "10")
    facts = {f"F{n}": value for n, value in fields.items() if n in {"11", "41", "42"}}
    facts |= {"F38": "A00001", "batch": "000001", "sent_date": "0704"}
    original = as_original(facts, Operation.PREAUTH)
    rig.channel.release(do(order_for(rig, Operation.PREAUTH)))
    completion = order_for(rig, Operation.COMPLETION, original, "p3", LegKind.DEBIT)
    attempt(rig, completion, card())
    fields = sent(rig, "0200").fields
    assert (fields["38"], fields["60"][:2]) == ("A00001", "20")


def test_I12_a_payment_code_travels_in_field_59_and_is_kept_nowhere() -> None:
    """A QR sale has no card: no field 2, and nothing of the code among the facts."""
    rig = Rig()
    secrets = CardSecrets(pan=Secret(""), qr_code=Secret(CODE))
    paid, _, _ = attempt(rig, order_for(rig, Operation.QR_SALE, kind=LegKind.DEBIT), secrets)
    fields = sent(rig, "0200").fields
    assert fields["59"] == f"A3{len(CODE):03d}{CODE}"
    assert (fields["22"], "2" in fields) == ("032", False)
    assert CODE not in str(paid.legs[0].facts)


def test_what_refers_to_an_original_waits_for_the_originals_terminal() -> None:
    """That terminal is busy with another sale: a bounded wait, then it is not sent."""
    rig = Rig()
    original = sold(rig)
    busy = payment(rig, "p9")
    rig.habit("silent")
    first = rig.run(rig.channel.prepare(do(busy), card()))
    while first.identity.terminal != original["original_F41"]:
        busy = payment(rig, "p8")
        first = rig.run(rig.channel.prepare(do(busy), card()))
    waiting = rig.begin(rig.channel.prepare(do(order_for(rig, Operation.VOID, original)), card()))
    rig.settle(1)
    assert waiting == []
    rig.channel.release(do(busy))
    rig.settle()
    assert waiting[0].identity.terminal == original["original_F41"]


def test_an_operation_that_the_dialect_does_not_offer_is_not_sent() -> None:
    """No template, no message: the payment ends NotSent before anything is leased."""
    rig = Rig()
    operations = dict(DIALECT.operations)
    del operations["refund"]
    rig.channel._dialect = replace(DIALECT, operations=operations)
    order = do(order_for(rig, Operation.REFUND, sold(rig)))
    assert rig.run(rig.channel.prepare(order, card())) is None


def test_a_card_that_pays_something_new_needs_its_pin() -> None:
    """The bank requires a PIN: without one a sale is not prepared; a void of it is."""
    rig = Rig()
    bare = card(with_pin=False)
    assert rig.run(rig.channel.prepare(do(payment(rig, "p5")), bare)) is None
    order = do(order_for(rig, Operation.VOID, sold(rig)))
    assert rig.run(rig.channel.prepare(order, bare)) is not None


# ---- answers without proof -----------------------------------------------------------------------


def without_proof(rig, mti, code):
    """The next request of this type meets an answer without a MAC before the bank's own."""
    codec, expect = Codec(DIALECT), rig.bank.hub.expect

    def first(asked, exchange):
        expect(asked, exchange)
        if asked != mti:
            return
        rig.bank.hub.expect = expect
        fields = {"3": "000000", "11": exchange.fields["11"], "39": code}
        fields["41"] = exchange.fields["41"]
        data = codec.encode(DIALECT.mtis[mti].answer, fields)
        server = next(server for _, server in rig.net.ends if server.open)
        server.write(framed(data, DIALECT.length_prefix))

    rig.bank.hub.expect = first


def test_I5_an_approval_behind_a_refusal_without_proof_finds_its_payment() -> None:
    """97 without a MAC ends the sale as doubtful; the bank's MACed 00 behind it is late, not a
    duplicate: it will be undone."""
    rig = Rig()
    without_proof(rig, "0200", "97")
    _, reply = rig.run(sell(rig, payment(rig)))
    assert (reply.outcome, reply.code, reply.doubtful) == (Outcome.REFUSED, "97", True)
    rig.settle(1)
    ((key, leg, attempt, late),) = rig.late_replies
    assert (key, leg, attempt, late.outcome) == ("p1", 0, 1, Outcome.DONE)


def test_I10_a_refusal_with_its_mac_is_beyond_doubt() -> None:
    """The bank's own no, proven: nothing is kept waiting for another word."""
    rig = Rig()
    rig.habit("decline", code="51")
    _, reply = rig.run(sell(rig, payment(rig)))
    assert (reply.outcome, reply.doubtful) == (Outcome.REFUSED, False)


def test_rule_8_a_refund_has_one_attempt() -> None:
    """A0 to a refund is not tried again: its first sending may have been executed."""
    rig = Rig()
    refund = rig.channel.policy(LegKind.CREDIT, "outpatient", Operation.REFUND)
    sale = rig.channel.policy(LegKind.DEBIT, "outpatient", Operation.SALE)
    assert (refund.attempts, sale.attempts) == (1, 2)
