"""A real IPP Everywhere printer: ``ippeveprinter`` of Debian's cups-ipp-utils.

It insists on a system message bus, where it would look for Avahi; a bus of the test's own, without
anybody on it, is enough. Nothing of it is announced on the network. Its print command is a shell
script of the test, which puts the document into a folder, or does what ``mode`` says.
"""

import os
import socket
import subprocess
from pathlib import Path
from typing import Any

from tests.devices.conftest import Bench

BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={path}</listen>
<policy context="default"><allow send_destination="*" eavesdrop="true"/>
<allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
"""
COMMAND = """#!/bin/sh
case $(cat {folder}/mode) in
fail) exit 3 ;;
wait)
    echo "STATE: +media-empty-warning" >&2
    while [ -e {folder}/mode ] && [ ! -e {folder}/go ]; do sleep 0.05; done
    echo "STATE: -media-empty-warning" >&2 ;;
esac
cp "$1" {folder}/out/
"""


class EvePrinter:
    """One of them. ``folder`` must have a short path: a socket is in it."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self._bench = bench
        self.folder = folder
        for name in ("spool", "out", "keys"):
            (folder / name).mkdir()
        self.mode("print")
        (folder / "bus.conf").write_text(BUS.format(path=folder / "bus"))
        command = folder / "command"
        command.write_text(COMMAND.format(folder=folder))
        command.chmod(0o700)
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = found.getsockname()[1]
        self._log = (folder / "log").open("wb")
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Bus and printer."""
        bus = self.folder / "bus"
        self._run("dbus-daemon", f"--config-file={self.folder}/bus.conf", "--nofork")
        self._bench.until(bus.exists)
        self._run(
            "/usr/sbin/ippeveprinter",
            *("-r", "off", "-n", "localhost", "-p", str(self.port), "-f", "application/pdf"),
            *("-d", str(self.folder / "spool"), "-K", str(self.folder / "keys")),
            *("-c", str(self.folder / "command"), "report printer"),
        )
        self._bench.until(self._listens)

    def stop(self) -> None:
        """Both end."""
        (self.folder / "go").touch()
        for process in reversed(self._processes):
            process.terminate()
            process.wait(10)
        self._log.close()

    def mode(self, word: str) -> None:
        """What the print command does: ``print``, ``fail``, ``wait`` (until there is ``go``)."""
        (self.folder / "mode").write_text(word)

    @property
    def printed(self) -> list[bytes]:
        """The documents."""
        return [path.read_bytes() for path in sorted((self.folder / "out").iterdir())]

    @property
    def certificate(self) -> Path:
        """It makes one of its own when it is first asked for."""
        return self.folder / "keys" / "localhost.crt"

    def _run(self, *command: str) -> None:
        environment = os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self.folder}/bus"}
        started: Any = subprocess.Popen(
            command, env=environment, stdout=self._log, stderr=self._log, cwd=self.folder
        )
        self._processes.append(started)

    def _listens(self) -> bool:
        assert self._processes[-1].poll() is None, (self.folder / "log").read_text()
        with socket.socket() as line:
            return line.connect_ex(("127.0.0.1", self.port)) == 0
