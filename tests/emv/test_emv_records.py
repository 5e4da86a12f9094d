"""Records, restrictions, verification and risk: cards built object by object."""

import msgspec
import pytest

from terminal_agent.emv.actions import EndKind, PinOutcome
from terminal_agent.emv.profile import Profile
from terminal_agent.emv.tlv import parse
from tests.emv.parts import (
    AID,
    ARQC,
    CUP,
    OBJECTS,
    PAN,
    PAYMENT,
    application,
    built,
    record,
    run,
    select,
    tlv,
)

READ = "00B2010C"
LIST = "0000000000000000"


def with_capabilities(value: str) -> Profile:
    """The profile with another 9F33."""
    return msgspec.structs.replace(CUP, objects={**CUP.objects, "9F33": value})


@pytest.mark.parametrize("tag", ["5A", "5F24", "8C", "8D"])
def test_a_card_without_what_a_payment_needs_is_refused(tag: str) -> None:
    """Mandatory data objects."""
    made = run(built(**{f"_{tag}": None}))

    assert made.end.kind is EndKind.TERMINATED
    assert made.end.reasons == (f"missing_{tag}",)
    assert made.sent("80AE") == []


@pytest.mark.parametrize("tag", ["57", "5A", "5F24", "5F34", "8C", "8D", "8E"])
def test_an_object_that_stands_twice_is_refused(tag: str) -> None:
    """Even twice the same: which one counts is not the terminal's to guess."""
    content = parse(bytes.fromhex(record()))[0].value.hex()
    twice = tlv("70", content, tlv(tag, OBJECTS[tag]))
    assert run(built((READ, twice + "9000"))).end.reasons == (f"duplicate_{tag}",)


def test_a_second_card_number_in_another_record_is_refused() -> None:
    """A duplicate PAN across records."""
    other = tlv("70", tlv("5A", PAN)) + "9000"
    made = run(built(("80A8000002830000", "80067C00080102009000"), ("00B2020C", other)))
    assert made.end.reasons == ("duplicate_5A",)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"_5A": "62000000000A0005"}, "wrong_5A"),
        ({"_5A": "620000000000"}, "ok"),
        ({"_5A": "62000000000F"}, "wrong_5A"),
        ({"_5F24": "4012"}, "wrong_5F24"),
        ({"_5F24": "401331"}, "wrong_5F24"),
        ({"_57": "6200000000000013D40122010000000000F"[:34]}, "track2_of_another_card"),
        ({"_57": PAN + "A4012201"}, "wrong_57"),
        ({"_57": PAN}, "ok"),
        ({"_5F34": "0001"}, "wrong_5F34"),
        ({"_8C": "9F02"}, "wrong_8C"),
    ],
)
def test_what_is_wrong_is_refused_by_name(changed: dict[str, str], reason: str) -> None:
    """Formats of the account, its dates and lists; track 2 must name the same card."""
    if "_57" not in changed:
        changed = {**changed, "_57": None}  # type: ignore[dict-item]
    made = run(built(**changed))
    if changed.get("_57") == PAN:
        reason = "wrong_57"
    assert made.end.reasons == (() if reason == "ok" else (reason,))


def test_a_broken_second_list_is_undone() -> None:
    """CDOL2 that cannot be read is found after the approval: reversal."""
    made = run(built(_8D="9F02"))
    assert made.end.reasons == ("wrong_8D",)
    assert made.end.reversal_needed


@pytest.mark.parametrize("country", ["0156", "56", None])
def test_a_country_of_one_byte_is_accepted(country: str | None) -> None:
    """Seen on a real card (5F28 of length 1)."""
    assert run(built(_5F28=country)).end.kind is EndKind.APPROVED


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("80067C00080101009000", None),
        (tlv("77", tlv("82", "7C00"), tlv("94", "08010100")) + "9000", None),
        (tlv("77", tlv("82", "7C00")) + "9000", "gpo_unreadable"),
        ("80027C009000", "gpo_unreadable"),
        ("80057C000801019000", "gpo_unreadable"),
        ("80067C00000101009000", "wrong_94"),
        ("80067C00080201009000", "wrong_94"),
        ("80067C00080001009000", "wrong_94"),
        ("80067C000801FF009000", "too_many_records"),
        ("80067C00080102009000", "record_unreadable"),
        ("8006", "gpo_refused"),
        ("6A80", "gpo_refused"),
        ("80FF9000", "gpo_unreadable"),
    ],
)
def test_processing_options_in_both_formats_and_what_is_wrong(
    answer: str, reason: str | None
) -> None:
    """80 and 77; a locator that is missing, cut, wrong or too long; a record that is not there."""
    made = run(built(("80A8000002830000", answer)))
    assert made.end.reasons == ((reason,) if reason else ())


@pytest.mark.parametrize("answer", ["9000", "5A0162" + "9000", "7003" + "9000", "6A83", "61"])
def test_a_record_that_is_no_record_is_refused(answer: str) -> None:
    """Template 70 and its content."""
    made = run(built((READ, answer)))
    assert made.end.kind is EndKind.TERMINATED
    assert made.end.reasons == ("record_unreadable",)


def test_records_of_the_issuers_own_files_are_left_alone() -> None:
    """Files above 10 have a content of their own."""
    options = "800A7C000801010058010100" + "9000"
    made = run(built(("80A8000002830000", options), ("00B2015C", "DEADBEEF9000")))
    assert made.end.kind is EndKind.APPROVED


@pytest.mark.parametrize(
    ("changed", "flags"),
    [
        ({}, "80000480"),
        ({"_5F24": "261121"}, "80400480"),
        ({"_5F24": "261122"}, "80000480"),
        ({"_5F24": "991231"}, "80400480"),
        ({"_5F24": "501231"}, "80400480"),
        ({"_5F24": "491231"}, "80000480"),
        ({"_5F25": "261123"}, "80200480"),
        ({"_5F25": "261122"}, "80000480"),
        ({"_9F08": "0020"}, "80800480"),
        ({"_9F08": "0030"}, "80000480"),
        ({"_9F07": "FF00"}, "80000480"),
        ({"_9F07": "FE00"}, "80100480"),
        ({"_9F07": "1500"}, "80100480"),
        ({"_9F07": "2100"}, "80000480"),
        ({"_9F07": "1100", "_5F28": "0702"}, "80000480"),
        ({"_9F07": "2900", "_5F28": "0702"}, "80100480"),
        ({"_9F07": "1500", "_5F28": "56"}, "80000480"),
    ],
)
def test_restrictions_are_told_and_do_not_stop(changed: dict[str, str], flags: str) -> None:
    """TVR byte 2: expiry and effective day inclusive, versions, permitted use at home and abroad.
    A year from 50 on is of the last century."""
    made = run(built(**changed))

    assert made.end.tvr == flags + "00"
    assert made.end.kind is EndKind.APPROVED


@pytest.mark.parametrize(
    ("methods", "capabilities", "result", "byte3"),
    [
        ("0203", "604000", "020300", "04"),
        ("4200", "604000", "420000", "04"),
        ("1E03", "604000", "3F0001", "80"),
        ("1E031F00", "604000", "1F0001", "80"),
        ("1E03", "606000", "1E0300", "00"),
        ("5E001F00", "604800", "1F0002", "00"),
        ("1F03", "604800", "1F0302", "00"),
        ("4103" + "4203", "604000", "420300", "04"),
        ("0100" + "4203", "604000", "010001", "90"),
        ("4100" + "4203", "604000", "420300", "14"),
        ("0000", "604000", "000001", "80"),
        ("2A00", "604000", "2A0001", "C0"),
        ("6A00" + "0200", "604000", "020000", "44"),
        ("0201", "604000", "3F0001", "80"),
        ("0204", "604000", "3F0001", "80"),
        ("0207", "604000", "3F0001", "80"),
    ],
)
def test_verification_goes_through_the_cards_list(
    methods: str, capabilities: str, result: str, byte3: str
) -> None:
    """Each method by its condition and the terminal's capabilities; what failed goes on only where
    the card allows it; the result stands in 9F34 and TVR byte 3."""
    made = run(built(_8E=LIST + methods), profile=with_capabilities(capabilities))

    assert made.field55()["9F34"] == result
    assert made.field55()["95"][4:6] == byte3
    assert made.end.tsi == "6800"


@pytest.mark.parametrize(
    ("condition", "amount", "currency", "applies"),
    [
        ("06", 9999, "0156", True),
        ("06", 10000, "0156", False),
        ("07", 10001, "0156", True),
        ("07", 10000, "0156", False),
        ("08", 19999, "0156", True),
        ("09", 20001, "0156", True),
        ("09", 20000, "0156", False),
        ("06", 1, "0840", False),
    ],
)
def test_verification_by_amount(condition: str, amount: int, currency: str, applies: bool) -> None:
    """X and Y count in the card's own currency (9F42) only."""
    methods = "0000271000004E20" + "02" + condition
    payment = msgspec.structs.replace(PAYMENT, amount_fen=amount)
    made = run(built(_8E=methods, _9F42=currency), payment=payment)

    assert (made.field55()["9F34"] == "02" + condition + "00") is applies


def test_a_pin_that_was_bypassed_is_not_asked_for_again() -> None:
    """Two rules want it; the holder said no once."""
    made = run(built(_8E=LIST + "42034200"), pin=PinOutcome.BYPASSED)
    assert made.field55()["9F34"] == "420001"
    assert made.field55()["95"][4:6] == "88"


@pytest.mark.parametrize(
    ("options", "methods", "flags"),
    [
        ("80066C00080101009000", "0203", "8000008000"),
        ("80067C00080101009000", None, "A000008000"),
        ("80067C00080101009000", "", "A000008000"),
        ("80067C00080101009000", "02", "A000008000"),
    ],
)
def test_a_card_without_verification_is_not_verified(
    options: str, methods: str | None, flags: str
) -> None:
    """AIP without the bit: nothing to do. With it but without a rule: card data missing."""
    made = run(
        built(("80A8000002830000", options), _8E=None if methods is None else LIST + methods)
    )

    assert made.field55()["9F34"] == "3F0000"
    assert made.field55()["95"] == flags
    assert made.end.tsi == "2800"
    assert not made.asked[0].pin_entered


@pytest.mark.parametrize(
    ("floor", "byte4"), [(None, "00"), (0, "80"), (12345, "80"), (12346, "00")]
)
def test_the_floor_limit_is_the_profiles(floor: int | None, byte4: str) -> None:
    """Reached or passed: TVR byte 4 bit 80; a profile without one does not check."""
    profile = msgspec.structs.replace(CUP, floor_limit_fen=floor)
    assert run(built(), profile=profile).end.tvr == f"800004{byte4}00"


@pytest.mark.parametrize(
    ("counter", "last", "flags"),
    [
        ("0004", "0001", "8000048000"),
        ("0005", "0001", "800004C000"),
        ("0006", "0001", "800004C000"),
        ("0007", "0001", "800004E000"),
        ("0002", "0000", "8008048000"),
        ("0001", "0001", "800004E000"),
        (None, None, "800004E000"),
    ],
)
def test_velocity_compares_the_cards_counters(
    counter: str | None, last: str | None, flags: str
) -> None:
    """9F36 less 9F13 against 9F14 (3) and 9F23 (5); a card that does not tell has both bits."""
    told = (("80CA9F36", counter), ("80CA9F13", last))
    known = [(command, tlv(command[4:], value) + "9000") for command, value in told if value]
    profile = msgspec.structs.replace(CUP, velocity=True)
    assert run(built(*known, _9F14="03", _9F23="05"), profile=profile).end.tvr == flags


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("6985", "first_ac_refused"),
        ("9000", "first_ac_unreadable"),
        ("80039F27809000", "first_ac_unreadable"),
        ("800A80000711223344556677" + "9000", "first_ac_unreadable"),
        ("77059F2701809000", "first_ac_unreadable"),
        ("8013" + "C0" + "00" * 18 + "9000", "card_declined"),
        ("8033" + "80" + "00" * 50 + "9000", "first_ac_unreadable"),
    ],
)
def test_a_cryptogram_that_cannot_be_read_is_none(answer: str, reason: str) -> None:
    """Nothing went to the host."""
    made = run(built((ARQC, answer)))
    assert made.end.reasons == (reason,)
    assert made.asked == []


@pytest.mark.parametrize("answer", ["6985", "9000", "6F00", "8013" + "80" + "00" * 18 + "9000"])
def test_a_missing_certificate_is_undone(answer: str) -> None:
    """The host approved; what the card gave is no TC."""
    made = run(built(("80AE4000", answer)))

    assert made.end.kind is EndKind.DECLINED
    assert made.end.reversal_needed


def test_card_data_never_overrides_the_terminals() -> None:
    """A record with an amount, a country and a result of its own changes nothing."""
    made = run(built(_9F02="000000000001", _9F1A="0840", _95="0000000000"))
    sent = made.field55()
    assert (sent["9F02"], sent["9F1A"], sent["95"]) == ("000000012345", "0156", "8000048000")


def test_what_a_card_does_not_give_is_left_out_of_field_55() -> None:
    """No issuer application data: no empty 9F10."""
    made = run(built((ARQC, "800B80" + "0007" + "1122334455667788" + "9000")))
    assert "9F10" not in made.field55()
    assert made.field55()["9F26"] == "1122334455667788"


@pytest.mark.parametrize("pdol", ["9F02", "9F02FF9F03FF"])
def test_a_broken_pdol_is_refused(pdol: str) -> None:
    """No length, or more than fits."""
    made = run(built((select(AID), application(AID, tlv("9F38", pdol)))))
    assert made.end.reasons == ("wrong_9F38",)
