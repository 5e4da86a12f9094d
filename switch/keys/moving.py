"""``yyt key rotate-lmk``: all keys to another LMK of the same HSM, while the switch runs.

Three steps, each of which may be killed and begun again: every key gets its successor (BW), one
commit makes all successors the keys, and whatever was written under the old LMK meanwhile follows.
``finish`` then proves that the old LMK is not needed any more.
"""

from collections.abc import Callable, Sequence
from typing import Final

from twisted.internet.defer import Deferred, FirstError, gatherResults

from switch.keys.configured import ConfiguredKey
from switch.keys.desk import pause
from switch.keys.tools import KeyTools
from switch.model.held_key import split_held
from switch.store.key_source import load_snapshot
from switch.store.key_store import KeyConnection, KeyRefused
from switch.store.lmk_rotation import (
    Rotation,
    Text,
    finish,
    flip,
    left,
    nodes_behind,
    open_rotation,
    translated,
    under_way,
)

WINDOW: Final = 16
"""Keys that are with the HSM at once."""
ROUND_S: Final = 0.5
"""Between two looks for what was written meanwhile, and for nodes."""

Progress = Callable[[int, int], None]
"""(keys done, keys to do)."""


class Mover:
    """One rotation by one officer."""

    def __init__(
        self, conn: KeyConnection, tools: KeyTools, literals: Sequence[ConfiguredKey], by_whom: str
    ) -> None:
        self._conn = conn
        self._tools = tools
        self._literals = literals
        self._by_whom = by_whom

    async def move(self, from_lmk: str, to_lmk: str, progress: Progress, wait_s: int) -> list[str]:
        """Move every key and give the nodes ``wait_s`` seconds to take the new ones; those that
        have not are returned. KeyRefused: another rotation is under way; after a
        KeyServiceError it may be run again."""
        rotation = open_rotation(self._conn, from_lmk, to_lmk, self._by_whom)
        await self._translate(rotation, progress)
        while not flip(self._conn, rotation, self._tools.default_lmk, self._by_whom):
            await self._translate(rotation, progress)
        behind: list[str] = []
        for _ in range(1 + int(wait_s / ROUND_S)):
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
        rotation = under_way(self._conn)
        if rotation is None or (rotation.from_lmk, rotation.to_lmk) != (from_lmk, to_lmk):
            raise KeyRefused(f"no rotation from LMK {from_lmk} to {to_lmk} is under way")
        unmoved = [literal.place for literal, _ in self._old_literals(rotation)]
        if rotation.flipped and unmoved:
            return unmoved
        return finish(self._conn, rotation, self._tools.default_lmk, self._by_whom)

    def _left(self, rotation: Rotation) -> list[Text]:
        mine = [Text(held, literal.key_type) for literal, held in self._old_literals(rotation)]
        return left(self._conn, rotation, self._tools.default_lmk, mine)

    def _old_literals(self, rotation: Rotation) -> list[tuple[ConfiguredKey, str]]:
        """Literals whose newest form is under the old LMK."""
        default = self._tools.default_lmk
        successors = load_snapshot(self._conn).successors
        newest = [
            (literal, successors.get(literal.text, literal.text)) for literal in self._literals
        ]
        return [
            (literal, held)
            for literal, held in newest
            if (split_held(held).lmk_id or default) == rotation.from_lmk
        ]

    async def _translate(self, rotation: Rotation, progress: Progress) -> None:
        todo = self._left(rotation)
        for at in range(0, len(todo), WINDOW):
            batch = todo[at : at + WINDOW]
            asked = [Deferred.fromCoroutine(self._one(rotation, text)) for text in batch]
            try:
                await gatherResults(asked, consumeErrors=True)
            except FirstError as first:
                first.subFailure.raiseException()
            progress(min(at + WINDOW, len(todo)), len(todo))

    async def _one(self, rotation: Rotation, text: Text) -> None:
        new = await self._tools.translate_lmk(text.key_type, text.held, rotation.to_lmk)
        translated(self._conn, rotation, text, new)
