"""A serial port without hardware: an emulated device behind a pseudo terminal (POSIX only).

The port's name is a symbolic link, so that it stays the same when the cable is pulled and put
back.
"""

import os
from pathlib import Path
from typing import Any

from twisted.internet import abstract, fdesc
from twisted.internet.main import CONNECTION_DONE
from twisted.python.failure import Failure

from terminal_agent.devices.emulator import Emulator


class PtyPort:
    """Makes ``link`` a serial port with ``device`` at its other end."""

    def __init__(self, reactor: Any, link: Path, device: Emulator) -> None:
        self._reactor = reactor
        self._link = link
        self._device = device
        self._master: _Master | None = None

    def plug(self) -> None:
        """Put the cable in. Raises OSError."""
        import tty  # not on Windows, where emulated devices can be joined in memory only

        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        self._master = _Master(self._reactor, master, slave, self._device)
        self._link.unlink(missing_ok=True)
        self._link.symlink_to(os.ttyname(slave))
        self._device.attach(self._master.write)
        self._master.startReading()  # type: ignore[no-untyped-call]

    def unplug(self) -> None:
        """Pull it: the other side's open port ends."""
        master, self._master = self._master, None
        self._link.unlink(missing_ok=True)
        if master is not None:
            self._device.detach()
            master.connectionLost(Failure(CONNECTION_DONE))


class _Master(abstract.FileDescriptor):
    """The device's end. The slave stays open here too: without a reader there is no hang-up."""

    def __init__(self, reactor: Any, master: int, slave: int, device: Emulator) -> None:
        super().__init__(reactor)
        self.connected = 1
        self._ends = (master, slave)
        self._device = device

    def fileno(self) -> int:
        return self._ends[0]

    def writeSomeData(self, data: bytes) -> Any:
        return fdesc.writeToFD(self.fileno(), data)

    def doRead(self) -> Any:
        return fdesc.readFromFD(self.fileno(), self._device.received)

    def connectionLost(self, reason: Failure) -> None:
        super().connectionLost(reason)  # type: ignore[no-untyped-call]
        for end in self._ends:
            os.close(end)
