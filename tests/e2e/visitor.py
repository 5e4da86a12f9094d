"""A patient before a kiosk's page: reads what stands there, taps what can be tapped."""

import itertools
import re
from typing import TYPE_CHECKING, Any

from tests.browser import WAIT_MS
from tests.e2e.hands import Hands
from tests.e2e.stack import Stack

if TYPE_CHECKING:
    from playwright.sync_api import FrameLocator, Locator, Page

HOME = "您好，请选择要办理的业务"
WHO = "请出示以下任意一种"
PICK = "请选择要缴的费用"
CHECK = "请核对信息"
CARD = "请插入银行卡"
PIN = "请输入银行卡密码"
PAYING = "正在支付，请不要拔卡"
PAID = "缴费成功"
RETURNED = "未能缴费，已扣款项将退回"
TAKE_CARD = "请取走您的银行卡"
CLOSED = "暂停服务"
GONE = "正在恢复"

SOON_MS = 5_000

_NUMBERS = itertools.count(3001)


class Visitor:
    """``screen`` is the kiosk's document; ``page`` the tab it is in."""

    def __init__(
        self, stack: Stack, kiosk: str, page: "Page", screen: "Page | FrameLocator", hands: Any
    ) -> None:
        self.stack = stack
        self.kiosk = kiosk
        self.page = page
        self.screen = screen
        self.hands: Hands = hands

    # ---- reading ---------------------------------------------------------------------------------

    def sees(self, headline: str) -> None:
        """Wait until this is what the page says."""
        self._expect(self.screen.locator("main h1")).to_have_text(headline)

    def reads(self, text: str) -> None:
        """Wait until it stands somewhere on the screen."""
        self._expect(self.screen.get_by_text(text).filter(visible=True).first).to_be_visible()

    def dots(self, digits: int) -> None:
        """So many places of the PIN are filled."""
        self._expect(self.screen.locator(".dot.full")).to_have_count(digits)

    def is_gone(self) -> None:
        """Nobody answers the page; it says so, and nothing else."""
        self._expect(self.screen.get_by_role("heading", name=GONE)).to_be_visible()

    def step(self, name: str) -> None:
        """Where one is, as the step bar says it."""
        now = self.screen.locator('nav.steps li[aria-current="step"] .step-name')
        self._expect(now).to_have_text(name)

    def amount_fen(self, place: str = ".amount-number") -> int:
        """The sum that is shown."""
        text = self.screen.locator(place).first.inner_text()
        return int(re.sub(r"[¥,.]", "", text))

    # ---- tapping ---------------------------------------------------------------------------------

    def button(self, name: str) -> "Locator":
        """What can be tapped under this name."""
        return self.screen.get_by_role("button", name=re.compile(f"^{re.escape(name)}"))

    def taps(self, name: str) -> None:
        """A finger."""
        self.button(name).click()

    # ---- the way ---------------------------------------------------------------------------------

    def comes(self) -> None:
        """To a kiosk that is as it should be: home, open, no card inside, nothing set. One that a
        test has left in the middle of something is started anew."""
        self.stack.forget_habits()
        self.hands.pull()
        self.hands.paper(True)
        try:
            self._is_open(SOON_MS)
        except AssertionError:
            self.stack.power_cut(self.kiosk)
            self._is_open(WAIT_MS)

    def _is_open(self, wait_ms: int) -> None:
        self._expect(self.screen.locator("main h1")).to_have_text(HOME, timeout=wait_ms)
        self._expect(self.button("门诊缴费")).to_be_enabled(timeout=wait_ms)

    def number(self) -> str:
        """Of somebody who was never here."""
        return f"P{next(_NUMBERS)}"

    def to_bills(self, number: str = "") -> None:
        """Choose bills, be identified."""
        self.taps("门诊缴费")
        self.sees(WHO)
        self.hands.show(number or self.number())
        self.sees(PICK)

    def to_check(self, number: str = "") -> int:
        """The first bill, and what it costs."""
        self.to_bills(number)
        fen = self.amount_fen(".line-amount")
        self.screen.locator("button.line").first.click()
        self.sees(CHECK)
        assert self.amount_fen() == fen
        return fen

    def to_card(self, number: str = "") -> int:
        """Confirmed."""
        fen = self.to_check(number)
        self.taps("确认支付")
        self.sees(CARD)
        return fen

    def to_pin(self, card: str = "good", number: str = "") -> int:
        """The card is in and read."""
        fen = self.to_card(number)
        self.hands.insert(card)
        self.sees(PIN)
        return fen

    def goes_home(self) -> None:
        """From a result: home, with the card in the hand."""
        self.taps("返回首页")
        self.sees(TAKE_CARD)
        self.hands.pull()
        self.sees(HOME)

    def _expect(self, what: "Locator") -> Any:
        from playwright.sync_api import expect

        return expect(what)
