"""The page's own files: small, plain, and from this machine alone."""

import re

import pytest

from terminal_agent.page.site import load_files

FILES = {name: content.decode() for name, (_, content) in load_files().items()}
LINES_MAX, CHARACTERS_MAX = 400, 100


@pytest.mark.parametrize("name", FILES)
def test_one_noun_one_file(name: str) -> None:
    """The house's sizes hold here too."""
    lines = FILES[name].splitlines()

    assert len(lines) <= LINES_MAX
    assert name.endswith(".svg") or [line for line in lines if len(line) > CHARACTERS_MAX] == []


@pytest.mark.parametrize("name", FILES)
def test_nothing_makes_markup_of_data_or_comes_from_elsewhere(name: str) -> None:
    """No sink for markup or code, no inline style or handler, no address of another host."""
    sinks = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function"
    inline = r"\bon\w+=\"|\bstyle=\"|<style|javascript:"
    elsewhere = r"https?://(?!www\.w3\.org/2000/svg)|@import|url\("

    assert re.findall(f"{sinks}|{inline}|{elsewhere}", FILES[name]) == []


def test_every_file_is_used() -> None:
    """What no document and no module names is dead."""
    texts = "\n".join(FILES.values())
    documents = {"index.html", "panel.html", "demo.html"}

    assert [name for name in FILES if name not in documents and f"/{name}" not in texts] == []
