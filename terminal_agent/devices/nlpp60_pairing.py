"""What pairs an NL-PP60 with its kiosk: the pad's UID and two authentication keys.

Before a key is loaded or used the pad gives a random number; the command then carries an AuthCode,
and so does the answer. It is an X9.19 MAC over data, random number and UID, padded with zeros. The
keys prove who asks, and who answers; they encrypt no PIN and no key.
"""

import hmac
from pathlib import Path
from typing import Final

from hsm.primitives import retail_mac
from terminal_agent.config import ConfigError
from terminal_agent.protocol import Opaque

CODE_BYTES: Final = 8
KEY_BYTES: Final = 16
LINES: Final = 3


class AuthKey:
    """One authentication key, of one pad."""

    def __init__(self, key: bytes, uid: bytes) -> None:
        self._key = Opaque(key.hex())
        self._uid = Opaque(uid.hex())

    def code(self, data: bytes, random: bytes) -> bytes:
        """The AuthCode of a command's data, 8 bytes; of an answer's alike. The maker's manual
        gives an example of a command; that answers are covered in the same way is read out of one
        sentence of it, and to be confirmed."""
        covered = data + random + bytes.fromhex(self._uid.reveal())
        key = bytes.fromhex(self._key.reveal())
        return retail_mac(key, covered + bytes(-len(covered) % CODE_BYTES))

    def opened(self, sealed: bytes, random: bytes) -> bytes | None:
        """Data and its AuthCode → data; None when the code is wrong."""
        data, code = sealed[:-CODE_BYTES], sealed[-CODE_BYTES:]
        return data if hmac.compare_digest(code, self.code(data, random)) else None


class Pairing:
    """Both keys: the pad's authentication key 03 is for loading working keys, 02 for using them."""

    def __init__(self, uid: bytes, load_key: bytes, use_key: bytes) -> None:
        self.load = AuthKey(load_key, uid)
        self.use = AuthKey(use_key, uid)


def read_pairing(file: Path) -> Pairing:
    """Three lines of 32 hex digits: UID, key 03, key 02. Raises ConfigError, which names no digit,
    and OSError."""
    try:
        parts = [bytes.fromhex(line) for line in file.read_text("ascii").split()]
    except ValueError:
        parts = []
    if [len(part) for part in parts] != [KEY_BYTES] * LINES:
        raise ConfigError(f"{file}: a pairing is three lines of 32 hex digits")
    return Pairing(*parts)
