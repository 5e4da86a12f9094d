"""PIN and MAC commands, counted per client and minute instead of recorded one by one."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from typing import Final

from hsm.audit.record import DETAILS_MAX, Detail, Event, is_name

OTHERS: Final = "*"
"""The client, and the command, under which that is counted for which no cell is left."""

MINUTE_MS: Final = 60_000

Cell = tuple[str, str, str]
"""Client, command, error."""


class Counts:
    """Cells of one minute; at most ``cells_max`` of them, what comes then shares the last one."""

    def __init__(self, what: str, cells_max: int, now_ms: int) -> None:
        """``what``: the name of their records."""
        self._what = what
        self._cells_max = cells_max
        self._cells: dict[Cell, int] = {}
        self._minute = now_ms // MINUTE_MS

    def __len__(self) -> int:
        return len(self._cells)

    def add(self, client: str, command: str, error: str) -> None:
        """Count one command."""
        try:
            self._cells[client, command, error] += 1
        except KeyError:
            self._add_new(client, command, error)

    def due(self, now_ms: int) -> bool:
        """Whether the minute of these counts is over."""
        return now_ms // MINUTE_MS != self._minute

    def flush(self, now_ms: int) -> Iterator[tuple[Event, list[Cell]]]:
        """What was counted: an event for each client (more when it has very many kinds).

        Each comes with its cells, for :meth:`drop` once it is safely written: a full disk loses no
        count. When all are taken, the minute of ``now_ms`` is counted.
        """
        minute = datetime.fromtimestamp(self._minute * 60, UTC).strftime("%Y-%m-%dT%H:%MZ")
        size = DETAILS_MAX - 1
        for client, found in groupby(sorted(self._cells), key=lambda cell: cell[0]):
            cells = list(found)
            for some in (cells[at : at + size] for at in range(0, len(cells), size)):
                counted = {f"{cell[1]}.{cell[2]}": self._cells[cell] for cell in some}
                yield self._event(client, {"minute": minute} | counted), some
        self._minute = now_ms // MINUTE_MS

    def _event(self, client: str, details: dict[str, Detail]) -> Event:
        return Event(what=self._what, who=(client,), details=details)

    def drop(self, cells: list[Cell]) -> None:
        """Forget cells that are written."""
        for cell in cells:
            del self._cells[cell]

    def _add_new(self, client: str, command: str, error: str) -> None:
        cell = (client if is_name(client) else OTHERS, command, error)
        if cell not in self._cells and len(self._cells) >= self._cells_max - 1:
            cell = (OTHERS, OTHERS, OTHERS)
        self._cells[cell] = self._cells.get(cell, 0) + 1
