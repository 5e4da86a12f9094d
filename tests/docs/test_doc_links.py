"""Links lead somewhere, pages can be found, and what is named exists."""

import itertools
import re
import subprocess
from pathlib import Path

import pytest

from tests.docs import pages

DOCS = pages.ROOT / "docs"
INDEX = DOCS / "index.md"
SOURCE = re.compile(
    r"`((?:switch|channels|his_bridge|hsm|terminal_agent|conf|tests|bin)/[\w./-]*)`"
)


@pytest.mark.parametrize("page", pages.pages(), ids=pages.name)
def test_links_resolve(page: Path) -> None:
    """Every relative link leads to a file of the repository, and its anchor to a heading."""
    lost = []
    for link in pages.links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in pages.anchors(target)):
            lost.append(link)
    assert lost == []


@pytest.mark.parametrize("page", pages.pages(), ids=pages.name)
def test_a_link_that_is_called_like_a_page_leads_to_it(page: Path) -> None:
    """`[bank-link.md](link-runbook.md)` sends whoever has it on paper to the wrong page."""
    named = re.findall(r"\[([\w.-]+\.md)\]\(([^)#\s]+)", pages.prose(page))
    assert [(text, path) for text, path in named if Path(path).name != text] == []


def test_every_page_is_in_the_index() -> None:
    """A page that nobody finds is not read."""
    listed = {(DOCS / link.partition("#")[0]).resolve() for link in pages.links(INDEX)}
    below = {page for page in pages.pages() if DOCS in page.parents and page != INDEX}

    assert below - listed == set()


@pytest.mark.parametrize("page", pages.pages(), ids=pages.name)
def test_source_files_named_in_prose_exist(page: Path) -> None:
    """A page that names a file of ours names one that is there (`*` and `…` left out)."""
    named = SOURCE.findall(pages.prose(page))
    assert [path for path in named if not (pages.ROOT / path).exists()] == []


@pytest.mark.parametrize("page", pages.pages(), ids=pages.name)
def test_no_path_of_somebodys_machine(page: Path) -> None:
    """A clone works anywhere; no page speaks of a place that only its writer has."""
    homes = re.compile(r"/(home|Users)/\w+|/root/|/work/|/tmp/\w|\bshared/|[A-Z]:\\\\Users")
    found = [line.strip() for line in pages.text(page).splitlines() if homes.search(line)]
    assert found == []


@pytest.mark.parametrize("page", pages.pages(), ids=pages.name)
def test_one_title_and_no_skipped_level(page: Path) -> None:
    """A page has one title, first; a heading is at most one level below the one before it."""
    levels = [level for level, _ in pages.headings(page)]

    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below <= above + 1 for above, below in itertools.pairwise(levels)), levels


def test_pages_that_the_source_cites_exist() -> None:
    """A comment, an error or a unit file that sends its reader to a page sends him to one."""
    kinds = {".py", ".sql", ".yaml", ".cfg", ".service", ".sh"}
    listed = subprocess.run(
        ["git", "ls-files"], cwd=pages.ROOT, capture_output=True, text=True, check=True, timeout=30
    ).stdout.split()
    sources = [path for name in listed if (path := pages.ROOT / name).suffix in kinds]
    lost = [
        f"{pages.name(path)}: {cited}"
        for path in sources
        if path.is_file()
        for cited in re.findall(r"\bdocs/[\w/-]+\.md", path.read_text(encoding="utf-8"))
        if not (pages.ROOT / cited).is_file()
    ]
    assert lost == []
