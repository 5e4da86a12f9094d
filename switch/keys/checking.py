"""``yyt key check``: has every key the check value it should have, and every terminal its own?"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from switch.keys.configured import ConfiguredKey
from switch.keys.tools import KeyTools
from switch.model.held_key import named_key
from switch.ports import KeyServiceError
from switch.store import key_store
from switch.store.key_source import load_snapshot
from switch.store.key_store import KeyConnection

_OF_TERMINALS: Final = ("000", "002")
"""Types of which the configuration names one for each terminal (一机一密)."""


class Asked(Struct, frozen=True):
    """One key to be asked for."""

    place: str
    key_type: str
    held: str
    expected: str
    """Its check value as kept; empty: none is."""
    of_terminal: bool = False


class Finding(Struct, frozen=True, kw_only=True):
    """What became of it."""

    key: str
    kept: str
    found: str
    right: bool


def to_ask(conn: KeyConnection, configured: Iterable[ConfiguredKey]) -> list[Asked]:
    """All keys of the store, all working keys, all keys that the configuration names."""
    rows = key_store.keys(conn)
    asked = [Asked(f"{k.name} {k.version}", k.key_type, k.held, k.check_value) for k in rows]
    asked += [Asked(*key) for key in key_store.working_keys(conn)]
    now = load_snapshot(conn)
    for key in configured:
        name = named_key(key.text)
        held = now.names.get(name, "") if name else now.successors.get(key.text, key.text)
        asked.append(Asked(key.place, key.key_type, held, "", key.key_type in _OF_TERMINALS))
    return asked


async def check(tools: KeyTools, asked: Iterable[Asked]) -> list[Finding]:
    """Ask for each; then one finding more for every key that two terminals share."""
    findings = []
    terminals: defaultdict[str, list[str]] = defaultdict(list)
    for key in asked:
        try:
            found = await _found(tools, key)
        except KeyServiceError as error:
            text = f"{error.code} {error.text}"
            findings.append(Finding(key=key.place, kept=key.expected, found=text, right=False))
            continue
        size = min(len(found), len(key.expected))
        right = found[:size] == key.expected[:size]
        findings.append(Finding(key=key.place, kept=key.expected, found=found, right=right))
        if key.of_terminal:
            terminals[found].append(key.place)
    shared = [(found, places) for found, places in terminals.items() if len(places) > 1]
    return findings + [
        Finding(key=", ".join(places), kept="一机一密", found=found, right=False)
        for found, places in shared
    ]


async def _found(tools: KeyTools, key: Asked) -> str:
    if not key.held:
        raise KeyServiceError("key", "name", "the key store holds no active key of this name")
    return await tools.check_value(key.key_type, key.held)
