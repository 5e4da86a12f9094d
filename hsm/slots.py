"""The LMKs a key service has loaded, by their two-digit ids."""

from collections.abc import Callable, Mapping
from typing import Final

from hsm.errors import CommandError
from hsm.keys import Cryptogram
from hsm.lmk import HeldKey, Lmk, NewKey
from hsm.uses import Use

DEFAULT: Final = "00"


class NoLmk:
    """What stands in the place of an LMK while the service is locked: it can only be shown."""

    lmk_id = DEFAULT
    scheme = "none"
    test = False
    check_value = "0" * 16
    pin_key = b""

    def keep(self, new: NewKey, clear: bytes, entropy: Callable[[int], bytes]) -> Cryptogram:
        raise CommandError("13")

    def hold(self, use: Use, key: Cryptogram, where: str = "key") -> HeldKey:
        raise CommandError("13")

    def forget(self) -> None:
        """There is nothing to forget."""


class Slots:
    """Loaded LMKs. ``replaced`` says which slot each new LMK takes over from (BW)."""

    def __init__(
        self, lmks: Mapping[str, Lmk] | None = None, replaced: Mapping[str, str] | None = None
    ) -> None:
        self._lmks = dict(lmks or {})
        self._replaced = dict(replaced or {})

    def __contains__(self, lmk_id: str) -> bool:
        return lmk_id in self._lmks

    @property
    def locked(self) -> bool:
        """Whether no LMK is loaded: then nothing can be done but to say so."""
        return not self._lmks

    @property
    def loaded(self) -> tuple[Lmk, ...]:
        """Every loaded LMK in the order of their ids."""
        return tuple(self._lmks[slot] for slot in sorted(self._lmks))

    def get(self, lmk_id: str) -> Lmk:
        """The LMK of a slot; CommandError 13: there is none."""
        lmk = self._lmks.get(lmk_id or DEFAULT)
        if lmk is None:
            raise CommandError("13", "lmk_id")
        return lmk

    def before(self, lmk_id: str) -> Lmk:
        """The LMK that this one replaces; CommandError 13: it replaces none."""
        return self.get(self._replaced.get(lmk_id, "no slot"))

    def load(self, lmk: Lmk) -> None:
        """Put an LMK into its slot."""
        self._lmks[lmk.lmk_id] = lmk

    def remove(self, lmk_id: str) -> None:
        """Forget the LMK of a slot, if there is one."""
        lmk = self._lmks.pop(lmk_id, None)
        if lmk is not None:
            lmk.forget()

    def clear(self) -> None:
        """Forget every LMK and every key unwrapped under it: the service is locked."""
        for lmk in self._lmks.values():
            lmk.forget()
        self._lmks.clear()
