"""One real browser for all tests of pages: Debian's Chromium, driven by Playwright.

Playwright's synchronous interface turns an event loop of its own in the worker that has the
browser. A program under test runs as a process of its own, never in that worker.
"""

from collections.abc import Iterator
from importlib.metadata import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # whoever tests no page does not wait for Playwright
    from playwright.sync_api import Browser, Page

PROGRAM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WAIT_MS = 20_000
"""For whatever a test waits for: a busy machine must not decide it."""

SCREEN = {"width": 1080, "height": 1920}
"""A kiosk's, upright."""

SCREENSHOTS = Path(__file__).parents[1] / "var" / "screenshots"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever uses the browser stays on the one worker that has it. First of all: xdist reads the
    groups in this same hook."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("page"))


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """A running Chromium without a window; it takes a second or two to start."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=PROGRAM, args=[*ARGUMENTS])
        yield running
        running.close()


@pytest.fixture
def page(browser: "Browser") -> "Iterator[Page]":
    """An empty page in a profile of its own: no cookie, cache or storage of another test."""
    context = browser.new_context(viewport=SCREEN, locale="zh-CN", timezone_id="Asia/Shanghai")
    context.set_default_timeout(WAIT_MS)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where pictures are kept for people to look at; git ignores it."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    return SCREENSHOTS


@pytest.fixture(scope="session")
def axe() -> Path:
    """The script of axe-core, which looks for what shuts people out of a page."""
    (script,) = (file for file in files("axe-playwright-python") or () if file.name == "axe.min.js")
    return Path(script.locate())
