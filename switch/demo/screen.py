"""What the visitor sees: progress lines, and the live table of the morning."""

import os
import sys
import time
from typing import TextIO

from switch.demo.scenes import Played
from switch.model.money import yuan

_STATES = {
    "approved": ("缴费成功", "approved"),
    "declined": ("已拒绝", "declined"),
    "returned": ("已退回", "returned"),
    "exception": ("转人工", "exception"),
    "pending": ("处理中", "pending"),
}
_NOW = {
    "waiting": ("等待", "waiting"),
    "paying": ("缴费中…", "paying…"),
    "power cut": ("断电…", "power cut…"),
}


def language() -> str:
    """``zh`` or ``en``."""
    return os.environ.get("YYT_LANG", "zh")


def say(zh: str, en: str) -> str:
    """The sentence in the chosen language."""
    return en if language() == "en" else zh


def width(text: str) -> int:
    """Columns on a terminal: Chinese characters take two.

    >>> width("缴费 OK")
    7
    """
    return sum(2 if ord(char) > 0x2E7F else 1 for char in text)


def padded(text: str, columns: int) -> str:
    """``text`` filled up to ``columns``."""
    return text + " " * max(0, columns - width(text))


class Screen:
    """Prints to ``out``; on a terminal the table is drawn over itself."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._live = self._out.isatty()
        self._rows: list[Played] = []
        self._drawn = 0
        self._started = time.monotonic()

    def line(self, text: str) -> None:
        """One line of progress, with the seconds since the start."""
        self._erase()
        elapsed = time.monotonic() - self._started
        self._out.write(f"{elapsed:6.1f} s  {text}\n")
        self._draw()
        self._out.flush()

    def row(self, played: Played) -> None:
        """A scene has changed."""
        if played not in self._rows:
            self._rows.append(played)
        if self._live:
            self._erase()
            self._draw()
        elif played.now == "ended":
            self._out.write(_row(played) + "\n")
        self._out.flush()

    def settle(self) -> None:
        """The table stays as it is; what follows is printed below it."""
        self._rows, self._drawn = [], 0

    def _erase(self) -> None:
        if self._live and self._drawn:
            self._out.write(f"\x1b[{self._drawn}A\x1b[J")
            self._drawn = 0

    def _draw(self) -> None:
        if self._live and self._rows:
            lines = [_heading(), *(_row(row) for row in self._rows)]
            self._out.write("\n".join(lines) + "\n")
            self._drawn = len(lines)


def _heading() -> str:
    names = (
        ("场景", "scene"),
        ("终端", "kiosk"),
        ("患者", "patient"),
        ("金额(元)", "yuan"),
        ("结果", "end"),
        ("应答码", "code"),
        ("用时", "time"),
    )
    return _cells([say(*name) for name in names])


def _row(played: Played) -> str:
    scene = played.scene
    ended = played.now == "ended"
    state = _STATES.get(played.state, (played.state, played.state))
    now = _NOW.get(played.now, (played.now, played.now))
    return _cells(
        [
            say(scene.title, scene.title_en),
            scene.kiosk,
            played.patient,
            yuan(played.amount_fen) if played.amount_fen else "",
            (("✓ " if played.as_expected else "✗ ") + say(*state)) if ended else say(*now),
            played.code,
            f"{played.seconds:.1f} s" if ended else "",
        ]
    )


_COLUMNS = (38, 9, 9, 10, 14, 9, 8)


def _cells(cells: list[str]) -> str:
    return (
        "  "
        + "".join(
            padded(cell, columns) for cell, columns in zip(cells, _COLUMNS, strict=True)
        ).rstrip()
    )
