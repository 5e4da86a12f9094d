"""The kernel with a virtual card that makes real cryptograms, and the issuer that checks them."""

import msgspec
import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import ECB
from pyemv import ac, kd

from hsm.primitives import AC_INPUT, CardKeys
from terminal_agent.devices.virtual_card import PRESETS, TEST_KEYS, Habits, VirtualCard
from terminal_agent.devices.virtual_issuer import IssuerHabits, VirtualIssuer
from terminal_agent.emv.actions import EndKind, HostAnswer, PinNeeded, PinOutcome, Send, Verdict
from terminal_agent.emv.apdu import Style
from terminal_agent.emv.kernel import Kernel, SequenceError
from terminal_agent.emv.profile import load_profile
from terminal_agent.emv.tlv import encode
from tests.emv.parts import CUP, PAN, PAYMENT, TERMINAL, Run, built, run, virtual

ORDER = "9F26 9F27 9F10 9F37 9F36 95 9A 9C 9F02 5F2A 82 9F1A 9F03 9F33 9F34 9F35 9F1E 84 9F09 9F41"
COMMANDS = 13
"""What the debit card is asked in a whole payment with issuer data and two scripts."""
FIRST_AC, SECOND_AC = 9, 12
SCRIPTS = IssuerHabits(before=("84240000",), after=("84180000",))


def commands_of(made: Run) -> int:
    """How often the card was spoken to."""
    return len(made.exchanges)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_virtual_card_pays(name: str) -> None:
    """PSE or list, format 77 or 80, T=0 or T=1, PBOC or common keys: the issuer finds the ARQC
    genuine, the card finds the ARPC genuine and gives its certificate."""
    made = virtual(name)

    assert made.end.kind is EndKind.APPROVED
    assert made.end.reasons == ()
    assert not made.end.reversal_needed
    assert made.end.tsi == "7800"
    assert made.end.tvr[:2] == "80"
    assert made.end.aid == PRESETS[name].aid
    assert made.end.label == PRESETS[name].label
    assert made.step("issuer_authentication") == "9000"
    assert made.step("second_ac") == "TC TC"


def test_a_card_over_t0_is_spoken_to_in_its_style() -> None:
    """No Le behind data; answers fetched by GET RESPONSE, records by the right length."""
    made = virtual("t0", style=Style.T0)

    assert made.end.kind is EndKind.APPROVED
    assert made.sent("00A4")[0].endswith("4444463031")
    assert made.sent("00C0")
    assert len(made.sent("00B2")) > len(virtual("debit").sent("00B2"))


def test_field_55_has_the_profiles_order_and_the_payments_data() -> None:
    """Exactly the tags of the profile, in its order; amounts, dates and results as they were."""
    made = virtual()
    sent = made.field55()

    assert " ".join(sent) == ORDER
    assert sent["9F02"] == "000000012345"
    assert (sent["9A"], sent["9C"], sent["5F2A"], sent["9F1A"]) == ("261122", "00", "0156", "0156")
    assert (sent["95"], sent["9F34"], sent["82"]) == ("8000048000", "420300", "7C00")
    assert (sent["9F37"], sent["9F41"], sent["9F36"]) == ("DEADBEEF", "00004711", "0001")
    assert bytes.fromhex(sent["9F1E"]) == b"KIOSK017"
    assert (sent["9F27"], sent["9F35"], sent["9F33"]) == ("80", "24", "604000")


def test_the_host_is_told_the_card_and_that_a_pin_was_typed() -> None:
    """What fields 2, 14, 23 and 35 need; none of it in a repr (I12)."""
    (asked,) = virtual("plain").asked

    assert asked.pan.reveal() == PRESETS["plain"].pan
    assert asked.track2 is not None
    assert asked.track2.reveal().startswith(PRESETS["plain"].pan + "=4012")
    assert (asked.expiry, asked.card_sequence, asked.pin_entered) == ("4012", "001", True)
    assert PRESETS["plain"].pan not in repr(asked) + repr(asked.pan)


def test_another_profile_has_another_order() -> None:
    """Order is data: an international acquirer's begins elsewhere and has the sequence number."""
    made = virtual("visa", profile=load_profile("international"))

    assert list(made.field55())[:3] == ["5F2A", "5F34", "82"]
    assert made.end.kind is EndKind.APPROVED


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@pytest.mark.parametrize("common", [False, True])
def test_cryptograms_agree_with_pyemv(common: bool) -> None:
    """ARQC and ARPC by an independent library: card key option A, both session keys."""
    printed = msgspec.structs.replace(PRESETS["credit"], common_keys=common)
    made = virtual(printed)
    sent = {tag: bytes.fromhex(value) for tag, value in made.field55().items()}
    card_key = kd.derive_icc_mk_a(TEST_KEYS.cryptogram, printed.pan, printed.sequence)
    keys = CardKeys(card_key, card_key, common=common)
    if common:
        session = kd.derive_common_sk(card_key, sent["9F36"] + bytes(6))
    else:
        counter = int.from_bytes(sent["9F36"])
        blocks = (counter.to_bytes(8), (counter ^ 0xFFFF).to_bytes(8))
        session = b"".join(map(Cipher(TripleDES(card_key), ECB()).encryptor().update, blocks))
    data = b"".join(sent[tag] for tag in AC_INPUT) + sent["82"] + sent["9F36"] + sent["9F10"][3:7]

    assert ac.generate_ac(session, data, ac.PaddingType.EMV) == sent["9F26"]
    assert keys.issuer_answer(sent["9F36"], sent["9F26"], b"00") == ac.generate_arpc_1(
        session, sent["9F26"], b"00"
    )


def test_the_cards_counter_counts_across_payments() -> None:
    """A card that is used twice makes another cryptogram for the same data."""
    card = VirtualCard(PRESETS["debit"])
    first = run(card).field55()
    card.reset()
    second = run(card).field55()

    assert (first["9F36"], second["9F36"]) == ("0001", "0002")
    assert first["9F26"] != second["9F26"]


def test_a_wrong_issuer_answer_is_declined_by_the_card_and_undone() -> None:
    """EXTERNAL AUTHENTICATE fails: TVR byte 5 bit 40, the card gives an AAC, the debit returns."""
    made = virtual(issuer=IssuerHabits(wrong_answer_data=True))

    assert made.end.kind is EndKind.DECLINED
    assert made.end.reasons == ("card_declined",)
    assert made.end.host_approved
    assert made.end.reversal_needed
    assert made.end.tvr == "8000048040"
    assert made.end.field55_reversal is not None
    assert made.end.field55_reversal.reveal().startswith("950580000480409F1E08")
    assert len(made.sent("0082")) == 1


def test_without_issuer_data_the_card_is_not_asked_to_check_it() -> None:
    """No 91: no EXTERNAL AUTHENTICATE, no bit, and the card may still agree."""
    made = virtual(issuer=IssuerHabits(no_answer_data=True))

    assert made.end.kind is EndKind.APPROVED
    assert (made.end.tvr, made.end.tsi) == ("8000048000", "6800")
    assert made.sent("0082") == []


def test_a_card_that_cannot_check_its_issuer_is_not_asked_to() -> None:
    """AIP without bit 04: 91 goes into CDOL2 only, where asked for."""
    made = virtual(msgspec.structs.replace(PRESETS["debit"], profile="7800"))

    assert made.end.kind is EndKind.APPROVED
    assert made.sent("0082") == []


@pytest.mark.parametrize(
    ("habits", "reason", "code"),
    [
        (IssuerHabits(declines=True), "host_declined", "05"),
        (IssuerHabits(silent=True), "host_unreachable", "Z3"),
    ],
)
def test_the_hosts_no_is_told_to_the_card(habits: IssuerHabits, reason: str, code: str) -> None:
    """A second GENERATE AC always: an AAC with 8A; nothing to undo, but what a reversal would
    carry is there, since the silent host's debit is the switch's to undo."""
    made = virtual(issuer=habits)

    assert made.end.kind is EndKind.DECLINED
    assert made.end.reasons == (reason,)
    assert not made.end.reversal_needed
    assert made.end.field55_reversal is not None
    (last,) = made.sent("80AE00")
    assert bytes.fromhex(last)[5:7] == code.encode()


def test_a_card_that_declines_after_the_approval_is_undone() -> None:
    """The money law's finish leg: approved by the host, AAC from the card."""
    made = virtual(habits=Habits(second_declined=True))

    assert made.end.kind is EndKind.DECLINED
    assert made.end.reversal_needed


@pytest.mark.parametrize(
    ("first", "reason"), [(0x00, "card_declined"), (0x40, "offline_approval_refused")]
)
def test_only_an_arqc_goes_online(first: int, reason: str) -> None:
    """An AAC is a no; a TC, an offline approval, is never taken. The host hears of neither."""
    made = virtual(habits=Habits(first=first))

    assert made.end.kind is EndKind.DECLINED
    assert made.end.reasons == (reason,)
    assert made.asked == []
    assert made.end.field55 is None
    assert not made.end.reversal_needed


def test_an_expired_card_still_goes_online() -> None:
    """The issuer decides; the TVR tells it."""
    made = virtual("expired")

    assert made.field55()["95"] == "8040048000"
    assert made.end.kind is EndKind.APPROVED


def test_a_card_not_yet_valid_and_one_of_another_version_are_told() -> None:
    """TVR byte 2 bits 20 and 80."""
    printed = msgspec.structs.replace(PRESETS["debit"], effective="300101")
    assert virtual(printed).end.tvr == "8020048000"
    assert virtual("visa").end.tvr == "8080048000"


def test_scripts_run_before_and_after_and_are_reported() -> None:
    """71 before and 72 after the second GENERATE AC, each with its MAC; five bytes each in DF31."""
    made = virtual(issuer=SCRIPTS)
    headers = [command[:4] for command, _ in made.exchanges]

    assert made.end.kind is EndKind.APPROVED
    assert headers[-4:] == ["0082", "8424", "80AE", "8418"]
    assert made.end.script_results == "2000000001" * 2
    assert made.end.tsi == "7C00"
    assert made.end.field55_notice is not None
    assert "DF310A" + "2000000001" * 2 in made.end.field55_notice.reveal()
    assert commands_of(made) == COMMANDS


def test_a_refused_command_ends_its_script_and_is_numbered() -> None:
    """The second of three is unknown to the card: 12, TVR byte 5, the third is not sent."""
    made = virtual(issuer=IssuerHabits(before=("84240000", "84990000", "84180000")))

    assert made.end.script_results == "1200000001"
    assert made.end.tvr == "8000048020"
    assert made.sent("8418") == []
    assert made.end.kind is EndKind.APPROVED

    made = virtual(issuer=IssuerHabits(after=("84990000",)))
    assert made.end.script_results == "1100000001"
    assert made.end.tvr == "8000048010"
    assert made.end.kind is EndKind.APPROVED


def test_I11_scripts_have_a_limit() -> None:
    """Too many scripts: the rest is left out. Too many commands: not performed."""
    limits = msgspec.structs.replace(CUP.limits, scripts_max=2, script_commands_max=1)
    profile = msgspec.structs.replace(CUP, limits=limits)
    one, two = encode("86", bytes.fromhex("84180000")), encode("86", bytes.fromhex("84240000")) * 2
    scripts = encode("72", one) * 2 + encode("71", two) + encode("72", one)

    def host(_: object) -> HostAnswer:
        return HostAnswer.read(Verdict.APPROVED, "00", scripts)

    made = run(built(("84180000", "9000")), host, profile=profile)
    assert made.end.script_results == "2000000000" * 2
    made = run(
        built(),
        lambda _: HostAnswer.read(Verdict.APPROVED, "00", encode("71", two)),
        profile=profile,
    )
    assert made.end.script_results == "0000000000"
    assert made.end.tvr == "8000048020"


def test_an_answer_that_echoes_the_request_gives_only_issuer_data() -> None:
    """Banks echo field 55: only 91, 71, 72 and 8A are taken; garbage is no issuer data."""
    echoed = bytes.fromhex("9F0206000000000001" + "8A023030" + "910A" + "11" * 8 + "3030")
    answer = HostAnswer.read(Verdict.APPROVED, "00", echoed)
    assert (answer.code, answer.authentication[:1], answer.scripts) == (b"00", b"\x11", ())

    assert HostAnswer.read(Verdict.APPROVED, "10", echoed).code == b"00", "the issuer's own 8A"

    broken = HostAnswer.read(Verdict.APPROVED, "00", b"\x91\xff")
    assert broken.unreadable
    made = run(built(), lambda _: broken)
    assert made.step("online") == "approved issuer data unreadable"
    assert made.end.kind is EndKind.APPROVED


@pytest.mark.parametrize("number", range(1, COMMANDS + 1))
def test_a_card_pulled_at_any_command_ends_in_a_defined_state(number: int) -> None:
    """Before the ARQC nothing has happened. After the approval and before the certificate the
    card has declined and the debit goes back. After the certificate the payment stands."""
    made = virtual(habits=Habits(pulled_at=number), issuer=SCRIPTS)

    if number <= FIRST_AC:
        assert made.end.kind is EndKind.CANCELLED
        assert made.asked == []
    elif number <= SECOND_AC:
        assert made.end.kind is EndKind.DECLINED
        assert made.end.host_approved
    else:
        assert made.end.kind is EndKind.APPROVED
        assert made.end.script_results == "2000000001" + "1000000001"
    assert made.end.reversal_needed is (FIRST_AC < number <= SECOND_AC)
    assert (made.end.field55_reversal is not None) is (number > FIRST_AC)


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_card_pulled_while_the_host_is_asked_waits_for_the_answer(verdict: Verdict) -> None:
    """The host's answer is still heard: its yes must be undone, its no stays a no."""
    kernel = Kernel(CUP, TERMINAL, PAYMENT)
    card = VirtualCard(PRESETS["debit"])
    action = kernel.start()
    while isinstance(action, Send | PinNeeded):
        if isinstance(action, Send):
            action = kernel.answer(card.transmit(action.command))
        else:
            action = kernel.pin(PinOutcome.ENTERED)

    assert kernel.card_gone() is action
    assert kernel.card_gone() is action
    end = kernel.host(HostAnswer(verdict=verdict))
    assert end.kind is EndKind.DECLINED
    assert "card_gone" in end.reasons
    assert end.reversal_needed is (verdict is Verdict.APPROVED)
    assert kernel.card_gone() is end


@pytest.mark.parametrize("word", [0x6283, 0x6700, 0x6985, 0x6A80, 0x6A81, 0x6A82, 0x6A83, 0x6F00])
@pytest.mark.parametrize("number", range(1, COMMANDS + 1))
def test_a_wrong_status_word_at_any_command_ends_in_a_defined_state(number: int, word: int) -> None:
    """Whatever the card answers: approved only with its certificate, and an approval without it
    is undone."""
    made = virtual(habits=Habits(word_at=(number, word)), issuer=SCRIPTS)
    certified = ("second_ac", "TC TC") in [(step.name, step.detail) for step in made.steps]

    assert (made.end.kind is EndKind.APPROVED) is certified
    assert made.end.reversal_needed is (made.end.host_approved and not certified)
    assert made.end.host_approved is bool(made.asked)


def test_a_blocked_card_is_not_used() -> None:
    """6A81 at the first SELECT; no stripe either."""
    made = virtual(habits=Habits(blocked=True))

    assert made.end.kind is EndKind.TERMINATED
    assert made.end.reasons == ("card_blocked",)
    assert not made.end.stripe_allowed
    assert commands_of(made) == 1


def test_an_application_that_its_issuer_blocked_is_not_used_again() -> None:
    """APPLICATION BLOCK by script takes effect at the next payment."""
    card = VirtualCard(PRESETS["debit"])
    issuer = VirtualIssuer(PRESETS["debit"], IssuerHabits(after=("841E0000",)))
    assert run(card, issuer.host).end.kind is EndKind.APPROVED
    card.reset()
    assert run(card).end.reasons == ("no_usable_application",)


@pytest.mark.parametrize(
    ("outcome", "result", "flags"),
    [
        (PinOutcome.ENTERED, "420300", "8000048000"),
        (PinOutcome.BYPASSED, "420301", "8000888000"),
        (PinOutcome.BROKEN, "420301", "8000908000"),
    ],
)
def test_how_the_pin_was_typed_is_told(outcome: PinOutcome, result: str, flags: str) -> None:
    """9F34 and TVR byte 3; the next rule (no CVM, if the terminal can) does not apply here."""
    made = virtual(pin=outcome)

    assert made.field55()["9F34"] == result
    assert made.field55()["95"] == flags
    assert made.asked[0].pin_entered is (outcome is PinOutcome.ENTERED)


def test_a_holder_who_cancels_has_paid_nothing() -> None:
    """Cancel at the pad: no cryptogram was asked for."""
    made = virtual(pin=PinOutcome.CANCELLED)

    assert made.end.kind is EndKind.CANCELLED
    assert made.end.reasons == ("holder_cancelled",)
    assert made.sent("80AE") == []


def test_a_slow_card_waits_on_the_injected_clock() -> None:
    """No real sleep in a virtual card."""
    waited: list[int] = []
    run(VirtualCard(PRESETS["debit"], Habits(slow_ms=700), waited.append))
    assert set(waited) == {700}


def test_the_driver_cannot_answer_what_was_not_asked() -> None:
    """Its mistakes are errors, not payments."""
    kernel = Kernel(CUP, TERMINAL, PAYMENT)
    with pytest.raises(SequenceError):
        kernel.card_gone()
    with pytest.raises(SequenceError):
        kernel.answer(b"\x90\x00")
    kernel.start()
    for wrong in (
        kernel.start,
        lambda: kernel.pin(PinOutcome.ENTERED),
        lambda: kernel.choose(0),
        lambda: kernel.host(HostAnswer(verdict=Verdict.APPROVED)),
    ):
        with pytest.raises(SequenceError):
            wrong()


def test_I12_no_card_number_in_steps_ends_and_reprs() -> None:
    """The path may be logged: it shows neither number nor track."""
    made = virtual("plain")
    pan = PRESETS["plain"].pan

    shown = repr(made.end) + repr(made.steps) + repr(PRESETS["plain"]) + repr(TEST_KEYS)
    assert pan not in shown
    assert made.end.pan_masked == "620000******0021"
    assert PAN not in shown


def test_I11_a_field_55_that_is_too_long_is_not_sent() -> None:
    """255 bytes is what a length of three digits carries here: the payment ends before the host."""
    order = CUP.field55.online * 2
    profile = msgspec.structs.replace(
        CUP, field55=msgspec.structs.replace(CUP.field55, online=order)
    )
    made = virtual(profile=profile)

    assert made.end.reasons == ("field55_too_long",)
    assert made.asked == []


def test_a_reversal_leaves_without_a_field_55_that_would_be_too_long() -> None:
    """The money goes back in any case; only what goes with it is left out."""
    orders = msgspec.structs.replace(CUP.field55, reversal=("9F1E", "DF31") * 30)
    profile = msgspec.structs.replace(CUP, field55=orders)
    made = virtual(habits=Habits(second_declined=True), profile=profile)

    assert made.end.reversal_needed
    assert made.end.field55_reversal is None


def test_a_script_command_that_is_none_fails_its_script() -> None:
    """Its length byte lies: nothing is sent, the result names it."""
    broken = encode("72", encode("86", bytes.fromhex("8418000009FF")))
    made = run(built(), lambda _: HostAnswer.read(Verdict.APPROVED, "00", broken))
    assert made.end.script_results == "1100000000"
    assert made.end.kind is EndKind.APPROVED


def test_a_script_with_a_wrong_mac_is_refused_by_the_virtual_card() -> None:
    """6988: somebody else's script."""
    forged = encode("71", encode("86", bytes.fromhex("841E000004DEADBEEF")))
    made = run(
        VirtualCard(PRESETS["debit"]),
        lambda _: HostAnswer.read(Verdict.APPROVED, "00", forged),
    )
    assert made.end.script_results == "1100000000"
    assert made.exchanges[-2] == ("841E000004DEADBEEF", "6988")
