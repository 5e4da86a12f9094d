"""``yyt key rotate-lmk``: all keys to another LMK of the same HSM, while the switch runs.

Three steps, each of which may be killed and begun again: every key gets its successor (BW), one
commit makes all successors the keys, and whatever was written under the old LMK meanwhile follows.
``finish`` then proves that the old LMK is not needed any more.
"""

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct
from twisted.internet.defer import Deferred, gatherResults

from switch.keys.desk import pause
from switch.keys.tools import KeyTools
from switch.model.held_key import split_held
from switch.observe.crash import crash_point
from switch.store.key_source import load_snapshot
from switch.store.key_store import KeyConnection
from switch.store.lmk_rotation import (
    Rotation,
    Text,
    finish,
    flip,
    left,
    nodes_behind,
    open_rotation,
    translated,
)

WINDOW: Final = 16
"""Keys that are with the HSM at once."""
ROUND_S: Final = 0.5
"""Between two looks for what was written meanwhile."""
ROUNDS_MAX: Final = 60
"""Looks after which the command ends and says what it still waits for."""

Progress = Callable[[int, int], None]
"""(keys done, keys to do)."""


class Literal(Struct, frozen=True):
    """A key that stands in a configuration as a cryptogram."""

    key_type: str
    text: str


class Mover:
    """One rotation by one officer."""

    def __init__(
        self, conn: KeyConnection, tools: KeyTools, literals: Sequence[Literal], by_whom: str
    ) -> None:
        self._conn = conn
        self._tools = tools
        self._literals = literals
        self._by_whom = by_whom

    async def move(self, from_lmk: str, to_lmk: str, progress: Progress) -> list[str]:
        """Move every key; the nodes that have not taken the new ones yet are returned. Raises
        KeyRefused (another rotation is under way) and KeyServiceError (it may be run again)."""
        rotation = open_rotation(self._conn, from_lmk, to_lmk, self._by_whom)
        await self._translate(rotation, progress)
        while not flip(self._conn, rotation, self._tools.default_lmk, self._by_whom):
            await self._translate(rotation, progress)
        crash_point("keys flipped, nodes not told")
        behind: list[str] = []
        for _ in range(ROUNDS_MAX):
            behind = nodes_behind(self._conn, 0)
            if self._left(rotation):
                await self._translate(rotation, progress)
                flip(self._conn, rotation, self._tools.default_lmk, self._by_whom)
            elif not behind:
                break
            await pause(ROUND_S)
        return behind

    def finish(self, from_lmk: str, to_lmk: str) -> list[str]:
        """What still needs the old LMK; empty: nothing, and the rotation is ended."""
        rotation = open_rotation(self._conn, from_lmk, to_lmk, self._by_whom)
        unmoved = [f"{text.key_type} {text.held}" for text in self._left(rotation)]
        return unmoved or finish(self._conn, rotation, self._tools.default_lmk, self._by_whom)

    def _left(self, rotation: Rotation) -> list[Text]:
        default = self._tools.default_lmk
        successors = load_snapshot(self._conn).successors
        mine = []
        for literal in self._literals:
            held = successors.get(literal.text, literal.text)
            if (split_held(held).lmk_id or default) == rotation.from_lmk:
                mine.append(Text(held, literal.key_type))
        return left(self._conn, rotation, default, mine)

    async def _translate(self, rotation: Rotation, progress: Progress) -> None:
        todo = self._left(rotation)
        for at in range(0, len(todo), WINDOW):
            batch = todo[at : at + WINDOW]
            asked = [Deferred.fromCoroutine(self._one(rotation, text)) for text in batch]
            await gatherResults(asked, consumeErrors=True)
            progress(min(at + WINDOW, len(todo)), len(todo))

    async def _one(self, rotation: Rotation, text: Text) -> None:
        new = await self._tools.translate_lmk(text.key_type, text.held, rotation.to_lmk)
        translated(self._conn, rotation, text, new)
        crash_point("a key translated, not flipped")
