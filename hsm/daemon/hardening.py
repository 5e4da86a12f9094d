"""What the operating system can do to keep keys inside this process.

Best effort, and each result is logged: software in an ordinary process is no secure cryptographic
device, whatever is switched on here.
"""

import ctypes
import os
import resource
import socket
import struct
from typing import Any, Final

_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
_ONLY_US: Final = 0o077
_MCL_CURRENT_AND_FUTURE: Final = 3
_UCRED: Final = struct.Struct("3i")


def harden() -> dict[str, str]:
    """No core dumps, no ptrace by the same user, no swapping, no new privileges, files for us
    alone: measure → ``on`` or why not."""
    os.umask(_ONLY_US)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    done = {
        "no_core": "on",
        "not_dumpable": _result(libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)),
        "no_new_privileges": _result(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)),
        "memory_locked": "limit too low",
    }
    # Under a finite limit a lock that succeeds now would let a later allocation fail.
    if os.geteuid() == 0 or resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] < 0:
        done["memory_locked"] = _result(libc.mlockall(_MCL_CURRENT_AND_FUTURE))
    return done


def _result(code: int) -> str:
    return "on" if code == 0 else os.strerror(ctypes.get_errno())


def peer_uid(transport: Any) -> int | None:
    """The user id at the other end of a Unix socket; None on anything else."""
    connection = getattr(transport, "socket", None)
    if connection is None or connection.family != socket.AF_UNIX:
        return None
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return int(_UCRED.unpack(raw)[1])
