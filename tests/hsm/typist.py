"""People at a real terminal: a command behind a pty, prompts waited for, answers typed."""

import os
import pty
import select
import time
from collections.abc import Sequence
from types import TracebackType

WAIT_S = 60.0


class Typist:
    """Runs a command on a terminal of its own. ``seen`` is all that the screen ever showed."""

    def __init__(self, command: Sequence[str], language: str = "en") -> None:
        self.seen = ""
        self._read_to = 0
        self.pid, self._tty = pty.fork()
        if self.pid == 0:  # the child
            try:
                os.environ["YYT_LANG"] = language
                os.execv(command[0], list(command))
            finally:
                os._exit(127)

    def answer(self, prompt: str, line: str) -> None:
        """Wait for this prompt (beyond what was waited for before), then type a line."""
        self.wait_for(prompt)
        # A hidden prompt throws away what came before echo was off: it is printed after that.
        os.write(self._tty, line.encode() + b"\n")

    def wait_for(self, text: str) -> None:
        """Read the screen until it shows this."""
        deadline = time.monotonic() + WAIT_S
        while text not in self.seen[self._read_to :]:
            assert self._more(deadline), f"no {text!r} on the screen: {self.seen!r}"
        self._read_to = self.seen.index(text, self._read_to) + len(text)

    def finish(self) -> int:
        """Read to the end; the exit code."""
        deadline = time.monotonic() + WAIT_S
        while self._more(deadline):
            pass
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def _more(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._tty], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            chunk = os.read(self._tty, 65536)
        except OSError:  # Linux says so when the other side is closed
            return False
        self.seen += chunk.decode("utf-8", "replace")
        return bool(chunk)

    def __enter__(self) -> "Typist":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.pid:
            os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)
        os.close(self._tty)
