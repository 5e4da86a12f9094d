"""One-time codes: how a new kiosk gets its certificate without a technician copying keys.

``invite`` makes a code for one terminal and keeps only its scrypt hash. The kiosk makes its key,
and sends code and certificate request; the code is spent *before* its certificate counts, so no
crash can let it be used twice. Wrong codes are counted: five spoil the invitation.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from channels.kiosk import pki
from channels.kiosk.registry import TERMINAL_ID, Registry, Terminal, write_durably

TRIES_MAX = 5
CODE_CHARACTERS = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
"""Without the ones that people mix up."""
CODE_LENGTH = 20
"""98 bits: guessing is hopeless even without the limits."""
_SCRYPT = {"n": 16_384, "r": 8, "p": 1, "dklen": 32}


class EnrolmentError(ValueError):
    """The code is not taken. One sentence for all causes, so that nothing is learnt from it."""


class Invitation(Struct, frozen=True, kw_only=True):
    """What is kept of a code."""

    terminal: str
    salt: str
    hash: str
    expires_at: int
    """Seconds since 1970."""
    tries: int = 0


class CodeFile(Struct, frozen=True, kw_only=True):
    """What the technician carries to the kiosk."""

    terminal: str
    code: str
    ca_sha256: str
    expires_at: int


class Enrolments:
    """Makes and takes invitations below one PKI folder. ``now_s`` is the wall clock: a code
    expires on people's time."""

    def __init__(self, folder: Path, now_s: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._now_s = now_s
        self._registry = Registry(folder)

    def invite(self, record: Terminal, valid_s: int) -> CodeFile:
        """A code for this terminal, registering it; a former invitation of it ends. What the
        registry says of its certificates stays."""

        def registered(kept: Terminal) -> Terminal:
            return msgspec.structs.replace(
                record,
                certificates=kept.certificates,
                revoked=kept.revoked,
                renewals=kept.renewals,
            )

        self._registry.change(record.terminal, registered, new=record)
        code = "".join(secrets.choice(CODE_CHARACTERS) for _ in range(CODE_LENGTH))
        salt = secrets.token_hex(16)
        expires_at = int(self._now_s()) + valid_s
        invitation = Invitation(
            terminal=record.terminal, salt=salt, hash=_hash(code, salt), expires_at=expires_at
        )
        self._path(record.terminal).parent.mkdir(parents=True, exist_ok=True)
        write_durably(self._path(record.terminal), msgspec.json.encode(invitation))
        ca_sha256 = pki.fingerprint((self._folder / "ca.crt").read_bytes())
        return CodeFile(
            terminal=record.terminal, code=code, ca_sha256=ca_sha256, expires_at=expires_at
        )

    def redeem(self, terminal: str, code: str, csr_pem: bytes) -> bytes:
        """Spend a code: the certificate (PEM). Blocks for the hash (about 40 ms): call it in a
        thread. Raises EnrolmentError, and PkiError for a bad request (the code is then kept)."""
        refused = EnrolmentError("the code is wrong, used or too old")
        if TERMINAL_ID.fullmatch(terminal) is None:
            raise refused
        path = self._path(terminal)
        try:
            invitation = msgspec.json.decode(path.read_bytes(), type=Invitation)
        except (FileNotFoundError, msgspec.DecodeError):
            raise refused from None
        if invitation.expires_at < self._now_s() or invitation.tries >= TRIES_MAX:
            raise refused
        if not hmac.compare_digest(_hash(code, invitation.salt), invitation.hash):
            spoilt = msgspec.structs.replace(invitation, tries=invitation.tries + 1)
            write_durably(path, msgspec.json.encode(spoilt))
            raise refused
        certificate, serial = pki.sign_terminal(self._folder, csr_pem, terminal)
        try:
            path.rename(path.with_suffix(".used"))
        except FileNotFoundError:
            raise refused from None

        def enrolled(record: Terminal) -> Terminal:
            return msgspec.structs.replace(record, certificates=(*record.certificates, serial))

        self._registry.change(terminal, enrolled)
        return certificate

    def _path(self, terminal: str) -> Path:
        return self._folder / "invites" / f"{terminal}.json"


def _hash(code: str, salt: str) -> str:
    return hashlib.scrypt(code.encode(), salt=bytes.fromhex(salt), **_SCRYPT).hex()
