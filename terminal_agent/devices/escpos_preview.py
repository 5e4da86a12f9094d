"""ESC/POS bytes as a picture: what a slip will look like, without a printer. Pillow is loaded at
the first picture. Characters stand on the printer's grid, Chinese two columns wide."""

import io
from pathlib import Path
from typing import Any, Final

from terminal_agent.devices.escpos_paper import Cut, Line, Mark, Raster, read_all
from terminal_agent.receipt import columns_of

CELL_WIDTH: Final = 12
LINE_HEIGHT: Final = 30
FONT_SIZE: Final = 24
MARGIN: Final = 24
CUT_HEIGHT: Final = 16
HEIGHT_MAX: Final = 20_000
"""Pixels; what would stand below is left out."""


def preview(data: bytes, columns: int, font_file: Path) -> bytes:
    """The paper as PNG. Slips longer than ``HEIGHT_MAX`` are cut off."""
    from PIL import Image, ImageDraw

    marks = _fitting(read_all(data))
    width = columns * CELL_WIDTH + 2 * MARGIN
    height = sum(map(_height, marks)) + 2 * MARGIN
    image = Image.new("L", (width, height), 255)
    draw = ImageDraw.Draw(image)
    fonts: dict[int, Any] = {}
    top = MARGIN
    for mark in marks:
        if isinstance(mark, Line):
            _draw_line(image, mark, top, columns, font_file=font_file, fonts=fonts)
        elif isinstance(mark, Raster):
            picture = Image.frombytes("1", (mark.row_bytes * 8, mark.rows), mark.data, "raw", "1;I")
            left = MARGIN + (columns * CELL_WIDTH - picture.width) * mark.align // 2
            image.paste(picture, (left, top))
        elif isinstance(mark, Cut):
            for left in range(0, width, 12):
                draw.line((left, top + CUT_HEIGHT // 2, left + 6, top + CUT_HEIGHT // 2), 128)
        top += _height(mark)
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def _fitting(marks: list[Mark]) -> list[Mark]:
    """As many marks as fit under ``HEIGHT_MAX``."""
    used, out = 0, []
    for mark in marks:
        used += _height(mark)
        if used > HEIGHT_MAX:
            break
        out.append(mark)
    return out


def _height(mark: Mark) -> int:
    if isinstance(mark, Line):
        return LINE_HEIGHT * mark.style.height
    if isinstance(mark, Raster):
        return mark.rows
    return CUT_HEIGHT if isinstance(mark, Cut) else 0


def _draw_line(
    image: Any, line: Line, top: int, columns: int, *, font_file: Path, fonts: dict[int, Any]
) -> None:
    """Characters one by one on the grid; what is wider than high is stretched."""
    from PIL import Image, ImageDraw, ImageFont

    style = line.style
    if style.height not in fonts:
        fonts[style.height] = ImageFont.truetype(str(font_file), FONT_SIZE * style.height)
    wide = columns_of(line.text) * CELL_WIDTH * style.width
    if not wide:
        return
    natural = columns_of(line.text) * CELL_WIDTH * style.height
    strip = Image.new("L", (natural, LINE_HEIGHT * style.height), 255)
    draw = ImageDraw.Draw(strip)
    column = 0
    for character in line.text:
        cells = columns_of(character)
        middle = (column + cells / 2) * CELL_WIDTH * style.height
        weight = 1 if style.bold else 0
        draw.text((middle, 0), character, 0, fonts[style.height], anchor="ma", stroke_width=weight)
        column += cells
    if wide != natural:
        strip = strip.resize((wide, strip.height))
    left = MARGIN + max(0, columns * CELL_WIDTH - wide) * style.align // 2
    image.paste(strip, (left, top))
