"""Keys as ``yyt key`` shows them to people."""

from collections.abc import Iterable

from switch.keys.intake import OWNER
from switch.keys.texts import say
from switch.observe.columns import table
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
