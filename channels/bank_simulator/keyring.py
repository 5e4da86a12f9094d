"""The bank's working keys: made, given to a terminal as its dialect lays them out, remembered.

Keys that a reset replaced are taken a little longer: what was in flight when it came is theirs.
"""

from collections.abc import Callable
from random import Random

from msgspec import Struct, structs

from channels.bank_simulator.entries import WorkingKeys
from channels.bank_simulator.ledger import Ledger
from channels.bank_simulator.world import World
from channels.iso8583.dialect import Dialect, KeyField, KeyLayout, KeyName, Span
from hsm import primitives
from switch.model.chip import encode

Owner = tuple[str, str]
"""Merchant and terminal."""

FIRST_BATCH = "000001"
GRACE_MS = 60_000
"""How long keys are still taken after a reset replaced them."""
_DOUBLE = 16
_SINGLE = 8
_NEEDS_DOUBLE = ("x919_retail", "sm4")


class _Replaced(Struct, frozen=True):
    keys: WorkingKeys
    until_ms: int


class Keyring:
    """See the module."""

    def __init__(
        self,
        dialect: Dialect,
        world: World,
        ledger: Ledger,
        random: Random,
        now_ms: Callable[[], int],
    ) -> None:
        self.owners = [(t.merchant, t.terminal) for t in world.terminals]
        self._tmks = {(t.merchant, t.terminal): bytes.fromhex(t.tmk) for t in world.terminals}
        self._dialect = dialect
        self._ledger = ledger
        self._random = random
        self._now_ms = now_ms
        self._replaced: dict[Owner, _Replaced] = {}
        self._both = _layout(dialect, lambda layout: layout.pik and layout.mak)
        self._one = _layout(dialect, lambda layout: layout.key)

    def knows(self, owner: Owner) -> bool:
        """Whether the bank has handed out a master key for it."""
        return owner in self._tmks

    @property
    def at_sign_on(self) -> bool:
        """Whether the answer to a sign-on brings the keys."""
        return self._both is not None

    def candidates(self, owner: Owner) -> list[WorkingKeys]:
        """The keys that a message of it may be under, newest first."""
        newest = self._ledger.keys(*owner)
        found = [newest] if newest else []
        replaced = self._replaced.get(owner)
        if replaced is not None and self._now_ms() <= replaced.until_ms:
            found.append(replaced.keys)
        return found

    def fresh(self, owner: Owner) -> WorkingKeys:
        """New keys of the sizes that the dialect carries; not yet in use."""
        old = self._ledger.keys(*owner)
        layout = self._both[1] if self._both else None
        pik = layout.pik.size if layout and layout.pik else _DOUBLE
        single = str(self._dialect.mac.rule) not in _NEEDS_DOUBLE
        return WorkingKeys(
            pik=self._new_key(min(pik, _DOUBLE)),
            mak=self._new_key(_SINGLE if single else _DOUBLE),
            batch=old.batch if old else FIRST_BATCH,
        )

    def adopt(self, owner: Owner, keys: WorkingKeys, *, reset: bool = False) -> None:
        """Use them from now on; after a reset the old ones for a little while too."""
        old = self._ledger.keys(*owner)
        self._replaced.pop(owner, None)
        if reset and old is not None:
            self._replaced[owner] = _Replaced(old, self._now_ms() + GRACE_MS)
        batch = old.batch if old else keys.batch
        self._ledger.set_keys(*owner, structs.replace(keys, batch=batch))

    def fields(self, owner: Owner, keys: WorkingKeys, *, wrong: bool = False) -> dict[str, str]:
        """Both keys under the owner's master key, as the answer to a sign-on carries them."""
        assert self._both is not None
        key_field, layout = self._both
        block = bytearray(layout.length)
        self._lay(owner, block, keys.pik, layout.pik, layout.pik_kcv, wrong=wrong)
        self._lay(owner, block, keys.mak, layout.mak, layout.mak_kcv, wrong=False)
        return _written(key_field, bytes(block))

    def newest(self, owner: Owner) -> WorkingKeys | None:
        """The keys in use."""
        return self._ledger.keys(*owner)

    def resets(self, owner: Owner, *, wrong: bool) -> list[tuple[WorkingKeys, dict[str, str]]]:
        """The key resets that bring fresh keys: what holds after each, and its fields. One message
        where the layout has both keys, else the MAC key's and then the PIN key's."""
        fresh, old = self.fresh(owner), self.newest(owner)
        if self._one is None:
            return [(fresh, self.fields(owner, fresh, wrong=wrong))]
        mak = structs.replace(old, mak=fresh.mak) if old else fresh
        return [
            (mak, self._single(owner, KeyName.MAK, fresh.mak, wrong=wrong)),
            (fresh, self._single(owner, KeyName.PIK, fresh.pik, wrong=wrong)),
        ]

    def _single(self, owner: Owner, name: KeyName, key: bytes, *, wrong: bool) -> dict[str, str]:
        assert self._one is not None
        key_field, layout = self._fitting(len(key))
        block = bytearray(layout.length)
        self._lay(owner, block, key, layout.key, layout.key_kcv, wrong=wrong)
        fields = _written(key_field, bytes(block))
        part = key_field.which
        if part is not None:
            said = next(text for text, named in key_field.names.items() if named is name)
            size = self._dialect.fields[part.field].max
            fields[part.field] = (part.at * "0" + said).ljust(size, "0")
        return fields

    def _fitting(self, size: int) -> tuple[KeyField, KeyLayout]:
        """The layout of one key that is nearest to its size."""
        assert self._one is not None
        for key_field in self._dialect.keys:
            for layout in key_field.layouts:
                if layout.key is not None and layout.key.size == size:
                    return key_field, layout
        return self._one

    def _lay(
        self,
        owner: Owner,
        block: bytearray,
        key: bytes,
        place: Span | None,
        kcv_place: Span | None,
        *,
        wrong: bool,
    ) -> None:
        if place is not None:
            cryptogram = primitives.ecb_encrypt(self._tmks[owner], key)
            block[place.at : place.at + len(cryptogram)] = cryptogram
        if kcv_place is not None:
            kcv = primitives.check_value(key)[: kcv_place.size]
            if wrong:
                kcv = bytes(byte ^ 0xFF for byte in kcv)
            block[kcv_place.at : kcv_place.at + len(kcv)] = kcv

    def _new_key(self, size: int) -> bytes:
        while True:
            key = primitives.odd_parity(self._random.randbytes(size))
            if not primitives.is_weak(key):
                return key


def _layout(
    dialect: Dialect, fits: Callable[[KeyLayout], Span | None]
) -> tuple[KeyField, KeyLayout] | None:
    """The first layout for double-length keys that fits, else the first at all."""
    found = [
        (key_field, layout)
        for key_field in dialect.keys
        for layout in key_field.layouts
        if fits(layout) is not None
    ]
    double = [one for one in found if (one[1].pik or one[1].key or Span(at=0, size=0)).size == 16]
    return next(iter(double or found), None)


def _written(key_field: KeyField, block: bytes) -> dict[str, str]:
    """The field that carries a block."""
    value = encode([(key_field.tag, block)]) if key_field.tag else block
    return {key_field.field: key_field.marker + value.hex().upper()}
