"""Keys as ``yyt key`` shows them to people."""

import unicodedata
from collections.abc import Iterable, Sequence

from switch.keys.intake import OWNER
from switch.keys.texts import say
from switch.store.key_store import KeyEvent, Owner, StoredKey

_SHOWN = ("name", "version", "usage", "type", "lmk", "check", "state", "owner", "until")


def key_table(keys: Iterable[StoredKey]) -> str:
    """One line for each version."""
    rows = [
        (
            key.name,
            str(key.version),
            key.usage,
            key.key_type,
            key.lmk_id,
            key.check_value,
            str(key.state),
            owner_text(key.owner),
            key.not_after,
        )
        for key in keys
    ]
    return table([say(f"h_{name}") for name in _SHOWN], rows) if rows else say("nothing")


def event_table(events: Iterable[KeyEvent]) -> str:
    """A key's history, oldest first."""
    heads = ("at", "by", "what", "version", "check", "detail")
    rows = [(e.at, e.by_whom, e.what, str(e.version), e.check_value, e.detail) for e in events]
    return table([say(f"h_{head}") for head in heads], rows)


def owner_text(owner: Owner) -> str:
    """The parts of an owner that are known."""
    return " ".join(part for name in OWNER if (part := getattr(owner, name)))


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell; a Chinese character is two wide."""
    whole = [heads, *rows]
    widths = [max(_width(row[i]) for row in whole) for i in range(len(heads))]
    return "\n".join(
        "  ".join(cell + " " * (widths[i] - _width(cell)) for i, cell in enumerate(row)).rstrip()
        for row in whole
    )


def _width(cell: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in cell)
