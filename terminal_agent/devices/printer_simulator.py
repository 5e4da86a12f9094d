"""A printer without hardware: each slip becomes a text file."""

import itertools
from pathlib import Path

from terminal_agent.devices.interfaces import Completion, DeviceError, Watcher


class SimulatedPrinter:
    """Prints into a folder: ``KEY.1.txt`` is the first slip of a payment, ``KEY.2.txt`` a reprint.

    A file ``paper-out`` in the folder takes its paper away.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    async def print_raw(self, name: str, text: str) -> None:
        """The next file of this name, whole or not at all."""
        if self.status() != "online":
            raise DeviceError(Completion.DEVICE_NOT_READY, self.status())
        paper = self._folder / f".{name}.printing"
        paper.write_text(text, encoding="utf-8")
        for copy in itertools.count(1):
            try:
                (self._folder / f"{name}.{copy}.txt").hardlink_to(paper)
                break
            except FileExistsError:
                continue
        paper.unlink()

    def status(self) -> str:
        """``paperOut`` while the folder says so."""
        return "paperOut" if (self._folder / "paper-out").exists() else "online"

    def watch(self, watcher: Watcher) -> None:
        """Tells nothing by itself."""

    def cancel(self) -> None:
        """Nothing waits."""
