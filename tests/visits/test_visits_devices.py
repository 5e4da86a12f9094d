"""Devices that break, and patients who change their minds, at every stage of a visit: the shell
round the flows, on a Clock. Goal: no visit hangs, and nothing is sent that was given up."""

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from twisted.internet.defer import Deferred

from terminal_agent import protocol
from terminal_agent.chip_payment import ChipTerminal, PinRules
from terminal_agent.devices.interfaces import Completion, DeviceError, State
from terminal_agent.emv.actions import ChoiceNeeded, End, EndKind
from tests.visits.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A kiosk at home."""
    return Bench(tmp_path)


def test_a_bill_is_paid(bench: Bench) -> None:
    """The whole way, as a measure for the others."""
    key = bench.to_paying()
    assert bench.screen == "paying"
    bench.ask_card(key)
    bench.switch.answer(key, "approved")

    assert (bench.screen, bench.view.outcome) == ("result", "approved")
    assert bench.switch.ends == ["confirmed"]
    assert [name for name, _ in bench.printer.printed] == [key]


# ---- who is it -----------------------------------------------------------------------------------


def test_I11_every_reader_gone_ends_the_visit(bench: Bench) -> None:
    """Unplugged between two tries: the visit ends with its reason instead of asking for ever."""
    bench.to_identify()
    bench.scanner.state = bench.visit_card.state = State.NO_DEVICE
    bench.visit_card.fail(Completion.INVALID_DATA)

    assert (bench.screen, bench.view.outcome) == ("result", "failed")
    assert bench.view.notice == "deviceNotReady"
    assert bench.tap("home").screen == "home"


def test_a_reader_that_breaks_leaves_the_others(bench: Bench) -> None:
    """With one of them unplugged the patient is known by the other one."""
    bench.to_identify()

    bench.scanner.fail(Completion.DEVICE_NOT_READY)
    assert bench.screen == "identify"
    bench.visit_card.show("C1")

    assert bench.screen == "pick"


def test_the_last_reader_that_breaks_says_why(bench: Bench) -> None:
    """None is left: the visit ends."""
    bench.to_identify()

    bench.scanner.fail(Completion.DEVICE_NOT_READY)
    bench.visit_card.fail(Completion.HARDWARE_ERROR)

    assert (bench.screen, bench.view.notice) == ("result", "hardwareError")


def test_an_unreadable_card_may_be_shown_again(bench: Bench) -> None:
    """All readers are let go and asked anew: once each, and none twice at a time."""
    bench.to_identify()

    bench.visit_card.fail(Completion.INVALID_DATA)
    assert (bench.screen, bench.view.notice) == ("identify", "invalidData")
    assert (bench.visit_card.reads, bench.scanner.reads) == (2, 2)
    bench.scanner.show("C1")

    assert bench.screen == "pick"
    assert (bench.visit_card.waits, bench.scanner.waits) == (False, False)


def test_more_time_is_more_time_at_the_readers_too(bench: Bench) -> None:
    """After "more time" a card shown later than the first wait is still read; without it the
    kiosk goes home, and nobody waits at a reader."""
    bench.to_identify().wait(25_000).tap("stay").wait(10_000)
    assert bench.screen == "identify"
    bench.visit_card.show("C1")
    assert bench.screen == "pick"
    bench.tap("cancel").to_identify().wait(31_000)

    assert bench.screen == "home"
    assert (bench.visit_card.waits, bench.scanner.waits) == (False, False)


def test_a_question_that_breaks_costs_the_visit_alone(bench: Bench) -> None:
    """An answer that cannot be read."""
    bench.switch.bodies[protocol.BILL_QUERY] = {"ok": "perhaps"}
    bench.to_identify().visit_card.show("C1")

    assert (bench.screen, bench.view.notice) == ("result", "defect")


@pytest.mark.parametrize(
    ("fault", "notice"),
    [("busy", "busy"), ("bad_field", "bad_field"), ("unknown_name", "unavailable")],
)
def test_what_the_switch_says_to_engineers_is_not_shown(
    bench: Bench, fault: str, notice: str
) -> None:
    """A word of the page's dictionary stands for it."""
    bench.switch.faults[protocol.BILL_QUERY] = fault
    bench.to_identify().visit_card.show("C1")

    assert (bench.view.notice, bench.view.text) == (notice, "")


# ---- at the card and the pad ---------------------------------------------------------------------


def test_more_time_at_the_card_and_at_the_pad(bench: Bench) -> None:
    """The page gives up, not the reader and not the pad."""
    bench.to_card().wait(15_000).tap("stay").wait(15_000)
    bench.insert()
    assert bench.screen == "pin"
    bench.wait(15_000).tap("stay").wait(15_000)
    bench.type()

    assert (bench.screen, len(bench.keys)) == ("paying", 1)


@pytest.mark.parametrize("again", [False, True])
def test_the_pad_is_unplugged_at_the_pin(bench: Bench, *, again: bool) -> None:
    """Nothing is sent; the card is told and comes out, or is asked anew."""
    bench.to_card()
    bench.insert()
    bench.pad.unplug()
    assert (bench.screen, bench.view.outcome, bench.keys) == ("result", "failed", [])
    assert bench.view.notice == "deviceNotReady"

    if again:
        bench.tap("confirm").type()
        assert (bench.screen, len(bench.keys)) == ("paying", 1)
    else:
        bench.tap("home")
        bench.reader.pull()
        assert bench.screen == "home"


def test_the_reader_is_lost_with_the_card_inside(bench: Bench) -> None:
    """Its monitor says that the card is gone: "take your card" does not stay for ever."""
    bench.to_card()
    bench.insert()
    bench.removed()

    assert (bench.screen, bench.view.notice, bench.keys) == ("result", "card_gone", [])
    assert bench.tap("home").screen == "home"


def test_cancelled_before_the_card(bench: Bench) -> None:
    """Nobody waits at the reader any more, and nothing is sent."""
    bench.to_card().tap("cancel")

    assert (bench.view.outcome, bench.keys) == ("cancelled", [])
    bench.tap("home").to_card()
    assert bench.screen == "card"


def test_cancelled_before_the_choice_of_an_application_nothing_is_asked(tmp_path: Path) -> None:
    """The card is still being read when the patient gives up: the choice is not shown any more."""
    bench = Bench(tmp_path)
    rules = PinRules(digits_min=4, digits_max=12, timeout_ms=1)
    chip = ChipTerminal(bench.reader, bench.pad, rules)
    facts = dict.fromkeys(("tvr", "tsi", "aid", "label", "pan_masked"), "")
    end = End(kind=EndKind.CANCELLED, reasons=("holder_cancelled",), **facts)
    kernel: Any = Mock()
    kernel.choose.return_value = end

    async def choose(_labels: tuple[str, ...]) -> int | None:
        raise AssertionError("asked")

    chip.cancel()
    play = Deferred.fromCoroutine(chip._play(kernel, ChoiceNeeded(("A", "B")), choose, []))

    assert play.result is end
    kernel.choose.assert_called_once_with(None)


@pytest.mark.parametrize("completion", [Completion.FRAUD_ATTEMPT, Completion.HARDWARE_ERROR])
def test_a_pad_that_is_broken_or_opened_is_no_way_round_the_pin(
    bench: Bench, completion: Completion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bank is not asked without a PIN, and the card makes no cryptogram."""

    async def broken(*_asked: object) -> int:
        raise DeviceError(completion, "no")

    monkeypatch.setattr(bench.pad, "pin_entry", broken)
    bench.to_card()
    bench.insert()

    assert (bench.view.outcome, bench.view.notice) == ("failed", completion)
    assert bench.keys == []


# ---- what is sent --------------------------------------------------------------------------------


def test_I7_a_defect_behind_a_payment_that_is_sent_is_pending(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The screen is left with what is known, never with "failed", and learns the end."""

    async def broken(_key: str, _wait_ms: int) -> protocol.Told:
        raise RuntimeError("a defect")

    monkeypatch.setattr(bench.desk, "outcome", broken)
    key = bench.to_paying()
    assert (bench.screen, bench.view.outcome) == ("result", "pending")
    bench.switch.answer(key, "approved")

    assert bench.view.outcome == "approved"


def test_I7_a_defect_beside_a_payment_ends_no_payment(bench: Bench) -> None:
    """The switch's list of businesses comes anew with every link; one that cannot be read while a
    patient is at the card says nothing of that patient's money."""
    bench.to_card()
    bench.insert()
    bench.switch.bodies[protocol.SERVICES] = {"businesses": 5}
    bench.visits.link_changed(False)
    bench.visits.link_changed(True)
    assert bench.screen == "pin"
    bench.type()
    (key,) = bench.keys
    bench.switch.answer(key, "approved")

    assert bench.view.outcome == "approved"


def test_a_slip_of_nothing_is_said_to_have_failed(bench: Bench) -> None:
    """An unknown key prints nothing, and nobody waits for it."""
    heard: list[tuple[str, str]] = []
    bench.slips.watch(lambda key, slip: heard.append((key, slip)))

    bench.slips.begin("R-1")

    assert heard == [("R-1", "waiting"), ("R-1", "failed")]
