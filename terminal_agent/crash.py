"""Named points where the crash matrix kills the agent: ``CRASH_AT=name`` or ``CRASH_AT=name#3``."""

import os
import signal

_name, _, _hit = os.environ.get("CRASH_AT", "").partition("#")
_hits_left = int(_hit or "1")


def crash_point(name: str) -> None:
    """Die here if this is the armed point and hit; otherwise one comparison and nothing more."""
    global _hits_left  # noqa: PLW0603 - the countdown belongs to the process, as its death does
    if name != _name:
        return
    _hits_left -= 1
    if _hits_left == 0:
        # SIGKILL, as a power cut: no handler runs, nothing is flushed. Windows has no such name.
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
