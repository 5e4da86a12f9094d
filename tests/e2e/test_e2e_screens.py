"""The whole way in Chinese, in English and in large type, with pictures of every screen for people
to look at, and nobody shut out. ``--tour`` makes the pictures of docs/kiosk-tour.md anew."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from switch.demo.cards import WRONG_PIN
from tests.browser import SCREEN
from tests.e2e import visitor as zh
from tests.e2e.camera import Camera
from tests.e2e.conftest import tab
from tests.e2e.stack import EMULATED
from tests.e2e.visitor import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TOUR = Path(__file__).parents[2] / "docs" / "images" / "kiosk"
SLOW_MS = 900
PATIENT = "P2001"
"""Has a visit card at the side panel."""
BILLS = 3


class Words(NamedTuple):
    """Headlines and buttons of one payment, in the order of the way."""

    home: str
    tile: str
    who: str
    asking: str
    pick: str
    check: str
    pay: str
    card: str
    pin: str
    paying: str
    paid: str
    slip: str
    leave: str
    take_card: str


CHINESE = Words(
    home=zh.HOME,
    tile="门诊缴费",
    who=zh.WHO,
    asking="正在查询医院系统",
    pick=zh.PICK,
    check=zh.CHECK,
    pay="确认支付",
    card=zh.CARD,
    pin=zh.PIN,
    paying=zh.PAYING,
    paid=zh.PAID,
    slip="凭条已打印，请取走",
    leave="返回首页",
    take_card=zh.TAKE_CARD,
)
LARGE = CHINESE._replace(
    home="请点选您要办的事",
    who="请放卡",
    check="请看一看对不对",
    pin="请输密码",
    take_card="请拿好您的银行卡",
)
ENGLISH = Words(
    home="Welcome. What would you like to do?",
    tile="Pay a bill",
    who="Please show one of these",
    asking="Asking the hospital",
    pick="Which bill would you like to pay?",
    check="Please check",
    pay="Confirm and pay",
    card="Insert your bank card",
    pin="Enter your card PIN",
    paying="Paying, leave the card in",
    paid="Paid",
    slip="Slip printed: take it",
    leave="Home",
    take_card="Take your card",
)


@pytest.fixture(scope="module")
def lens(
    emulated_kiosk: Visitor,
    browser: "Browser",
    axe: Path,
    screenshots: Path,
    request: pytest.FixtureRequest,
) -> Iterator[Camera]:
    """One second tab for all pictures."""
    tour = TOUR if request.config.getoption("--tour") else None
    with tab(browser, SCREEN) as page:
        page.goto(f"http://127.0.0.1:{emulated_kiosk.stack.pages[EMULATED]}/kiosk")
        yield Camera(page, axe.read_text("utf-8"), screenshots, tour)


@pytest.fixture
def camera(demo: Visitor, lens: Camera) -> Camera:
    """Before the demo's kiosk."""
    lens.visitor = demo
    return lens


def pays(demo: Visitor, words: Words, camera: Camera, tour: tuple[str, ...] = ()) -> int:
    """All of a payment with a picture of each screen; how much it was. ``tour``: screens whose
    pictures go into the documentation."""
    found: dict[str, object] = {}

    def picture(name: str, *, lying: bool = False) -> None:
        camera.take(name, lying=lying, tour=f"{camera.series}-{name}" if name in tour else "")

    def checked(name: str) -> None:
        if violations := camera.shut_out():
            found[name] = violations

    demo.sees(words.home)
    picture("01-home", lying=True)
    checked("home")
    demo.taps(words.tile)
    demo.sees(words.who)
    picture("02-identify", lying=True)
    demo.stack.new_bills(PATIENT, BILLS)
    demo.stack.his_habit("slow", function="bill_query", delay_ms=SLOW_MS)
    demo.hands.show(PATIENT)
    demo.sees(words.asking)
    picture("03-busy")
    demo.sees(words.pick)
    picture("04-pick", lying=True)
    checked("pick")
    demo.screen.locator("button.line").first.click()
    demo.sees(words.check)
    fen = demo.amount_fen()
    picture("05-check", lying=True)
    checked("check")
    demo.taps(words.pay)
    demo.sees(words.card)
    picture("06-card")
    demo.hands.insert()
    demo.sees(words.pin)
    for digit in "135":
        demo.hands.press(digit)
    demo.dots(3)
    picture("07-pin", lying=True)
    checked("pin")
    demo.stack.bank_habit("late", delay_ms=SLOW_MS)
    demo.hands.type("790")
    demo.sees(words.paying)
    picture("08-paying")
    demo.sees(words.paid)
    demo.reads(words.slip)
    picture("09-paid", lying=True)
    checked("result")
    demo.taps(words.leave)
    demo.sees(words.take_card)
    picture("10-take-card")
    demo.hands.pull()
    demo.sees(zh.HOME)

    assert found == {}
    return fen


def test_in_chinese(demo: Visitor, camera: Camera) -> None:
    """As most patients go."""
    before = demo.stack.settled()
    camera.series = "zh"
    tour = ("01-home", "02-identify", "04-pick", "05-check", "07-pin", "09-paid")
    fen = pays(demo, CHINESE, camera, tour)

    assert demo.stack.moved(before) == fen


def test_in_english(demo: Visitor, camera: Camera) -> None:
    """Every word that is not the hospital's; the next patient begins in Chinese."""
    before = demo.stack.settled()
    camera.series = "en"
    demo.taps("English")
    fen = pays(demo, ENGLISH, camera, ("04-pick",))

    assert demo.stack.moved(before) == fen


def test_in_large_type(demo: Visitor, camera: Camera) -> None:
    """Simpler sentences on every screen; the next patient begins without."""
    before = demo.stack.settled()
    camera.series = "large"
    demo.taps("大字版")
    fen = pays(demo, LARGE, camera, ("01-home",))

    assert demo.stack.moved(before) == fen


def test_pictures_of_what_goes_wrong(demo: Visitor, camera: Camera) -> None:
    """Wrong PIN, card pulled, money back, no network, nothing to pay: each with its picture."""
    before = demo.stack.settled()
    camera.series = "wrong"
    demo.to_pin()
    demo.hands.type(WRONG_PIN)
    demo.sees("付款未成功")
    camera.take("01-wrong-pin", tour="wrong-01-pin")
    demo.taps("再试一次")
    demo.sees(zh.PIN)
    demo.hands.pull()
    demo.sees("未能完成")
    camera.take("02-card-pulled")
    demo.taps("再试一次")
    demo.sees(zh.CARD)
    demo.stack.bank_habit("wrong_arpc")
    demo.hands.insert()
    demo.sees(zh.PIN)
    demo.hands.type()
    demo.sees(zh.RETURNED)
    demo.reads("凭条已打印，请取走")
    camera.take("03-returned", lying=True, tour="wrong-02-returned")
    demo.goes_home()
    demo.stack.power_cut("switch")
    demo.sees(zh.CLOSED)
    camera.take("04-closed")
    demo.sees(zh.HOME)

    assert demo.stack.moved(before) == 0
