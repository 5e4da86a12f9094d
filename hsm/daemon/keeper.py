"""The sealed LMKs of one daemon: opening them into slots, sealing new ones, destroying them."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from hsm.lmk import build_lmk
from hsm.lmk_material import LmkMaterial
from hsm.sealing.envelope import Sealed, load_sealed, seal
from hsm.sealing.errors import BadFileError, SealingError
from hsm.sealing.sealer import Sealer
from hsm.sealing.status import allowed
from hsm.sealing.token import TokenBlockLmk, TokenVariantLmk, open_token_lmk
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


class Keeper:
    """The folder ``lmk.NN.sealed`` files are in, and the slots they are loaded into.

    ``open_with`` and ``seal`` take seconds and may run beside the reactor: they touch files only.
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
        self._held: list[TokenVariantLmk | TokenBlockLmk] = []
        self.slots = slots

    def path(self, lmk_id: str) -> Path:
        """Where the sealed file of a slot is. KeeperError: the slot is not configured."""
        if lmk_id not in self.ids:
            raise KeeperError("no_such_slot", lmk_id)
        return self._folder / f"lmk.{lmk_id}.sealed"

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
        """Put the LMKs of tokens to work; their check values. SealingError: none is then open."""
        self.close_tokens()
        try:
            for lmk_id, address in self.tokens.items():
                held = open_token_lmk(lmk_id, address)
                self._held.append(held)
                allowed(held, self._production)
        except SealingError:
            self.close_tokens()
            raise
        for held in self._held:
            self.slots.load(lmk_in_token(held))
        return {held.lmk_id: held.check_value for held in self._held}

    def close_tokens(self) -> None:
        """Leave every token."""
        for held in self._held:
            self.slots.remove(held.lmk_id)
            held.close()
        self._held = []

    def lock(self) -> None:
        """Forget every LMK."""
        self.close_tokens()
        self.slots.clear()

    def load(self, material: LmkMaterial) -> None:
        """Put an opened LMK to work."""
        self.slots.load(build_lmk(material))

    def seal(self, material: LmkMaterial, sealers: Sequence[Sealer]) -> Path:
        """Write the sealed file of a new LMK. KeeperError: unknown slot; SealingError."""
        self.path(material.lmk_id)
        allowed(material, self._production)
        return seal(material, sealers, self._folder)

    def destroy(self, lmk_id: str, check_value: str) -> Sealed:
        """Zeroise the sealed file and forget the LMK; what the file said.

        KeeperError: no such slot, no file, or another check value. On a journaling or copying file
        system, and on flash, old blocks may survive the overwriting: without an officer's
        passphrases they open nothing.
        """
        path = self.path(lmk_id)
        if not path.exists():
            raise KeeperError("no_file", lmk_id)
        found = load_sealed(path)
        if found.check_value != check_value.upper():
            raise KeeperError("other_check_value", lmk_id)
        self.slots.remove(lmk_id)
        _zeroise(path)
        return found


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
