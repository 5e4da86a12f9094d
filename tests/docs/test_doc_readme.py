"""The two READMEs say the same, and what the demo shows."""

import configparser
import re
from pathlib import Path

import pytest

from switch.demo.scenes import MORNING
from tests.docs import pages

IMAGES = {pages.README: "docs/images/demo.svg", pages.README_ZH: "docs/images/demo.zh.svg"}


def titles(page: Path) -> list[str]:
    """The scenes of the morning in the page's language."""
    return [scene.title_en if page == pages.README else scene.title for scene in MORNING]


def demo_text(page: Path) -> str:
    """The real output that the page shows."""
    return pages.text(page).split("<!-- demo -->\n```text\n")[1].split("```")[0]


def test_chinese_readme_keeps_in_step() -> None:
    """Same headings by level, same blocks by language, same links but the one to the other."""
    english, chinese = pages.README, pages.README_ZH

    assert [level for level, _ in pages.headings(english)] == [
        level for level, _ in pages.headings(chinese)
    ]
    assert [block.language for block in pages.blocks(english)] == [
        block.language for block in pages.blocks(chinese)
    ]
    plain = [[link.replace(".zh", "") for link in pages.links(page)] for page in (english, chinese)]
    assert plain[0] == plain[1]


def test_chinese_readme_shows_the_same_commands() -> None:
    """Word by word; the English one asks the demo for English besides."""
    english = [[w for w in words if w not in ("--lang", "en")] for words in commands(pages.README)]

    assert english == list(commands(pages.README_ZH))


def commands(page: Path) -> list[list[str]]:
    """The commands of the page's blocks."""
    return list(pages.shell_lines(page))


@pytest.mark.parametrize("page", IMAGES, ids=pages.name)
def test_picture_and_text_show_every_scene(page: Path) -> None:
    """A new or renamed scene of the morning calls for a new picture."""
    image = (pages.ROOT / IMAGES[page]).read_text(encoding="utf-8")
    drawn = " ".join(re.findall(r">([^<>\n]+)</text>", image)).replace("&amp;", "&")

    assert IMAGES[page] in pages.links(page)
    for title in titles(page):
        assert title in demo_text(page)
        assert title in drawn


@pytest.mark.parametrize("page", IMAGES, ids=pages.name)
def test_shown_run_is_one_without_violations(page: Path) -> None:
    """Every scene ended as expected, and the audit line is the program's own."""
    shown = demo_text(page)

    assert shown.count("✓") == len(MORNING)
    assert "✗" not in shown
    assert ("0 violations" if page == pages.README else "违例 0 处") in shown


def test_changelog_knows_the_version() -> None:
    """setup.cfg's version has its section."""
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(pages.ROOT / "setup.cfg", encoding="utf-8")
    version = setup["metadata"]["version"]

    assert any(
        title.startswith(f"[{version}]") for _, title in pages.headings(pages.ROOT / "CHANGELOG.md")
    )
