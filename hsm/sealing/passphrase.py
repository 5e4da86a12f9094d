"""Two officers' passphrases: neither opens alone (dual control 双人控制)."""

import os
import unicodedata
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Final, Self

from hsm.primitives.aead import NONCE_BYTES, NotAuthenticError, gcm_open_into, gcm_seal
from hsm.primitives.kdf import argon2id_into, hkdf_sha256_into
from hsm.sealing.entries import Cost, Entry, OfficerEntry, PassphraseEntry
from hsm.sealing.errors import CannotOpenError, SealingError
from hsm.sealing.names import folded, plain_name
from hsm.sealing.sealer import DATA_KEY_BYTES
from hsm.sealing.secret_buffer import SecretBuffer

PASSPHRASE_CHARACTERS_MIN: Final = 12
PASSPHRASE_CHARACTERS_MAX: Final = 256
_KEY_BYTES: Final = 32
_SALT_BYTES: Final = 16
_INFO: Final = b"yinyitong LMK passphrase sealer 1 "


class Officer:
    """One officer's name and passphrase. SealingError when either breaks its rule."""

    def __init__(self, name: str, passphrase: str) -> None:
        """``name``: 1 … 32 characters. ``passphrase``: 12 … 256; the ``str`` itself cannot be
        wiped, only the copy that is kept here."""
        self.name = plain_name(name, "officer")
        if not PASSPHRASE_CHARACTERS_MIN <= len(passphrase) <= PASSPHRASE_CHARACTERS_MAX:
            limits = (PASSPHRASE_CHARACTERS_MIN, PASSPHRASE_CHARACTERS_MAX)
            raise SealingError("passphrase_length", name, *limits)
        typed = None
        with suppress(UnicodeEncodeError):  # Python's error would carry the passphrase along
            # One passphrase, however the keyboard composes its characters.
            typed = unicodedata.normalize("NFC", passphrase).encode("utf-8")
        if typed is None:
            raise SealingError("passphrase_text", name)
        self.passphrase = SecretBuffer.holding(typed)

    def __repr__(self) -> str:
        return f"<officer {self.name}>"


class PassphraseSealer:
    """The data key under both passphrases. Use it in ``with``: the passphrases are wiped then."""

    def __init__(self, first: Officer, second: Officer, cost: Cost | None = None) -> None:
        """``cost``: for sealing; opening follows the file. SealingError: one officer twice."""
        if folded(first.name) == folded(second.name):
            raise SealingError("same_officer")
        if first.passphrase.view == second.passphrase.view:
            raise SealingError("same_passphrase")
        self._officers = {folded(officer.name): officer for officer in (first, second)}
        self._cost = cost or Cost()

    def __repr__(self) -> str:
        names = (officer.name for officer in self._officers.values())
        return f"<passphrases of {' and '.join(names)}>"

    def wrap(self, data_key: SecretBuffer, bound: bytes) -> PassphraseEntry:
        first, second = (
            OfficerEntry(officer.name, os.urandom(_SALT_BYTES).hex().upper())
            for officer in self._officers.values()
        )
        nonce = os.urandom(NONCE_BYTES)
        with self._joined((first, second), self._cost, bound) as key:
            wrapped = gcm_seal(key.view, nonce, data_key.view, bound)
        return PassphraseEntry(
            self._cost, (first, second), nonce.hex().upper(), wrapped.hex().upper()
        )

    def fits(self, entry: Entry) -> bool:
        return isinstance(entry, PassphraseEntry) and {
            folded(officer.name) for officer in entry.officers
        } == set(self._officers)

    def unwrap(self, entry: Entry, bound: bytes) -> SecretBuffer:
        assert isinstance(entry, PassphraseEntry)
        nonce, wrapped = bytes.fromhex(entry.nonce), bytes.fromhex(entry.wrapped)
        with self._joined(entry.officers, entry.cost, bound) as key:
            try:
                return SecretBuffer.filled(
                    DATA_KEY_BYTES,
                    lambda clear: gcm_open_into(key.view, nonce, wrapped, bound, clear),
                )
            except NotAuthenticError:
                raise CannotOpenError("passphrases_wrong") from None

    def _joined(self, officers: Sequence[OfficerEntry], cost: Cost, bound: bytes) -> SecretBuffer:
        with ExitStack() as wiping:
            both = wiping.enter_context(SecretBuffer(_KEY_BYTES * len(officers)))
            for at, officer in enumerate(officers):
                self._stretch(officer, cost, both.view[at * _KEY_BYTES : (at + 1) * _KEY_BYTES])
            return SecretBuffer.filled(
                _KEY_BYTES, lambda key: hkdf_sha256_into(both.view, b"", _INFO + bound, key)
            )

    def _stretch(self, officer: OfficerEntry, cost: Cost, key: memoryview) -> None:
        try:
            argon2id_into(
                bytes(self._officers[folded(officer.name)].passphrase.view),
                bytes.fromhex(officer.salt),
                key,
                memory_kib=cost.memory_kib,
                passes=cost.passes,
                lanes=cost.lanes,
            )
        except MemoryError:
            raise SealingError("memory", cost.memory_kib) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for officer in self._officers.values():
            officer.passphrase.wipe()
