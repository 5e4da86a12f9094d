"""One system, one browser, two kiosks for the whole folder."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.browser import WAIT_MS
from tests.crash.rig import running
from tests.e2e.hands import PanelHands
from tests.e2e.stack import EMULATED, Stack
from tests.e2e.visitor import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser

DEMO_WINDOW = {"width": 1600, "height": 1080}


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """PostgreSQL, HSM, bank, hospital, switch."""
    with running(Stack(tmp_path_factory.mktemp("e2e"))) as started:
        yield started


@pytest.fixture(scope="session")
def emulated_kiosk(stack: Stack, browser: "Browser") -> Iterator[Visitor]:
    """The demo's kiosk and its side panel."""
    from playwright.sync_api import expect

    expect.set_options(timeout=WAIT_MS)
    stack.start_kiosk(EMULATED)
    context = browser.new_context(
        viewport=DEMO_WINDOW, locale="zh-CN", timezone_id="Asia/Shanghai", reduced_motion="reduce"
    )
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{stack.pages[EMULATED]}/demo")
    hands = PanelHands(page.frame_locator(".panel"))
    yield Visitor(stack, EMULATED, page, page.frame_locator(".screen iframe"), hands)
    context.close()


@pytest.fixture
def demo(emulated_kiosk: Visitor) -> Visitor:
    """A visitor before the demo's kiosk."""
    emulated_kiosk.comes()
    return emulated_kiosk
