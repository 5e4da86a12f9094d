"""The browser of the gate draws Chinese, takes pictures and finds what shuts people out."""

from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Page

FONT = "WenQuanYi Micro Hei"
CHINESE = "银医通"
SHEET = f"""<!doctype html>
<html lang="zh-CN"><title>{CHINESE}</title>
<main><h1 style="font-family: sans-serif">{CHINESE}</h1><img src="data:,"></main>"""
PNG = b"\x89PNG\r\n\x1a\n"


def test_chinese_is_drawn_and_kept_as_a_picture(page: Page, screenshots: Path) -> None:
    """Every letter of a heading comes from the Chinese font of the gate, not from the empty box
    that a browser draws for a letter no font has, and the picture of the page is there."""
    page.goto(f"data:text/html;charset=utf-8,{quote(SHEET)}")
    tools = page.context.new_cdp_session(page)
    for domain in ("DOM", "CSS"):
        tools.send(f"{domain}.enable")
    root = tools.send("DOM.getDocument")["root"]["nodeId"]
    node = tools.send("DOM.querySelector", {"nodeId": root, "selector": "h1"})["nodeId"]
    fonts = tools.send("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]
    picture = screenshots / "browser.png"
    picture.unlink(missing_ok=True)

    page.screenshot(path=picture)

    assert [(font["familyName"], font["glyphCount"]) for font in fonts] == [(FONT, len(CHINESE))]
    assert picture.read_bytes().startswith(PNG)


def test_a_picture_without_words_is_found(page: Page, axe: Path) -> None:
    """axe-core runs in a page and names the one fault that was planted."""
    page.goto(f"data:text/html;charset=utf-8,{quote(SHEET)}")
    page.add_script_tag(path=axe)

    found = page.evaluate("async () => (await axe.run()).violations.map((rule) => rule.id)")

    assert found == ["image-alt"]
