"""The kiosk's machine: the way of one patient, and every way off it."""

from typing import Any

import pytest
from msgspec.structs import replace

from terminal_agent.flows import events as ev
from terminal_agent.flows.businesses import FLOWS
from terminal_agent.flows.view import Button, DeviceLine, Screen, Tap
from terminal_agent.protocol import Choice, Opaque, Told
from tests.flows.world import BILLS, DEVICES, PATIENT, SERVED, Paper


def without(*roles: str) -> tuple[DeviceLine, ...]:
    """The devices, some of them unplugged."""
    return tuple(
        replace(device, state="noDevice") if device.role in roles else device for device in DEVICES
    )


def test_a_bill_is_paid() -> None:
    """The whole way: every screen, every command, in order, and home at its end."""
    paper = Paper()

    paper.tap("tile", "outpatient_bill")
    assert (paper.screen, paper.kinds()) == (Screen.IDENTIFY, ["Identify"])
    paper.about(ev.Identified, medium="visit", number=Opaque("C1"))
    assert (paper.screen, paper.kinds()) == (Screen.BUSY, ["AskPatient"])
    paper.about(ev.Found, patient=PATIENT)
    assert paper.kinds() == ["AskChoices"]
    paper.about(ev.Offered, choices=BILLS)
    assert [line.amount_fen for line in paper.view.choices] == [1234, 9900]
    paper.tap("choice", "B1")
    assert (paper.screen, paper.view.amount_fen) == (Screen.CHECK, 1234)
    paper.tap("confirm")
    (pay,) = paper.wants
    assert (pay.order.bill, pay.order.amount_fen, pay.clearing) == ("B1", 1234, "outpatient")
    paper.tell(ev.CardNews(inside=True)).about(ev.Progress, stage=ev.Stage.READING)
    assert (paper.screen, paper.view.prompt) == (Screen.CARD, "reading")
    paper.about(ev.Progress, stage=ev.Stage.PIN, digits=3)
    assert (paper.screen, paper.view.digits) == (Screen.PIN, 3)
    paper.about(ev.Progress, stage=ev.Stage.SENT, key="K1")
    paper.end("approved")
    assert (paper.screen, paper.kinds()) == (Screen.RESULT, ["GiveBack"])
    paper.tell(ev.SlipNews(key="K1", slip="printed"))
    assert (paper.view.outcome, paper.view.slip) == ("approved", "printed")
    assert paper.view.next == "take_card_and_slip"
    paper.tap("home")
    assert paper.screen is Screen.TAKE_CARD
    paper.tell(ev.CardNews(inside=False))

    assert paper.screen is Screen.HOME
    assert paper.state.patient is None
    assert sum(isinstance(command, ev.Pay) for command in paper.all) == 1


def test_I12_names_are_masked_and_at_home_nothing_of_a_patient_is_left() -> None:
    """What the page gets, and what the next patient could find."""
    paper = Paper().to_check()
    assert "王小明" not in repr(paper.view)
    assert "王*明" in repr(paper.view)

    paper.tap("cancel")

    assert (paper.screen, paper.kinds()) == (Screen.HOME, ["Stop"])
    for field in (paper.state.patient, paper.state.order, paper.state.told):
        assert field is None
    assert paper.state.chosen == paper.state.choices == ()


def test_a_tap_on_what_is_not_shown_any_more_does_nothing() -> None:
    """The same finger twice, and a finger slower than the page: one payment."""
    paper = Paper().to_check()
    revision = paper.state.revision

    paper.tap("confirm")
    assert paper.kinds() == ["Pay"]
    stale = paper.state
    paper.tell(ev.Tapped(Tap(revision=revision, what="confirm")))

    assert paper.state is stale
    assert paper.wants == ()


@pytest.mark.parametrize("what", ["cancel", "home", "back", "confirm"])
def test_I7_what_is_sent_is_left_by_its_end_only(what: str) -> None:
    """No tap, no clock, no card pulled: only the outcome."""
    paper = Paper().to_paying()

    paper.tap(what).later(3_600_000)
    paper.tell(ev.CardNews(inside=False))

    assert paper.screen is Screen.PAYING
    assert paper.view.countdown_ms == 0
    paper.end("pending")
    assert paper.screen is Screen.RESULT


def test_giving_up_at_the_card_waits_for_its_end() -> None:
    """Cancel at the PIN: the devices are told, and what was sent in that moment is still shown."""
    paper = Paper().to_card()
    paper.about(ev.Progress, stage=ev.Stage.PIN)

    paper.tap("cancel")
    assert paper.kinds() == ["Stop"]
    paper.tap("cancel")
    assert paper.wants == ()
    paper.about(ev.Progress, stage=ev.Stage.SENT, key="K1")

    assert (paper.screen, paper.view.notice) == (Screen.PAYING, "")


def test_nothing_was_taken_is_said_when_it_was_cancelled() -> None:
    """The pad's cancel key."""
    paper = Paper().to_card()

    paper.about(ev.Ended, told=None, code="canceled")

    assert (paper.view.outcome, paper.view.next) == ("cancelled", "nothing_taken")


def test_rule_17_a_wrong_pin_is_a_new_payment_that_names_the_old_one() -> None:
    """55: the same card again, at most retries_max times; the card is not given back meanwhile."""
    paper = Paper().to_paying()

    for retry in range(paper.rules.retries_max):
        paper.end("declined", code="55")
        assert paper.kinds() == []
        assert Button.CONFIRM in paper.view.buttons
        assert paper.view.next == "try_again"
        paper.tap("confirm")
        (pay,) = paper.wants
        assert pay.order.retry_of == "K1", retry
        paper.about(ev.Progress, stage=ev.Stage.SENT, key="K1")
    paper.end("declined", code="55")

    assert Button.CONFIRM not in paper.view.buttons
    assert paper.kinds() == ["GiveBack"]
    assert paper.tap("confirm").wants == ()


def test_no_retry_after_any_other_refusal() -> None:
    """51 is final here."""
    paper = Paper().to_paying().end("declined", code="51", text="余额不足")

    assert Button.CONFIRM not in paper.view.buttons
    assert (paper.view.text, paper.view.next) == ("余额不足", "other_card_or_counter")


def test_time_runs_out_before_the_card() -> None:
    """Home, with a countdown before it; "stay" begins it anew."""
    paper = Paper().to_pick()
    assert paper.view.countdown_ms == paper.rules.choose_ms

    paper.later(paper.rules.choose_ms - 1)
    assert paper.screen is Screen.PICK
    paper.tap("stay")
    paper.later(paper.rules.choose_ms - 1)
    assert paper.screen is Screen.PICK
    paper.later(1)

    assert (paper.screen, paper.kinds()) == (Screen.HOME, ["Stop"])


def test_time_runs_out_at_the_pin_with_the_card_inside() -> None:
    """The entry is given up; then the card has to be taken."""
    paper = Paper().to_card().tell(ev.CardNews(inside=True))
    paper.about(ev.Progress, stage=ev.Stage.PIN)

    paper.later(paper.rules.card_ms)
    assert paper.kinds() == ["Stop"]
    paper.about(ev.Ended, told=None, code="canceled")
    paper.later(paper.rules.result_ms)
    assert paper.screen is Screen.TAKE_CARD
    paper.later(3_600_000)
    assert paper.screen is Screen.TAKE_CARD
    paper.tell(ev.CardNews(inside=False))

    assert paper.screen is Screen.HOME


def test_each_key_of_the_pin_gives_more_time() -> None:
    """A slow hand is not cut off between two digits."""
    paper = Paper().to_card()
    paper.about(ev.Progress, stage=ev.Stage.PIN)
    for digits in range(1, 7):
        paper.later(paper.rules.card_ms - 1)
        paper.about(ev.Progress, stage=ev.Stage.PIN, digits=digits)

    assert (paper.screen, paper.view.digits) == (Screen.PIN, 6)


def test_what_an_earlier_patient_asked_for_is_for_nobody() -> None:
    """I12: a late answer of the hospital meets another visit."""
    paper = Paper().to_pick()
    visit = paper.state.visit
    paper.tap("cancel").tap("tile", "outpatient_bill")
    paper.about(ev.Identified, medium="visit", number=Opaque("C2"))
    before = paper.state

    paper.tell(ev.Found(visit=visit, patient=PATIENT))

    assert paper.state is before


def test_a_patient_the_hospital_does_not_know_may_try_again() -> None:
    """Its sentence is shown, and the devices are waited for again."""
    paper = Paper().tap("tile", "outpatient_bill")
    paper.about(ev.Identified, medium="visit", number=Opaque("X"))

    paper.about(ev.Failed, code="404", text="未找到患者")

    assert (paper.screen, paper.kinds(), paper.view.text) == (
        Screen.IDENTIFY,
        ["Identify"],
        "未找到患者",
    )


def test_no_bill_is_no_error() -> None:
    """A page that says so."""
    paper = Paper().tap("tile", "outpatient_bill")
    paper.about(ev.Identified, medium="visit", number=Opaque("C1"))
    paper.about(ev.Found, patient=PATIENT).about(ev.Offered, choices=())

    assert (paper.screen, paper.view.notice) == (Screen.RESULT, "no_bill")
    assert paper.tap("confirm").wants == ()


def test_back_goes_one_step() -> None:
    """From the check to the bills, from the bills to the card reader."""
    paper = Paper().to_check().tap("back")
    assert paper.kinds() == ["AskChoices"]
    paper.about(ev.Offered, choices=BILLS).tap("back")

    assert (paper.screen, paper.kinds()) == (Screen.IDENTIFY, ["Stop", "Identify"])


def test_registration_picks_three_times() -> None:
    """Department, doctor, slot share the steps of a bill; each asks with what was chosen."""
    paper = Paper().tap("tile", "registration")
    paper.about(ev.Identified, medium="id", number=Opaque("1"))
    paper.about(ev.Found, patient=PATIENT)
    for step, choice in (("department", "D1"), ("doctor", "R1"), ("slot", "S1")):
        (ask,) = paper.wants
        assert ask.pick.step == step
        offered = (Choice(id=choice, title=step, amount_fen=500), Choice(id="X", title="x", left=0))
        paper.about(ev.Offered, choices=offered)
        assert paper.tap("choice", "X").wants == ()
        paper.tap("choice", choice)
    assert ask.chosen == (("department", "D1"), ("doctor", "R1"))

    assert paper.state.order is not None
    assert (paper.state.order.bill, paper.state.order.amount_fen) == ("S1", 500)
    assert paper.tap("confirm").kinds() == ["Pay"]


def test_nothing_costs_nothing() -> None:
    """An amount of zero is not paid: there is no button for it, and a word why."""
    paper = Paper().tap("tile", "outpatient_bill")
    paper.about(ev.Identified, medium="visit", number=Opaque("C1"))
    paper.about(ev.Found, patient=PATIENT)
    paper.about(ev.Offered, choices=(Choice(id="B0", title="免费"),)).tap("choice", "B0")

    assert paper.view.notice == "nothing_to_pay"
    assert Button.CONFIRM not in paper.view.buttons
    assert paper.tap("confirm").wants == ()


def test_a_business_that_the_switch_does_not_serve_is_shown_and_closed() -> None:
    """From the switch's own list; a finger on it does nothing."""
    paper = Paper()

    tiles = {tile.id: tile.open for tile in paper.view.tiles}

    assert set(tiles) == set(FLOWS)
    assert tiles["outpatient_bill"]
    assert not tiles["account_topup"]
    assert paper.tap("tile", "account_topup").screen is Screen.HOME


@pytest.mark.parametrize("role", ["card_reader", "pin_pad"])
def test_without_reader_or_pad_nothing_is_paid(role: str) -> None:
    """What needs no card stays open."""
    paper = Paper().tell(ev.DeviceNews(without(role)))

    tiles = {tile.id: tile.open for tile in paper.view.tiles}

    assert not tiles["outpatient_bill"]
    assert tiles["bill_query"]
    assert paper.tap("tile", "outpatient_bill").screen is Screen.HOME


def test_only_media_whose_device_works_are_asked_for() -> None:
    """Without any the kiosk cannot know anybody."""
    paper = Paper().tell(ev.DeviceNews(without("visit_card"))).tap("tile", "bill_query")
    assert paper.view.media == ("id",)
    assert paper.wants == (ev.Identify(visit=paper.state.visit, media=("id",)),)
    paper.tap("cancel").tell(ev.DeviceNews(without("visit_card", "id_reader")))

    assert not any(tile.open for tile in paper.view.tiles)


def test_reports_have_no_way_to_the_paper() -> None:
    """Whatever the switch lists."""
    paper = Paper().tell(ev.Services({**SERVED, "report_print": "报告打印"}))

    assert {tile.id: tile.open for tile in paper.view.tiles}["report_print"] is False
    assert paper.tap("tile", "report_print").screen is Screen.HOME


def test_without_the_line_the_kiosk_is_closed() -> None:
    """暂停服务; a patient under way is not thrown out by it."""
    paper = Paper().tell(ev.LinkNews(up=False))
    assert (paper.view.screen, paper.view.notice) == (Screen.CLOSED, "offline")
    assert paper.tap("tile", "outpatient_bill").screen is Screen.HOME
    paper.tell(ev.LinkNews(up=True)).to_paying().tell(ev.LinkNews(up=False))

    assert paper.view.screen is Screen.PAYING


def test_a_locked_kiosk_finishes_with_its_patient_first() -> None:
    """Then it is closed, with the operator's sentence."""
    paper = Paper().to_paying().tell(ev.LockNews("系统升级"))
    assert paper.view.screen is Screen.PAYING
    paper.end("approved").tap("home").tell(ev.CardNews(inside=False))

    assert (paper.view.screen, paper.view.text) == (Screen.CLOSED, "系统升级")
    assert paper.tap("tile", "outpatient_bill").screen is Screen.HOME
    paper.tell(ev.LockNews(None))
    assert paper.view.screen is Screen.HOME


def test_I7_power_came_back_in_the_middle_of_a_payment() -> None:
    """It is shown, and waited for, until its outcome is known."""
    paper = Paper().to_check()
    order = paper.state.order
    assert order is not None
    paper = Paper().tell(ev.Unfinished(key="K1", order=order))
    assert (paper.screen, paper.view.notice, paper.kinds()) == (
        Screen.PAYING,
        "after_restart",
        ["AwaitOutcome"],
    )

    paper.end("returned")

    assert (paper.view.outcome, paper.view.next) == ("returned", "money_back")


def test_a_pending_result_becomes_its_end_on_the_screen() -> None:
    """The answer comes as news while the patient still stands there."""
    paper = Paper().to_paying().end("pending")

    paper.tell(ev.News(Told(key="K1", state="approved", version=9, amount_fen=1234)))
    paper.tell(ev.News(Told(key="OTHER", state="declined", version=9)))

    assert paper.view.outcome == "approved"


def test_the_card_asks_which_application() -> None:
    """Only what it offers may be chosen, once."""
    paper = Paper().to_card()
    paper.about(ev.Progress, stage=ev.Stage.APPLICATION, labels=("DEBIT", "CREDIT"))
    assert [line.title for line in paper.view.choices] == ["DEBIT", "CREDIT"]

    assert paper.tap("choice", "7").wants == ()
    paper.tap("choice", "1")
    assert paper.wants == (ev.Choose(1),)
    assert paper.tap("choice", "1").wants == ()


def test_a_slip_is_printed_again() -> None:
    """From the kiosk's own journal, without a payment."""
    paper = Paper().tap("tile", "slip_reprint")
    paper.about(ev.Identified, medium="visit", number=Opaque("C1"))
    paper.about(ev.Found, patient=PATIENT)
    paper.about(ev.Offered, choices=(Choice(id="K7", title="血常规", amount_fen=1234),))

    paper.tap("choice", "K7")
    assert paper.wants == (ev.Print("K7"),)
    paper.tell(ev.SlipNews(key="K7", slip="failed"))

    assert (paper.view.slip, paper.view.next) == ("failed", "counter_for_slip")


def test_bills_are_read_without_paying() -> None:
    """A query ends in a list."""
    paper = Paper().tap("tile", "bill_query")
    paper.about(ev.Identified, medium="visit", number=Opaque("C1"))
    paper.about(ev.Found, patient=PATIENT).about(ev.Offered, choices=BILLS)

    assert (paper.screen, len(paper.view.choices)) == (Screen.LISTING, 2)
    assert paper.tap("choice", "B1").wants == ()


def test_language_and_type_size_go_home_with_the_patient() -> None:
    """English and elder mode last for a visit, and for a while at home."""
    paper = Paper().tap("language").tap("elder")
    assert (paper.view.language, paper.view.elder) == ("en", True)
    assert len(paper.view.tiles) < len(FLOWS)
    paper.to_pick()
    assert (paper.view.language, paper.view.elder) == ("en", True)
    paper.tap("cancel")
    assert (paper.view.language, paper.view.elder) == ("zh", False)

    paper.tap("language").later(paper.rules.choose_ms)

    assert paper.view.language == "zh"


def test_the_attendant_needs_the_code() -> None:
    """Digits are counted on the page, never shown; a wrong code says so."""
    paper = Paper().tap("attendant")
    for digit in "246810":
        paper.tap("digit", digit)
    assert paper.view.digits == 6
    assert "246810" not in repr(paper.view)
    paper.tap("confirm")
    (check,) = paper.wants
    assert check.code.reveal() == "246810"
    paper.about(ev.Admitted, right=False)
    assert (paper.view.notice, paper.view.digits) == ("wrong_code", 0)
    paper.about(ev.Admitted, right=True, versions={"yinyitong": "0.1.0"})
    assert paper.screen is Screen.ATTENDANT

    assert paper.tap("lock").wants == (ev.SetLock(""),)
    paper.tell(ev.LockNews(""))
    assert Button.UNLOCK in paper.view.buttons
    assert paper.tap("unlock").wants == (ev.SetLock(None),)
    assert paper.tap("restart").wants == (ev.Restart(),)
    assert paper.tap("payment", "K9").wants == ()
    assert paper.tap("home").screen is Screen.HOME


def test_every_view_of_the_way_says_where_the_patient_is() -> None:
    """The step bar moves forward, and never past its end."""
    paper = Paper()
    seen = []
    for move in (paper.to_pick, lambda: paper.tap("choice", "B1"), lambda: paper.tap("confirm")):
        move()
        seen.append(paper.view.steps[paper.view.step])
    paper.about(ev.Progress, stage=ev.Stage.SENT, key="K1")
    seen.append(paper.view.steps[paper.view.step])
    paper.end("approved")
    seen.append(paper.view.steps[paper.view.step])

    assert seen == ["bill", "check", "pay", "pay", "done"]


def test_the_step_bar_stops_where_it_ended() -> None:
    """What was not paid is not done; after a power cut the payment is the step that is shown."""
    refused = Paper().to_paying().end("declined", code="51")
    assert refused.view.steps[refused.view.step] == "pay"
    order = refused.state.order
    assert order is not None
    woken = Paper().tell(ev.Unfinished(key="K1", order=order))
    assert woken.view.steps[woken.view.step] == "pay"
    woken.end("returned")
    assert woken.view.steps[woken.view.step] == "pay"

    paper = Paper().tap("tile", "outpatient_bill")
    paper.about(ev.Identified, medium="visit", number=Opaque("C1"))
    paper.about(ev.Found, patient=PATIENT).about(ev.Offered, choices=())

    assert paper.view.notice == "no_bill"
    assert paper.view.steps[paper.view.step] == "bill"


@pytest.mark.parametrize(
    ("ended", "following"),
    [
        ({"told": None, "code": "card_gone"}, "try_again"),
        ({"told": None, "code": "card_unusable"}, "other_card_or_counter"),
        ({"told": None, "code": "canceled"}, "nothing_taken"),
        ({"told": Told(key="K1", state="declined", version=1, code="55")}, "try_again"),
    ],
)
def test_who_may_try_again_is_not_sent_away(ended: dict[str, Any], following: str) -> None:
    """Beside the button for another try no other way is named, but another card where it helps."""
    paper = Paper().to_card()

    paper.about(ev.Ended, **ended)

    assert Button.CONFIRM in paper.view.buttons
    assert paper.view.next == following


def test_news_between_eye_and_finger_takes_no_tap_away() -> None:
    """A slip comes out, a device changes: what was offered is offered still."""
    paper = Paper().to_paying().end("approved")
    seen = paper.state.revision
    paper.tell(ev.SlipNews(key="K1", slip="printed"))
    assert paper.state.revision > seen

    paper.tell(ev.Tapped(Tap(revision=seen, what="home")))

    assert paper.screen is Screen.TAKE_CARD
