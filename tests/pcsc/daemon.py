"""pcscd as a child of the tests: started and ended by its own process id.

vpcd notices a card within half a second. One that was pulled and put back sooner may stay hidden,
so that every test has a fresh daemon, which takes 50 ms.
"""

import fcntl
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from smartcard import scard

from terminal_agent.devices.vpcd_card import PORT

PROGRAM = "/usr/sbin/pcscd"
DRIVER = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
SOCKET_FOLDER = Path("/run/pcscd")
LOCK = Path("/tmp/yyt-pcscd.lock")  # one for the machine, whatever TMPDIR says
WAIT_S = 60
READERS = ("Virtual PCD 00 00", "Virtual PCD 00 01")


class Pcscd:
    """Holds the machine's only place for a pcscd as long as the block runs."""

    def __enter__(self) -> "Pcscd":
        for needed in (Path(PROGRAM), DRIVER):
            assert needed.exists(), f"{needed}: bin/test installs pcscd and vsmartcard-vpcd"
        self._lock = LOCK.open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        assert not _answers(), "a pcscd runs already: systemctl stop pcscd.socket pcscd.service"
        SOCKET_FOLDER.mkdir(exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix="yyt-pcscd-"))
        self._log = self._folder / "log"
        self._config = self._folder / "readers"  # pcscd reads every file in it
        self._config.mkdir()
        (self._config / "vpcd").write_text(
            'FRIENDLYNAME "Virtual PCD"\n'
            f"DEVICENAME /dev/null:{PORT:#X}\nLIBPATH {DRIVER}\nCHANNELID {PORT:#X}\n"
        )
        self._child: subprocess.Popen[bytes] | None = None
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._folder)
        self._lock.close()

    def start(self) -> None:
        """Start it when it does not run, and wait until it shows both slots."""
        if self._child is not None:
            return
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                [PROGRAM, "--foreground", "--error", "--config", str(self._config)],
                stdout=log,
                stderr=log,
            )
        give_up_at = time.monotonic() + WAIT_S
        while not _answers():
            assert self._child.poll() is None, self._log.read_text("utf-8")
            assert time.monotonic() < give_up_at, "pcscd does not show its readers"
            time.sleep(0.02)

    def kill(self) -> None:
        """As a crash does it, and whoever listens in the virtual reader goes with it."""
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.wait(WAIT_S)
        for left in SOCKET_FOLDER.glob("pcscd.*"):
            left.unlink(missing_ok=True)

    @property
    def pid(self) -> int:
        """Of the running daemon."""
        assert self._child is not None
        return self._child.pid


def is_empty(reader: str) -> bool:
    """Whether pcscd sees no card in a slot: a hand is never quicker than that."""
    code, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
    if code:
        return False
    state = (reader, scard.SCARD_STATE_UNAWARE)
    code, (found,) = scard.SCardGetStatusChange(context, 0, [state])
    scard.SCardReleaseContext(context)
    return bool(code == scard.SCARD_S_SUCCESS and found[1] & scard.SCARD_STATE_EMPTY)


def _answers() -> bool:
    """Whether a daemon shows the virtual slots."""
    if not (SOCKET_FOLDER / "pcscd.comm").exists():
        return False
    code, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
    if code:
        return False
    _, names = scard.SCardListReaders(context, [])
    scard.SCardReleaseContext(context)
    return set(READERS) <= set(names)
