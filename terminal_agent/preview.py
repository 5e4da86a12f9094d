"""A slip as a picture, for the screen and for people without a printer.

Pillow is loaded at the first picture. Pillow's own font has no Chinese, so one is looked for:
the configured file, the usual places of the system, then the packaged WenQuanYi Micro Hei.
Characters stand on the printer's grid: what aligns on paper aligns here.
"""

import importlib.util
import io
from pathlib import Path

from terminal_agent.receipt import columns_of

CELL_WIDTH = 12
LINE_HEIGHT = 30
FONT_SIZE = 24
MARGIN = 24
LINES_MAX = 200
"""More is no slip."""
SYSTEM_FONTS = (
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "C:/Windows/Fonts/simhei.ttf",
    "C:/Windows/Fonts/msyh.ttc",
)
PACKAGED_FONT = ("paperang_p2_fonts_cjk", "fonts/wqy-microhei.ttc")


class NoFontError(Exception):
    """No font with Chinese glyphs is to be had: set ``receipt.font``."""


def find_font(configured: str) -> Path:
    """The font file to draw with. Raises NoFontError."""
    if configured:
        if Path(configured).is_file():
            return Path(configured)
        raise NoFontError(f"receipt.font: {configured} is not there")
    for candidate in map(Path, SYSTEM_FONTS):
        if candidate.is_file():
            return candidate
    package, file = PACKAGED_FONT
    spec = importlib.util.find_spec(package)
    if spec is not None and spec.origin is not None:
        packaged = Path(spec.origin).parent / file
        if packaged.is_file():
            return packaged
    raise NoFontError("no font with Chinese glyphs found: set receipt.font")


def picture(text: str, columns: int, font_file: Path) -> bytes:
    """The slip as PNG, ``columns`` × 12 pixels and a margin wide."""
    from PIL import Image, ImageDraw, ImageFont

    lines = text.splitlines()[:LINES_MAX]
    size = (columns * CELL_WIDTH + 2 * MARGIN, len(lines) * LINE_HEIGHT + 2 * MARGIN)
    image = Image.new("L", size, 255)
    draw = ImageDraw.Draw(image)
    font = ImageFont.truetype(str(font_file), FONT_SIZE)
    for row, line in enumerate(lines):
        column = 0
        for character in line:
            wide = columns_of(character)
            middle = MARGIN + (column + wide / 2) * CELL_WIDTH
            draw.text((middle, MARGIN + row * LINE_HEIGHT), character, 0, font, anchor="ma")
            column += wide
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()
