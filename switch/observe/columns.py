"""Text in columns of the screen: a Chinese character takes two."""

from collections.abc import Sequence
from unicodedata import east_asian_width


def columns_of(text: str) -> int:
    """How many it takes.

    >>> columns_of("金额")
    4
    """
    return sum(2 if east_asian_width(char) in "WF" else 1 for char in text)


def padded(text: str, columns: int) -> str:
    """The text and spaces up to a width in columns; a longer one stays whole.

    >>> padded("金额", 6)
    '金额  '
    """
    return text + " " * (columns - columns_of(text))


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lines with columns as wide as their widest cell.

    >>> print(table(["金额", "code"], [["1", "00"]]))
    金额  code
    1     00
    """
    whole = [heads, *rows]
    widths = [max(columns_of(row[i]) for row in whole) for i in range(len(heads))]
    return "\n".join("  ".join(map(padded, row, widths)).rstrip() for row in whole)
