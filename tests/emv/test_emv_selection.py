"""Which application is paid with: directory, list, partial names, priority, the holder's choice."""

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from terminal_agent.devices.virtual_card import PRESETS, VirtualCard
from terminal_agent.emv.actions import CardGone, ChoiceNeeded, EndKind, PinNeeded, PinOutcome, Send
from terminal_agent.emv.kernel import Kernel, SequenceError
from tests.emv.parts import (
    AID,
    ARQC,
    CUP,
    PAYMENT,
    PSE,
    SELECT,
    TERMINAL,
    application,
    approve,
    built,
    record,
    run,
    select,
    tlv,
)

CREDIT = "A000000333010102"
FOREIGN = "A0000009990101"
LONG = AID + "01"
PSE_ANSWER = tlv("6F", tlv("84", b"1PAY.SYS.DDF01".hex()), tlv("A5", tlv("88", "01"))) + "9000"


def entry(aid: str, label: str, priority: str = "") -> str:
    """One application of the directory."""
    more = tlv("87", priority) if priority else ""
    return tlv("61", tlv("4F", aid), tlv("50", label.encode().hex()), more)


def directory(*records: str) -> tuple[tuple[str, str], ...]:
    """A PSE with these records in file 1."""
    listed = [(f"00B2{n:02X}0C00", tlv("70", text) + "9000") for n, text in enumerate(records, 1)]
    return ((PSE, PSE_ANSWER), *listed)


def selected(card: object) -> list[str]:
    """Names that were selected, in order."""
    return [command[10:-2] for command in run(card).sent(SELECT)]  # type: ignore[arg-type]


PSE_NAME = "315041592E5359532E4444463031"


def moved(*more: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """A built card's record in file 2, since file 1 holds the directory."""
    return (
        ("80A8000002830000", "80067C00100101009000"),
        ("00B20114", record() + "9000"),
        *more,
    )


def test_the_directory_is_read_to_its_end_and_foreign_applications_left() -> None:
    """Records until 6A83; what the terminal does not accept is no candidate."""
    card = built(*directory(entry(FOREIGN, "OTHER"), entry(AID, "DEBIT")), *moved())

    assert selected(card) == [PSE_NAME, AID]


@pytest.mark.parametrize(
    "answer",
    [
        "6A82",
        "6283",
        "9000",
        PSE_ANSWER.replace("880101", "88011F"),
        PSE_ANSWER.replace("9000", "6283"),
        "6F",
    ],
)
def test_without_a_directory_that_can_be_read_the_list_is_asked(answer: str) -> None:
    """PSE missing, blocked, without a file, or garbage: the terminal's own list."""
    made = run(built((PSE, answer)))

    assert made.step("list_candidates") == "1"
    assert made.end.kind is EndKind.APPROVED


def test_a_directory_without_a_common_application_is_followed_by_the_list() -> None:
    """EMV book 1, 12.3.2: then the list."""
    made = run(built(*directory(entry(FOREIGN, "OTHER")), *moved()))
    assert (made.step("pse_candidates"), made.step("list_candidates")) == ("0", "1")


def test_partial_names_are_followed_to_the_next() -> None:
    """A longer name fits; P2 = 02 asks for the next one until there is none."""
    following = f"00A40402{len(AID) // 2:02X}{AID}"
    card = built(
        (select(AID), application(LONG, tlv("87", "02"))),
        (following, application(AID + "02", tlv("87", "01"))),
        (select(LONG), application(LONG)),
        (select(AID + "02"), application(AID + "02")),
    )
    made = run(card)

    assert made.step("list_candidates") == "2"
    assert len(made.sent("00A40402")) == 2
    assert made.end.aid == AID + "02", "priority 1 before 2"


def test_a_partial_name_is_only_accepted_where_the_profile_says_so() -> None:
    """partial: false wants the whole name."""
    whole = [msgspec.structs.replace(each, partial=False) for each in CUP.applications]
    profile = msgspec.structs.replace(CUP, applications=tuple(whole))
    made = run(built((select(AID), application(LONG))), profile=profile)

    assert made.end.reasons == ("no_application",)


def test_a_blocked_application_is_no_candidate() -> None:
    """6283 at its SELECT; another one is used."""
    blocked = application(AID)[:-4] + "6283"
    made = run(built((select(AID), blocked), (select(CREDIT), application(CREDIT))))
    assert made.step("list_candidates") == "1"
    assert made.end.aid == CREDIT


def test_no_common_application_may_allow_the_stripe() -> None:
    """By profile; never for a blocked card."""
    assert not run(built(remove=(select(AID),))).end.stripe_allowed
    rule = msgspec.structs.replace(CUP.fallback, no_application=True)
    profile = msgspec.structs.replace(CUP, fallback=rule)
    end = run(built(remove=(select(AID),)), profile=profile).end
    assert (end.reasons, end.stripe_allowed) == (("no_application",), True)
    assert not run(built((PSE, "6A81")), profile=profile).end.stripe_allowed


def two() -> tuple[tuple[str, str], ...]:
    """A card with debit and credit in its directory, credit first by the card's wish."""
    return (
        *directory(entry(AID, "DEBIT", "02"), entry(CREDIT, "CREDIT", "01")),
        *moved((select(CREDIT), application(CREDIT))),
    )


def begun(card: object, **changed: object) -> tuple[Kernel, object]:
    """A kernel that was driven until it wants no card any more."""
    kernel = Kernel(msgspec.structs.replace(CUP, **changed), TERMINAL, PAYMENT)  # type: ignore[arg-type]
    action = kernel.start()
    while isinstance(action, Send):
        action = kernel.answer(card.transmit(action.command))  # type: ignore[attr-defined]
    return kernel, action


def test_the_holder_chooses_in_the_cards_order() -> None:
    """Labels by priority; the choice is paid with; no such choice is an error; None cancels."""
    card = built(*two())
    kernel, action = begun(card)
    assert action == ChoiceNeeded(("CREDIT", "DEBIT"))
    with pytest.raises(SequenceError):
        kernel.choose(2)
    send = kernel.choose(1)
    assert isinstance(send, Send)
    assert AID in send.command.hex().upper()

    kernel, _ = begun(built(*two()))
    end = kernel.choose(None)
    assert (end.kind, end.reasons) == (EndKind.CANCELLED, ("holder_cancelled",))  # type: ignore[union-attr]


def test_a_profile_may_take_the_cards_first_choice() -> None:
    """cardholder_choice: false."""
    _, action = begun(built(*two()), cardholder_choice=False)
    assert isinstance(action, PinNeeded)


def test_an_only_application_that_wants_agreement_is_confirmed() -> None:
    """Priority indicator bit 8, even where nothing is chosen."""
    _, action = begun(built((select(AID), application(AID, tlv("87", "81")))))
    assert action == ChoiceNeeded(("PBOC",))


def test_a_preferred_name_in_latin_letters_is_shown() -> None:
    """9F12 when 9F11 says table 1; else the label; else the name itself."""
    preferred = tlv("9F12", b"MY CARD".hex()) + tlv("9F11", "01") + tlv("87", "81")
    _, action = begun(built((select(AID), application(AID, preferred))))
    assert action == ChoiceNeeded(("MY CARD",))


def test_an_application_that_refuses_is_left_for_the_next() -> None:
    """6985 at GET PROCESSING OPTIONS, or no answer to the final SELECT: the next candidate."""
    card = built(*two(), ("80A8000002830000", "6985"))
    made = run(card)
    assert made.end.reasons == ("no_usable_application",)
    assert selected(built(*two(), (select(CREDIT), "6A82")))[1:] == [CREDIT, AID]


def test_I11_the_number_of_candidates_is_bounded() -> None:
    """A card cannot list without end."""
    many = [entry(AID + f"{n:02X}", f"NUMBER {n}") for n in range(40)]
    _, action = begun(built(*directory(*many), *moved()))
    assert isinstance(action, ChoiceNeeded)
    assert len(action.labels) == CUP.limits.candidates_max


class Injured:
    """A virtual card whose answers are replaced at chosen commands."""

    def __init__(self, injuries: dict[int, bytes | None]) -> None:
        self._card = VirtualCard(PRESETS["debit"])
        self.atr, self._injuries, self._heard = self._card.atr, injuries, 0

    def transmit(self, command: bytes) -> bytes:
        """The card's answer, or the injury; None is a pull."""
        self._heard += 1
        answer = self._card.transmit(command)
        injury = self._injuries.get(self._heard, answer)
        if injury is None:
            raise CardGone
        return injury


answers = st.one_of(
    st.none(),
    st.binary(max_size=40),
    st.binary(max_size=40).map(lambda data: data + b"\x90\x00"),
    st.sampled_from(["7000", "6F00", "770482027C00", "80020000", "6110", "6C10", ""]).map(
        lambda text: bytes.fromhex(text) + b"\x90\x00"
    ),
    st.sampled_from([ARQC, "8013" + "40" + "00" * 18]).map(
        lambda text: bytes.fromhex(text) + b"\x90\x00"
    ),
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(st.integers(1, 14), answers, max_size=4))
def test_I11_whatever_a_card_answers_the_end_is_defined(injuries: dict[int, bytes | None]) -> None:
    """No answer breaks the kernel, and it never approves without the host and a certificate."""
    made = run(Injured(injuries), approve)
    second = [step.detail for step in made.steps if step.name == "second_ac"]

    assert (made.end.kind is EndKind.APPROVED) is (second == ["TC TC"])
    assert made.end.host_approved is bool(made.asked)
    assert made.end.reversal_needed is (made.end.host_approved and second != ["TC TC"])


def test_pin_entry_names_the_account_and_the_amount() -> None:
    """What the pad needs; the number is opaque (I12)."""
    kernel, action = begun(built())
    assert isinstance(action, PinNeeded)
    assert action.amount_fen == PAYMENT.amount_fen
    assert "6200" not in repr(action)
    end = kernel.pin(PinOutcome.CANCELLED)
    assert end.kind is EndKind.CANCELLED  # type: ignore[union-attr]


def test_an_application_without_priority_comes_last() -> None:
    """EMV book 1, 12.4: those with one first, in its order."""
    listed = directory(entry(AID, "PLAIN"), entry(CREDIT, "LAST", "0F"), entry(LONG, "FIRST", "01"))
    _, action = begun(built(*listed, *moved()))
    assert action == ChoiceNeeded(("FIRST", "LAST", "PLAIN"))


def test_a_card_that_cannot_do_next_is_not_blocked() -> None:
    """6A81 to P2 = 02 only means that there is no next one."""
    following = f"00A40402{len(AID) // 2:02X}{AID}"
    made = run(
        built(
            (select(AID), application(LONG)),
            (following, "6A81"),
            (select(LONG), application(LONG)),
        )
    )
    assert made.end.aid == LONG


def test_nothing_of_an_application_that_refused_is_left() -> None:
    """The first one's PDOL does not fill the second one's command."""
    card = built(
        *directory(entry(CREDIT, "CREDIT", "01"), entry(AID, "DEBIT", "02")),
        *moved((select(CREDIT), application(CREDIT, tlv("9F38", "9F0206")))),
        ("80A80000088306", "6985"),
    )
    made = run(card)
    assert made.sent("80A8")[1] == "80A8000002830000"
    assert made.end.aid == AID


@pytest.mark.parametrize("wanted", [ChoiceNeeded, PinNeeded])
def test_a_card_pulled_while_the_holder_is_asked(wanted: type) -> None:
    """At the choice or at the pad: nothing happened."""
    kernel, action = begun(built(*two()), cardholder_choice=wanted is ChoiceNeeded)
    assert isinstance(action, wanted)
    end = kernel.card_gone()
    assert (end.kind, end.reasons) == (EndKind.CANCELLED, ("card_gone",))  # type: ignore[union-attr]
    assert not end.reversal_needed  # type: ignore[union-attr]


def test_a_pin_is_asked_for_once() -> None:
    """Two rules want it: after a bypass the second is not asked again."""
    kernel, action = begun(built(_8E="0000000000000000" + "42034200"))
    assert isinstance(action, PinNeeded)
    assert isinstance(kernel.pin(PinOutcome.BYPASSED), Send)
