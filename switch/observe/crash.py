"""Named points where the crash matrix kills the process.

Inert unless the environment has ``CRASH_AT=name`` (first hit) or ``CRASH_AT=name#3`` (third hit)
when this module is imported; then the process kills itself with SIGKILL, as a power cut would.
"""

import os
import signal
from collections.abc import Mapping


def armed_by(environ: Mapping[str, str]) -> tuple[str, int]:
    """The point to die at and at which hit; ``("", 0)`` when none is set.

    >>> armed_by({"CRASH_AT": "after-commit#3"})
    ('after-commit', 3)
    """
    name, _, hit = environ.get("CRASH_AT", "").partition("#")
    return (name, int(hit or "1")) if name else ("", 0)


_name, _hits_left = armed_by(os.environ)


def crash_point(name: str) -> None:
    """Die here if this is the armed point and hit; otherwise one comparison and nothing more."""
    global _hits_left  # noqa: PLW0603 - the countdown belongs to the process, as its death does
    if name != _name:
        return
    _hits_left -= 1
    if _hits_left == 0:
        os.kill(os.getpid(), signal.SIGKILL)


def armed(name: str) -> bool:
    """Whether the next :func:`crash_point` of this name dies: for points that need the wire
    prepared first (half a frame written, a buffer flushed)."""
    return name == _name and _hits_left == 1
