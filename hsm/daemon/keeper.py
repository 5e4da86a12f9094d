"""The sealed LMKs of one daemon: opening them into slots, sealing new ones, destroying them."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from hsm.lmk import build_lmk
from hsm.lmk_material import LmkMaterial
from hsm.sealing.envelope import Sealed, load_sealed, seal
from hsm.sealing.errors import BadFileError, SealingError, TokenError
from hsm.sealing.sealer import Sealer
from hsm.sealing.status import allowed
from hsm.sealing.token import (
    TokenBlockLmk,
    TokenVariantLmk,
    demand_suited,
    open_token_lmk,
    provision,
    remove_token_lmk,
    token_head,
)
from hsm.sealing.token_lmk import lmk_in_token
from hsm.sealing.token_session import TokenAddress
from hsm.slots import Slots

_OVERWRITES: Final = 2


class KeeperError(Exception):
    """A rule of the slots is broken. ``code``: a name of hsm.ceremony.texts."""

    def __init__(self, code: str, what: str = "") -> None:
        super().__init__(f"{code} {what}".strip())
        self.code = code
        self.what = what


class Kept(NamedTuple):
    """An LMK of a slot, as its file or its token says without opening it."""

    scheme: str
    check_value: str
    opened_by: tuple[str, ...]
    """What opens it, and so what opens every copy of it."""


class Keeper:
    """The LMKs of a daemon: ``lmk.NN.sealed`` files in a folder, or in tokens; and their slots.

    ``open_with``, ``unsealed`` and ``keep`` take seconds and may run beside the reactor: they touch
    files and tokens, never the slots.
    """

    def __init__(
        self,
        folder: Path,
        production: bool,
        slots: Slots,
        ids: Iterable[str],
        tokens: Mapping[str, TokenAddress] | None = None,
    ) -> None:
        """``ids``: slots whose LMKs are sealed files; ``tokens``: others, held by tokens."""
        self._folder = folder
        self._production = production
        self.ids = tuple(sorted(ids))
        self.tokens = dict(tokens or {})
        self._held: dict[str, TokenVariantLmk | TokenBlockLmk] = {}
        self.slots = slots

    def path(self, lmk_id: str) -> Path:
        """Where the sealed file of a slot is. KeeperError: the slot is not configured."""
        if lmk_id not in self.ids:
            raise KeeperError("no_such_slot", lmk_id)
        return self._file(lmk_id)

    def sealed(self) -> dict[str, Sealed | None]:
        """Slot → its sealed file, unopened; None: there is none. SealingError: it is damaged."""
        files = {lmk_id: self.path(lmk_id) for lmk_id in self.ids}
        return {i: load_sealed(path) if path.exists() else None for i, path in files.items()}

    def open_with(self, opener: Sealer) -> tuple[dict[str, LmkMaterial], dict[str, str]]:
        """(opened LMKs, slot → why it did not open). Nothing is loaded yet."""
        opened: dict[str, LmkMaterial] = {}
        failed: dict[str, str] = {}
        for lmk_id in self.ids:
            path = self.path(lmk_id)
            if not path.exists():
                failed[lmk_id] = "missing"
                continue
            try:
                material = load_sealed(path).open(opener)
                allowed(material, self._production)
            except SealingError as error:
                failed[lmk_id] = error.code
            else:
                opened[lmk_id] = material
        return opened, failed

    def open_tokens(self) -> dict[str, str]:
        """Put the LMKs of tokens to work; their check values. A token without one waits for its
        ceremony. SealingError: none is then open."""
        self.close_tokens()
        try:
            for lmk_id in self.tokens:
                self._open_token(lmk_id)
        except SealingError:
            self.close_tokens()
            raise
        return {lmk_id: held.check_value for lmk_id, held in self._held.items()}

    def close_tokens(self) -> None:
        """Leave every token."""
        for lmk_id in tuple(self._held):
            self._close_token(lmk_id)

    def lock(self) -> None:
        """Forget every LMK."""
        self.close_tokens()
        self.slots.clear()

    def load(self, material: LmkMaterial) -> None:
        """Put a kept LMK to work. SealingError: its token does not open."""
        if material.lmk_id in self.tokens:
            self._open_token(material.lmk_id)
        else:
            self.slots.load(build_lmk(material))

    def demand_room(self, lmk_id: str, scheme: str) -> None:
        """KeeperError: no such slot, or it has an LMK; SealingError: its token takes no such LMK,
        or cannot be asked."""
        address = self.tokens.get(lmk_id)
        if address is None:
            taken = self.path(lmk_id).exists()
        else:
            demand_suited(scheme, test=not self._production)
            taken = token_head(lmk_id, address) is not None
        if taken:
            raise KeeperError("slot_taken", lmk_id)

    def keep(self, material: LmkMaterial, sealers: Sequence[Sealer]) -> str:
        """Seal a new LMK, or put it into the token of its slot, which then needs no sealers; where
        it is. KeeperError: unknown slot; SealingError."""
        allowed(material, self._production)
        address = self.tokens.get(material.lmk_id)
        if address is not None:
            provision(material, address)
            return f"token {address.token}"
        self.path(material.lmk_id)
        return str(seal(material, sealers, self._folder))

    def unsealed(self, lmk_id: str, opener: Sealer) -> LmkMaterial:
        """The LMK of a sealed file that is to move into the token of its slot. KeeperError: the
        slot has no token, or there is no file; SealingError."""
        if lmk_id not in self.tokens:
            raise KeeperError("no_token_slot", lmk_id)
        path = self._file(lmk_id)
        if not path.exists():
            raise KeeperError("no_file", lmk_id)
        return load_sealed(path).open(opener)

    def kept(self, lmk_id: str, check_value: str) -> Kept:
        """What is kept in a slot, to be destroyed. KeeperError: no such slot, nothing in it, or
        another check value; SealingError."""
        address = self.tokens.get(lmk_id)
        if address is None:
            path = self.path(lmk_id)
            if not path.exists():
                raise KeeperError("no_file", lmk_id)
            file = load_sealed(path)
            found = Kept(file.scheme, file.check_value, file.sealers)
        else:
            head = token_head(lmk_id, address)
            if head is None:
                raise TokenError("token_lmk_absent", address.token, lmk_id)
            copy = self._copied(lmk_id, head.check_value)
            copies = copy.sealers if copy else ()
            found = Kept(head.scheme, head.check_value, (f"token {address.token}", *copies))
        if found.check_value != check_value.upper():
            raise KeeperError("other_check_value", lmk_id)
        return found

    def destroy(self, lmk_id: str, check_value: str) -> None:
        """Forget the LMK and destroy what is kept of it: the file is zeroised, the token's keys are
        removed, and a file from which it was moved into the token goes as well.

        Errors as :meth:`kept`. On a journaling or copying file system, and on flash, old blocks may
        survive the overwriting: without an officer's passphrases they open nothing.
        """
        found = self.kept(lmk_id, check_value)
        self.slots.remove(lmk_id)
        address = self.tokens.get(lmk_id)
        if address is not None:
            self._close_token(lmk_id)
            remove_token_lmk(lmk_id, address)
        if self._copied(lmk_id, found.check_value):
            _zeroise(self._file(lmk_id))

    def _copied(self, lmk_id: str, check_value: str) -> Sealed | None:
        """The sealed file of this LMK, in use or left when it moved into a token."""
        path = self._file(lmk_id)
        file = load_sealed(path) if path.exists() else None
        return file if file and file.check_value == check_value else None

    def _file(self, lmk_id: str) -> Path:
        return self._folder / f"lmk.{lmk_id}.sealed"

    def _open_token(self, lmk_id: str) -> None:
        address = self.tokens[lmk_id]
        if token_head(lmk_id, address) is None:
            return
        held = open_token_lmk(lmk_id, address)
        self._held[lmk_id] = held
        allowed(held, self._production)
        self.slots.load(lmk_in_token(held))

    def _close_token(self, lmk_id: str) -> None:
        held = self._held.pop(lmk_id, None)
        if held is not None:
            self.slots.remove(lmk_id)
            held.close()


def _zeroise(path: Path) -> None:
    try:
        size = path.stat().st_size
        with path.open("r+b", buffering=0) as stream:
            for _ in range(_OVERWRITES):
                stream.seek(0)
                stream.write(os.urandom(size))
                os.fsync(stream.fileno())
            stream.truncate(0)
            os.fsync(stream.fileno())
        path.unlink()
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise BadFileError(path.name, "file", error.strerror or "error") from None
