"""The project's pages as the tests of this folder read them."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
README, README_ZH = ROOT / "README.md", ROOT / "README.zh.md"
FIRST_DAY = ROOT / "docs" / "operators-first-day.md"

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#+) +(.+?) *$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block: its language (empty when none is named) and its text."""

    language: str
    text: str


@cache
def pages() -> tuple[Path, ...]:
    """Every Markdown page of the repository, new ones too."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout.split()
    return tuple(path for name in sorted(listed) if (path := ROOT / name).is_file())


def name(page: Path) -> str:
    """As cited in a failure."""
    return page.relative_to(ROOT).as_posix()


@cache
def text(page: Path) -> str:
    """The page."""
    return page.read_text(encoding="utf-8")


@cache
def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", text(page))


def blocks(page: Path) -> list[Block]:
    """Its fenced blocks."""
    return [Block(found[2], found[3]) for found in _FENCE.finditer(text(page))]


def headings(page: Path) -> list[tuple[int, str]]:
    """(level, text) of every heading, in order."""
    return [(len(found[1]), found[2]) for found in _HEADING.finditer(prose(page))]


def anchors(page: Path) -> set[str]:
    """What ``page#anchor`` may name, by the rule of the usual hosts."""
    made: set[str] = set()
    for _, title in headings(page):
        plain = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        number = 0
        while (anchor := f"{plain}-{number}" if number else plain) in made:
            number += 1
        made.add(anchor)
    return made


def links(page: Path) -> list[str]:
    """Targets of its links and images, other sites left out."""
    targets = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def shell_lines(page: Path) -> Iterator[list[str]]:
    """The commands of its ``sh`` blocks as words, without comments; ``runuser … --`` taken off."""
    for block in blocks(page):
        if block.language == "sh":
            for line in block.text.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words[:1] == ["runuser"]:
                    words = words[words.index("--") + 1 :]
                if words:
                    yield words


def yyt_lines(page: Path) -> Iterator[list[str]]:
    """What follows ``yyt`` in every command of its blocks, whatever the block's language; where the
    shell sends input and output is not the command's."""
    for block in blocks(page):
        for line in block.text.replace("\\\n", " ").splitlines():
            match = re.match(r"\s*(?:\$ )?(?:runuser .*? -- )?(?:\S*/)?yyt (.+)", line)
            if match is not None:
                words = shlex.split(match[1], comments=True)
                yield list(takewhile(lambda word: word not in {"<", ">", "|"}, words))


def inline_yyt(page: Path) -> Iterator[list[str]]:
    """What follows ``yyt`` in every command cited between backticks in the prose."""
    for command in re.findall(r"`(?:bin/)?yyt ([^`]+)`", prose(page)):
        yield command.split()
