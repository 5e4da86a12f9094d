"""Patients at the page, the whole agent as a process: emulated devices on pseudo terminals, the
real front of the switch, the page's own WebSocket."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.kiosk.rig import Switch, http
from tests.visits.rig import PIN, PageKiosk


def starts(switch: Switch) -> list[str]:
    """Keys that the switch was asked to pay, each time it was."""
    return [line["start"] for line in switch.seen() if "start" in line]


def test_a_bill_is_paid_with_chip_and_pin(kiosk: PageKiosk, switch: Switch) -> None:
    """From the tile to the card taken; one payment, with chip data and a PIN block; one slip."""
    kiosk.start()

    shown = kiosk.pay()

    assert (shown["outcome"], shown["amount_fen"], shown["next"]) == (
        "approved",
        1234,
        "take_card_and_slip",
    )
    kiosk.until(lambda view: view.get("slip") == "printed")
    while kiosk.panel.hear()["slip"] == 0:
        pass  # the side panel hears of the slip by itself
    kiosk.tap("home")
    kiosk.on("take_card")
    kiosk.hand("pull")
    kiosk.ready()
    (told,) = kiosk.told()
    assert (told["state"], told["amount_fen"]) == ("approved", 1234)
    assert starts(switch) == [told["key"]]
    kiosk.stop()


def test_I12_no_digit_of_a_pin_and_no_card_number_reaches_the_page(kiosk: PageKiosk) -> None:
    """Every view that the page ever got, the log too."""
    kiosk.start()
    views: list[str] = []
    kiosk.to_pin()
    kiosk.type(PIN)
    while kiosk.view["screen"] != "result":
        kiosk.view = kiosk.page.hear()
        views.append(json.dumps(kiosk.view, ensure_ascii=False))
    kiosk.stop()

    assert kiosk.process is not None
    everything = "".join((*views, *kiosk.process.output))
    for secret in (PIN, "6200000000000000005", "王小明"):
        assert secret not in everything


@pytest.mark.parametrize("where", ["pick", "check", "card", "pin"])
def test_cancel_leads_home_and_nothing_is_sent(
    kiosk: PageKiosk, switch: Switch, where: str
) -> None:
    """At every place where it is safe, with the card inside or not; the next patient can pay."""
    kiosk.start()
    {
        "pick": kiosk.to_bills,
        "check": lambda: (kiosk.to_bills(), kiosk.tap("choice", "B1"), kiosk.on("check")),
        "card": kiosk.to_card,
        "pin": kiosk.to_pin,
    }[where]()

    kiosk.tap("cancel")
    if where in ("card", "pin"):
        assert kiosk.on("result")["outcome"] == "cancelled"
        kiosk.tap("home")
    if where == "pin":
        kiosk.on("take_card")
        kiosk.hand("pull")
    kiosk.ready()

    assert starts(switch) == []
    assert kiosk.pay()["outcome"] == "approved"
    kiosk.stop()


def test_the_pads_cancel_key(kiosk: PageKiosk, switch: Switch) -> None:
    """As good as the button on the page; corrections before it are counted back."""
    kiosk.start()
    kiosk.to_pin()
    for key in ("1", "2", "3"):
        kiosk.hand("key", key)
    kiosk.until(lambda view: view.get("digits") == 3)
    kiosk.hand("key", "clear")
    kiosk.until(lambda view: view.get("digits") == 2)

    kiosk.hand("key", "cancel")

    assert (kiosk.on("result")["outcome"], starts(switch)) == ("cancelled", [])
    kiosk.stop()


def test_a_card_pulled_at_the_pin(kiosk: PageKiosk, switch: Switch) -> None:
    """The entry ends, nothing is sent, and the same patient may try again with the card in."""
    kiosk.start()
    kiosk.to_pin()

    kiosk.hand("pull")
    shown = kiosk.on("result")
    assert (shown["outcome"], shown["notice"], starts(switch)) == ("failed", "card_gone", [])
    kiosk.tap("confirm")
    kiosk.on("card")
    kiosk.hand("insert", "good")
    kiosk.on("pin")
    kiosk.type(PIN)

    assert kiosk.until(lambda view: view.get("outcome") == "approved")
    kiosk.stop()


def test_rule_17_a_wrong_pin_is_asked_again_as_a_new_payment(
    kiosk: PageKiosk, switch: Switch
) -> None:
    """55: the card stays in; the second payment has a key of its own."""
    kiosk.start()
    kiosk.to_pin(number="P2004")
    kiosk.type("000000")
    assert kiosk.on("result")["code"] == "55"

    kiosk.tap("confirm")
    kiosk.on("pin")
    kiosk.type(PIN)
    kiosk.on("result")

    first, second = starts(switch)
    assert first != second
    assert len(kiosk.told()) == 2
    kiosk.stop()


def test_I7_reload_at_any_step_changes_nothing(kiosk: PageKiosk, switch: Switch) -> None:
    """The page holds nothing: a new one shows the same view, and the payment goes on."""
    kiosk.start()
    kiosk.to_pin()
    kiosk.hand("key", "1")
    kiosk.until(lambda view: view.get("digits") == 1)
    before = dict(kiosk.view)

    kiosk.reload()

    for name in ("screen", "digits", "revision", "amount_fen"):
        assert kiosk.view[name] == before[name]
    kiosk.type(PIN[1:])
    assert kiosk.on("result")["outcome"] == "approved"
    kiosk.reload()
    assert kiosk.view["outcome"] == "approved"
    assert len(starts(switch)) == 1
    kiosk.stop()


def test_I8_a_finger_that_taps_twice_pays_once(kiosk: PageKiosk, switch: Switch) -> None:
    """The second tap names a view that is gone."""
    kiosk.start()
    kiosk.to_bills()
    kiosk.tap("choice", "B1")
    kiosk.on("check")

    kiosk.tap("confirm")
    kiosk.tap("confirm")
    kiosk.on("card")
    kiosk.hand("insert", "good")
    kiosk.on("pin")
    kiosk.type(PIN)
    kiosk.on("result")

    assert len(starts(switch)) == 1
    kiosk.stop()


def test_I7_power_is_lost_while_the_payment_is_under_way(kiosk: PageKiosk, switch: Switch) -> None:
    """SIGKILL after it was sent; after the restart the page waits for the outcome, then shows it,
    and the slip comes out. The payment is one."""
    kiosk.start()
    kiosk.to_pin(number="P2002")
    kiosk.type(PIN)
    kiosk.on("paying")
    (key,) = until_started(switch)

    kiosk.stop(kill=True)
    kiosk.start()
    shown = kiosk.on("paying")
    assert shown["notice"] == "after_restart"
    switch.do(release=key, state="approved")

    assert kiosk.on("result")["outcome"] == "approved"
    kiosk.until(lambda view: view.get("slip") == "printed")
    assert starts(switch) == [key]
    kiosk.stop()


def until_started(switch: Switch) -> list[str]:
    """The keys, once there is one."""
    for _ in range(200):
        found = starts(switch)
        if found:
            return found
    raise AssertionError("nothing was sent")


def test_paper_is_out(kiosk: PageKiosk) -> None:
    """The payment stands; the patient is told, and gets the slip again at the same kiosk."""
    kiosk.start()
    kiosk.ready()
    kiosk.hand("paper", "out")

    assert kiosk.pay()["outcome"] == "approved"
    shown = kiosk.until(lambda view: view.get("slip") == "failed")
    assert shown["next"] == "counter_for_slip"
    kiosk.tap("home")
    kiosk.on("take_card")
    kiosk.hand("pull")
    kiosk.hand("paper", "in")
    kiosk.on("home")
    kiosk.tap("tile", "slip_reprint")
    kiosk.on("identify")
    kiosk.hand("visit", "P2001")
    choices = kiosk.on("pick")["choices"]
    kiosk.tap("choice", choices[0]["id"])

    assert kiosk.until(lambda view: view.get("slip") == "printed")["screen"] == "result"
    kiosk.stop()


def test_the_switch_goes_away_and_comes_back(kiosk: PageKiosk, switch: Switch) -> None:
    """暂停服务 as long as it is away, then open again by itself."""
    kiosk.start()
    kiosk.ready()

    switch.do(drop=True)
    assert kiosk.on("closed")["notice"] == "offline"
    kiosk.ready()

    assert kiosk.pay()["outcome"] == "approved"
    kiosk.stop()


def test_a_patient_walks_away(kiosk: PageKiosk, switch: Switch) -> None:
    """The countdown leads home by itself; nothing was sent."""
    config = json.loads(kiosk.config.read_text())
    config["flows"]["choose_ms"] = 400
    kiosk.config.write_text(json.dumps(config, ensure_ascii=False))
    kiosk.start()
    kiosk.ready()
    kiosk.tap("tile", "outpatient_bill")
    shown = kiosk.on("identify")
    assert 0 < shown["countdown_ms"] <= 400

    kiosk.on("home")

    assert starts(switch) == []
    kiosk.stop()


def test_who_cannot_be_found_and_who_has_nothing_to_pay(kiosk: PageKiosk) -> None:
    """An unknown card says so and may be tried again; no bill is said plainly."""
    config = json.loads(kiosk.config.read_text())
    config["devices"]["visit_card"]["options"]["numbers"] = "NOBODY P2005"
    kiosk.config.write_text(json.dumps(config, ensure_ascii=False))
    kiosk.start()
    kiosk.ready()
    kiosk.tap("tile", "outpatient_bill")
    kiosk.on("identify")
    kiosk.hand("visit", "NOBODY")
    shown = kiosk.until(lambda view: bool(view.get("notice")))
    assert (shown["screen"], shown["text"]) == ("identify", "未找到患者")
    kiosk.hand("visit", "P2005")

    assert kiosk.on("result")["notice"] == "no_bill"
    kiosk.stop()


def test_an_id_card_and_a_code_say_who_it_is(kiosk: PageKiosk) -> None:
    """The other media, one after the other; what the first patient showed is not the second's."""
    kiosk.start()
    for hand, name in (("id", "specimen"), ("scan", "P2003")):
        kiosk.ready()
        kiosk.tap("tile", "outpatient_bill")
        kiosk.on("identify")
        kiosk.hand(hand, name)
        kiosk.on("pick")
        kiosk.tap("cancel")
    kiosk.ready()
    kiosk.stop()


def test_the_attendant(kiosk: PageKiosk) -> None:
    """The code is set by the command; behind it devices, payments without personal data, a
    reprint, and the lock, which is told to patients and taken away again."""
    code = kiosk.folder / "attendant.code"
    argv = [sys.executable, "-m", "switch.cli", "agent", "attendant-code", "--file", str(code)]
    short: Any = subprocess.run(argv, input="12345\n", capture_output=True, text=True, check=False)
    assert (short.returncode, "6 to 12 digits" in short.stderr) == (2, True)
    subprocess.run(argv, input="246802\n", text=True, check=True, capture_output=True)
    assert "246802" not in code.read_text()
    assert code.stat().st_mode & 0o077 == 0
    config = json.loads(kiosk.config.read_text())
    config["flows"]["attendant_code_file"] = str(code)
    kiosk.config.write_text(json.dumps(config, ensure_ascii=False))
    kiosk.start()
    kiosk.pay()
    kiosk.tap("home")
    kiosk.on("take_card")
    kiosk.hand("pull")
    kiosk.ready()

    kiosk.tap("attendant")
    kiosk.on("code")
    for shown, digit in enumerate("246802", 1):
        kiosk.tap("digit", digit)
        kiosk.until(lambda view, shown=shown: view.get("digits") == shown)  # type: ignore[misc]
    kiosk.tap("confirm")
    seen = kiosk.on("attendant")
    assert {line["role"] for line in seen["devices"]} >= {"card_reader", "pin_pad", "printer"}
    (paid,) = seen["payments"]
    assert (paid["patient"], paid["amount_fen"], paid["state"]) == ("王*明", 1234, "approved")
    kiosk.tap("payment", paid["key"])
    kiosk.until(lambda view: view.get("slip") == "printed")
    kiosk.tap("lock")
    kiosk.until(lambda view: "unlock" in view["buttons"])
    kiosk.tap("home")
    assert kiosk.on("closed")["notice"] == "locked"
    kiosk.stop()


def test_scripted_hands_are_refused_at_a_page(kiosk: PageKiosk) -> None:
    """The reader and the pad belong to the page's patient."""
    kiosk.start()

    status, answer = http("POST", f"{kiosk.url}/pay", {"business": "outpatient_bill"})

    assert (status, answer["code"]) == (409, "page")
    kiosk.stop()
