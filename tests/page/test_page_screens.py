"""Every screen in a real browser: it fits, can be touched, shuts nobody out."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

from tests.page.rig import Player
from tests.page.views import VIEWS

MEASURE = (Path(__file__).parent / "measure.js").read_text(encoding="utf-8")
PORTRAIT, LANDSCAPE, SMALL = (1080, 1920), (1920, 1080), (1366, 768)
AXE_RULES = {"default": {}, "contrast": {"color-contrast-enhanced": {"enabled": True}}}
STRONG = ("home", "pick-bills", "check-hurry", "pin", "result-declined", "take-card", "attendant")
"""Screens with every colour there is."""


class Shown(NamedTuple):
    """A kiosk with its page open, and what its console said."""

    player: Player
    page: Page
    console: list[str]

    def show(self, name: str, **how: object) -> None:
        """Show a view and wait until it is there."""
        revision = self.player.show(name, **how)
        self.page.locator(f'kiosk-page[data-revision="{revision}"]').wait_for()


@pytest.fixture(scope="module")
def shown(browser: Browser) -> Iterator[Shown]:
    """One page for all; nothing moves, so that pictures are the same every time."""
    context = browser.new_context(
        locale="zh-CN", timezone_id="Asia/Shanghai", reduced_motion="reduce"
    )
    context.set_default_timeout(20_000)
    page, console = context.new_page(), []

    def said(message: ConsoleMessage) -> None:
        console.append(f"{message.type}: {message.text}")

    page.on("console", said)
    page.on("pageerror", lambda error: console.append(f"error: {error}"))
    with Player() as player:
        page.goto(f"{player.url}/kiosk")
        yield Shown(player, page, console)
    context.close()


@pytest.mark.parametrize(
    ("size", "how"),
    [
        (PORTRAIT, {}),
        (LANDSCAPE, {}),
        (SMALL, {}),
        (PORTRAIT, {"elder": True}),
        (LANDSCAPE, {"elder": True}),
        (PORTRAIT, {"language": "en"}),
        (LANDSCAPE, {"language": "en"}),
        (PORTRAIT, {"contrast": True}),
    ],
    ids=lambda value: "-".join(map(str, value)) or "zh",
)
def test_every_screen_fits(
    shown: Shown, screenshots: Path, size: tuple[int, int], how: dict[str, object]
) -> None:
    """Nothing leaves the screen or its place, every button is as large as a finger (88 px at 1080
    wide), every word is known, and the console is silent."""
    shown.console.clear()
    shown.page.set_viewport_size({"width": size[0], "height": size[1]})
    faults = {}
    for name in VIEWS:
        shown.show(name, **how)
        found = shown.page.evaluate(MEASURE)
        if found:
            faults[name] = found
        if not how and size != SMALL:
            picture = screenshots / f"kiosk-{size[0]}-{name}.jpg"
            shown.page.screenshot(path=picture, type="jpeg", quality=85)

    assert faults == {}
    assert shown.console == []


@pytest.mark.parametrize("contrast", [False, True])
def test_nobody_is_shut_out(shown: Shown, axe: Path, contrast: bool) -> None:
    """axe-core finds nothing; with high contrast colours keep the stricter ratio (AAA) too."""
    shown.page.set_viewport_size({"width": PORTRAIT[0], "height": PORTRAIT[1]})
    shown.page.evaluate(axe.read_text(encoding="utf-8"))
    rules = AXE_RULES["contrast" if contrast else "default"]
    found = {}
    for name in STRONG if contrast else VIEWS:
        shown.show(name, contrast=contrast)
        violations = shown.page.evaluate(
            """async (rules) => (await axe.run(document, {rules})).violations.map(
                 (rule) => [rule.id, ...rule.nodes.map((node) => node.html.slice(0, 120))])""",
            rules,
        )
        if violations:
            found[name] = violations

    assert found == {}
