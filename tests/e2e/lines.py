"""A serial line of this process: an emulated device at its end, a name for the kiosk's port."""

import os
import select
import threading
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeVar

from terminal_agent.devices.emulator import Emulator

T = TypeVar("T")

READ_BYTES_MAX = 65_536


class Line:
    """One pseudo terminal. The device is touched under a lock: by what comes over the line in a
    thread of its own, and by hands through :meth:`do`."""

    def __init__(self, link: Path, device: Emulator) -> None:
        self._device = device
        self._turn = threading.Lock()
        # The kiosk's end stays open here too: without a reader there is no hang-up.
        self._master, self._slave = os.openpty()
        self._over, self._end = os.pipe()
        tty.setraw(self._slave)
        self._link = link
        link.symlink_to(os.ttyname(self._slave))
        device.attach(lambda data: os.write(self._master, data))
        self._thread = threading.Thread(target=self._listen, name=f"line-{link.name}")
        self._thread.start()

    def do(self, act: Callable[[], T]) -> T:
        """A hand at the device."""
        with self._turn:
            return act()

    def close(self) -> None:
        """Take the device away, and its name: another device may get the same terminal next."""
        self._link.unlink()
        os.write(self._end, b".")
        self._thread.join()
        for one in (self._master, self._slave, self._over, self._end):
            os.close(one)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _listen(self) -> None:
        while True:
            ready, _, _ = select.select((self._master, self._over), (), ())
            if self._over in ready:
                return
            data = os.read(self._master, READ_BYTES_MAX)
            with self._turn:
                self._device.received(data)
