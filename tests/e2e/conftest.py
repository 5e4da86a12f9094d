"""One system, one browser, two kiosks for the whole folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.browser import SCREEN, WAIT_MS
from tests.crash.rig import running
from tests.e2e.hands import DeviceHands, PanelHands
from tests.e2e.stack import EMULATED, REAL, Stack
from tests.e2e.visitor import Visitor
from tests.pcsc.daemon import Pcscd

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

DEMO_WINDOW = {"width": 1600, "height": 1080}


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """PostgreSQL, HSM, bank, hospital, switch."""
    with running(Stack(tmp_path_factory.mktemp("e2e"))) as started:
        yield started


@pytest.fixture(scope="session")
def emulated_kiosk(stack: Stack, browser: "Browser") -> Iterator[Visitor]:
    """The demo's kiosk and its side panel."""
    stack.start_kiosk(EMULATED)
    with tab(browser, DEMO_WINDOW) as page:
        page.goto(f"http://127.0.0.1:{stack.pages[EMULATED]}/demo")
        hands = PanelHands(page.frame_locator(".panel"))
        yield Visitor(stack, EMULATED, page, page.frame_locator(".screen iframe"), hands)


@pytest.fixture
def demo(emulated_kiosk: Visitor) -> Visitor:
    """A visitor before the demo's kiosk."""
    emulated_kiosk.comes()
    return emulated_kiosk


@pytest.fixture(scope="module")
def pcscd() -> Iterator[Pcscd]:
    """The machine's only one, for as long as one file needs it."""
    with Pcscd() as daemon:
        daemon.start()
        yield daemon


@pytest.fixture(scope="module")
def real_kiosk(stack: Stack, browser: "Browser", pcscd: Pcscd) -> Iterator[Visitor]:
    """The kiosk with drivers of real devices, and the far ends of their lines."""
    hands = DeviceHands(stack)
    try:
        stack.start_kiosk(REAL)
        with tab(browser, SCREEN) as page:
            page.goto(f"http://127.0.0.1:{stack.pages[REAL]}/kiosk")
            yield Visitor(stack, REAL, page, page, hands)
    finally:
        hands.close()


@pytest.fixture
def real(real_kiosk: Visitor) -> Visitor:
    """A visitor before the kiosk with real drivers."""
    real_kiosk.comes()
    return real_kiosk


@contextmanager
def tab(browser: "Browser", size: dict[str, int]) -> "Iterator[Page]":
    """An empty one, in which nothing moves."""
    from playwright.sync_api import expect

    expect.set_options(timeout=WAIT_MS)
    context = browser.new_context(
        viewport=size, locale="zh-CN", timezone_id="Asia/Shanghai", reduced_motion="reduce"
    )
    context.set_default_timeout(WAIT_MS)
    yield context.new_page()
    context.close()
