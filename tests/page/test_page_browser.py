"""The page under a finger: taps, focus, pages of a list, restarts, words; and the side panel."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import fields
from playwright.sync_api import Browser, Page, expect

from terminal_agent.config import Devices
from terminal_agent.devices.interfaces import Completion, PrinterState, State
from terminal_agent.flows.businesses import FLOWS
from terminal_agent.flows.events import Stage
from terminal_agent.flows.view import Button, Screen
from tests.browser import SCREEN, WAIT_MS
from tests.kiosk.rig import until
from tests.page.rig import Player
from tests.page.views import BILLS

expect.set_options(timeout=WAIT_MS)
MARKUP = '<img src=x onerror="document.title=1"><b>粗</b>'
ANSWERS = (
    "approved",
    "declined",
    "returned",
    "pending",
    "exception",
    "unknown_key",
    "refused",
)
"""States of a payment that the switch may tell."""


@pytest.fixture(scope="module")
def player() -> Iterator[Player]:
    """One kiosk for all tests here."""
    with Player() as running:
        yield running


@pytest.fixture(scope="module")
def kiosk(player: Player, browser: Browser) -> Iterator[Page]:
    """Its page, the same for all tests here that do not break it."""
    context = browser.new_context(viewport=SCREEN, locale="zh-CN", reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{player.url}/kiosk")
    yield page
    context.close()


def show(player: Player, page: Page, name: str, **how: object) -> int:
    """Show a view and wait until it is there."""
    revision = player.show(name, **how)
    page.locator(f'kiosk-page[data-revision="{revision}"]').wait_for()
    return revision


@pytest.mark.parametrize(
    ("view", "pressed", "what", "chosen"),
    [
        ("home", "门诊缴费", "tile", "outpatient_bill"),
        ("home", "English", "language", ""),
        ("pick-bills", "西药费", "choice", "B1"),
        ("check", "确认支付", "confirm", ""),
        ("pick-amount", "还需要时间", "stay", ""),
        ("result-retry", "再试一次", "confirm", ""),
        ("card-application", "贷记应用", "choice", "1"),
        ("code", "7", "digit", "7"),
        ("attendant", "补打凭条", "payment", "KIOSK001-20250615-000001"),
        ("attendant", "重新启动", "restart", ""),
    ],
)
def test_two_quick_taps_are_one(
    player: Player, kiosk: Page, view: str, pressed: str, what: str, chosen: str
) -> None:
    """A tap names its button and the revision it was made on, and goes out once: the button is deaf
    until the next view, and hears again then."""
    before = len(player.taps)
    revision = show(player, kiosk, view)
    button = kiosk.get_by_role("button", name=re.compile(f"^{pressed}")).first
    button.dblclick()
    expect(button).to_have_attribute("aria-disabled", "true")
    again = show(player, kiosk, view)
    button.click()
    tap = {"what": what, "id": chosen}

    until(lambda: len(player.taps) >= before + 2)
    assert player.taps[before:] == [{"revision": made, **tap} for made in (revision, again)]


def test_closed_tile_and_full_choice_are_shown_and_not_tapped(player: Player, kiosk: Page) -> None:
    """They stand there, disabled, with the reason in words."""
    show(player, kiosk, "home")
    expect(kiosk.get_by_role("button", name="检验检查报告打印")).to_be_disabled()
    show(player, kiosk, "pick-doctor")
    expect(kiosk.get_by_role("button", name="李雷")).to_be_disabled()
    expect(kiosk.get_by_role("button", name="李雷")).to_contain_text("不可选")


def test_update_keeps_elements_and_focus(player: Player, kiosk: Page) -> None:
    """A new view of the same screen changes what differs: the button in focus is the same element,
    also in another language."""
    show(player, kiosk, "pick-bills")
    kiosk.get_by_role("button", name="治疗费").focus()
    mark = "document.activeElement.marked = true"
    kiosk.evaluate(mark)
    show(player, kiosk, "pick-bills", language="en")

    assert kiosk.evaluate("[document.activeElement.marked, document.activeElement.dataset.id]") == [
        True,
        "B5",
    ]
    assert kiosk.locator("html").get_attribute("lang") == "en"
    assert kiosk.locator(".line-title").first.get_attribute("lang") == "zh-CN"


def test_new_screen_begins_at_its_heading(player: Player, kiosk: Page) -> None:
    """Focus, the title of the document and the live region say where one is."""
    show(player, kiosk, "home")
    show(player, kiosk, "take-card")

    assert kiosk.evaluate("document.activeElement.localName") == "h1"
    assert kiosk.title() == "请取走您的银行卡"
    expect(kiosk.get_by_role("status")).to_contain_text("请取走您的银行卡")


def test_long_list_is_turned_page_by_page(player: Player, kiosk: Page) -> None:
    """Twelve bills on two pages; the page stays through updates and goes with the screen."""
    show(player, kiosk, "pick-bills")
    titles = kiosk.locator(".line-title")
    first = titles.all_text_contents()
    kiosk.get_by_role("button", name="下一页").click()
    second = titles.all_text_contents()
    show(player, kiosk, "pick-bills")
    updated = titles.all_text_contents()
    show(player, kiosk, "home")
    show(player, kiosk, "pick-bills")

    assert first + second == [bill.title for bill in BILLS]
    assert updated == second
    assert titles.all_text_contents() == first


def test_elder_mode_shows_four_at_a_time(player: Player, kiosk: Page) -> None:
    """Fewer choices, larger type, simpler words."""
    show(player, kiosk, "home")
    usual = kiosk.locator(".tile-name").first.evaluate(
        "(e) => parseFloat(getComputedStyle(e).fontSize)"
    )
    show(player, kiosk, "home", elder=True)
    large = kiosk.locator(".tile-name").first.evaluate(
        "(e) => parseFloat(getComputedStyle(e).fontSize)"
    )

    expect(kiosk.locator(".tile")).to_have_count(4)
    assert large >= usual * 1.2
    expect(kiosk.locator("main h1")).to_have_text("请点选您要办的事")


def test_more_time_is_offered_near_the_end_only(player: Player, kiosk: Page) -> None:
    """The bar comes by itself when the time runs out, and in its place are the tools before."""
    stay = kiosk.get_by_role("button", name="还需要时间")
    show(player, kiosk, "pick-amount", edit={"countdown_ms": 60_000})
    expect(stay).to_be_hidden()
    expect(kiosk.get_by_role("button", name="大字版")).to_be_visible()
    show(player, kiosk, "pick-amount", edit={"countdown_ms": 15_400})
    expect(stay).to_be_visible()
    expect(kiosk.get_by_role("timer")).to_have_text(re.compile(r"^1[0-5]$"))


def test_data_never_becomes_markup(player: Player, kiosk: Page) -> None:
    """What the hospital sends is text, whatever it looks like."""
    line: dict[str, Any] = {"id": "X", "title": MARKUP, "detail": MARKUP}
    show(player, kiosk, "pick-bills", edit={"choices": [line, line], "hospital": MARKUP})

    assert kiosk.locator(".line-title").all_text_contents() == [MARKUP, MARKUP]
    assert kiosk.locator("main img, main b, header img").count() == 0


def test_unknown_word_is_shown_and_reported_once(player: Player, kiosk: Page) -> None:
    """A newer agent's word is better raw than hidden."""
    said: list[str] = []
    kiosk.on("console", lambda message: said.append(message.text))
    for _ in range(2):
        show(player, kiosk, "pick-empty", edit={"notice": "moon_full"})

    expect(kiosk.locator(".empty")).to_have_text("moon_full")
    assert said == ["no word for notice.moon_full"]


def test_page_comes_back_by_itself(page: Page) -> None:
    """The agent dies: 正在恢复. It starts anew with another token: the page loads itself and shows
    what is to be seen, and nobody touched it."""
    with Player() as first:
        page.goto(f"{first.url}/kiosk")
        show(first, page, "paying")
        first.process.end(kill=True)
        expect(page.get_by_role("heading", name="正在恢复")).to_be_visible()
        expect(page.locator(".whole")).to_be_hidden()
        with Player(port=first.port) as second:
            expect(page.locator("main h1")).to_have_text("您好，请选择要办理的业务")
            token = page.locator('meta[name="token"]').get_attribute("content")
            assert token == second.token()


def test_voice_says_what_is_new_once(player: Player, page: Page) -> None:
    """With a voice for the language, and only when the view asks for it."""
    page.add_init_script(
        """window.spoken = [];
        window.SpeechSynthesisUtterance = function (text) { this.text = text; };
        Object.defineProperty(window, "speechSynthesis", { value: {
          cancel() {}, getVoices: () => [{ lang: "zh-CN" }],
          speak: (words) => window.spoken.push(words.text) } });"""
    )
    page.goto(f"{player.url}/kiosk")
    show(player, page, "pin", edit={"voice": False})
    for digits in (0, 1, 2):
        show(player, page, "pin", edit={"voice": True, "digits": digits})
    spoken = page.evaluate("spoken")

    assert len(spoken) == 1
    assert spoken[0].startswith("请输入银行卡密码")


def test_money_is_exact(kiosk: Page) -> None:
    """分 become 元 by integers; what is no whole number of 分 is refused (I16)."""
    cases = {
        0: "0.00",
        1: "0.01",
        99: "0.99",
        100: "1.00",
        123_456_789: "1,234,567.89",
        999_999_999_999: "9,999,999,999.99",
        -12_345: "-123.45",
    }
    shown = kiosk.evaluate(
        """async (amounts) => { const { yuan } = await import("/static/money.js");
        return [...amounts.map(yuan), ...[1.5, "1", null].map((bad) => {
          try { return yuan(bad); } catch { return "refused"; } })]; }""",
        list(cases),
    )

    assert shown == [*cases.values(), "refused", "refused", "refused"]


def test_dictionary_knows_what_the_kiosk_says(kiosk: Page) -> None:
    """Chinese and English have the same words, the simpler sentences replace words that are there,
    and whatever screens, flows, devices and answers may say is among them."""
    books = kiosk.evaluate(
        """async () => { const names = ["zh", "zh_elder", "en"];
        const files = await Promise.all(names.map((name) => import(`/static/words_${name}.js`)));
        return [files[0].ZH, files[1].ZH_ELDER, files[2].EN].map((book) =>
          Object.entries(book).flatMap(([kind, words]) =>
            Object.keys(words).map((key) => `${kind}.${key}`))); }"""
    )
    chinese, elder, english = (set(book) for book in books)
    said = {
        *(f"title.{screen}" for screen in set(Screen) - {Screen.RESULT}),
        *(f"button.{button}" for button in set(Button) - {Button.DIGIT}),
        *(f"business.{business}" for business in FLOWS),
        *(f"step.{step}" for flow in FLOWS.values() for step in flow.steps),
        *(f"prompt.pick_{pick.step}" for flow in FLOWS.values() for pick in flow.picks),
        *(f"prompt.{stage}" for stage in set(Stage) - {Stage.PIN}),
        *(f"notice.{code}" for code in set(Completion) - {Completion.SUCCESS}),
        *(f"outcome.{outcome}" for outcome in (*ANSWERS, "failed", "cancelled")),
        *(f"payment_state.{answer}" for answer in ANSWERS),
        *(f"state.{state}" for state in (*State, *PrinterState)),
        *(f"role.{field.name}" for field in fields(Devices) if field.name != "timeout_ms"),
    }

    assert chinese == english
    assert elder <= chinese
    assert said <= chinese, said - chinese


def test_side_panel_does_what_hands_do(page: Page) -> None:
    """Card, PIN, cards laid on, code, paper and slip; the kiosk's own document sees no key."""
    with Player(panel=True) as player:
        sent: list[str] = []
        page.on(
            "websocket",
            lambda socket: socket.on("framesent", lambda f: sent.append(f"{socket.url} {f}")),
        )
        page.goto(f"{player.url}/demo")
        panel = page.frame_locator(".panel")
        press = lambda name: panel.get_by_role("button", name=name, exact=True).click()  # noqa: E731
        press("李芳的信用卡")
        for key in ("9", "0", "清除", "确认"):
            press(key)
        press("拔出银行卡")
        expect(panel.get_by_alt_text("最近打印的凭条")).to_be_visible()
        panel.locator("#visits button").first.click()
        panel.locator("#ids button").first.click()
        panel.get_by_label("扫码").fill("284512345678901234")
        press("扫描")
        press("取走纸卷")
        expect(panel.get_by_role("button", name="装入纸卷")).to_be_visible()
        kiosk = page.frame_locator(".screen iframe")
        expect(kiosk.locator("main h1")).to_have_text("您好，请选择要办理的业务")
        deeds = [(deed["what"], deed["id"]) for deed in player.order(deeds=True)]

    assert deeds == [
        ("insert", "李芳的信用卡"),
        *(("key", key) for key in ("9", "0", "clear", "enter")),
        ("pull", ""),
        ("visit", "张明"),
        ("id", "张明"),
        ("scan", "284512345678901234"),
        ("paper", "out"),
    ]
    assert [line for line in sent if "/kiosk/ws" in line and "token" not in line] == []
