"""The bank's working keys: made, given to a terminal as its dialect lays them out, remembered.

Keys that a reset replaced are taken a little longer: what was in flight when it came is theirs.
"""

from collections.abc import Callable
from random import Random

from msgspec import Struct, structs

from channels.bank_simulator.entries import WorkingKeys
from channels.bank_simulator.ledger import Ledger
from channels.bank_simulator.world import World
from channels.iso8583.dialect import Dialect, KeyField, KeyLayout, KeyName, MacRule, Span
from hsm import primitives
from switch.model.chip import encode

Owner = tuple[str, str]
"""Merchant and terminal."""

FIRST_BATCH = "000001"
GRACE_MS = 60_000
"""How long keys are still taken after a reset replaced them."""
_DOUBLE = 16
_SINGLE = 8
_NEEDS_DOUBLE = frozenset({MacRule.X919_RETAIL, MacRule.SM4})


class _Replaced(Struct, frozen=True):
    keys: WorkingKeys
    until_ms: int


class Reset(Struct, frozen=True, kw_only=True):
    """One message of a key reset."""

    keys: WorkingKeys
    """What holds when the switch has taken it."""
    proof: bytes
    """The key of its MAC: that which it brings, so that it proves itself."""
    fields: dict[str, str]
    """What carries the key, …"""
    values: dict[str, str] = {}
    """… and what the dialect's template may take of it."""

    def __repr__(self) -> str:
        return "<Reset>"


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
        """Whether the answer to a sign-on brings the keys; else resets do, and its terminals share
        one set."""
        return self._dialect.sign_on.brings_keys

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
        layout = self._both[1] if self._both else None
        pik = layout.pik.size if layout and layout.pik else _DOUBLE
        single = layout is not None and self._dialect.mac.rule not in _NEEDS_DOUBLE
        return WorkingKeys(
            pik=self._new_key(min(pik, _DOUBLE)),
            mak=self._new_key(_SINGLE if single else _DOUBLE),
            batch=self._batch(owner),
        )

    def _batch(self, owner: Owner) -> str:
        old = self._ledger.keys(*owner)
        return old.batch if old else FIRST_BATCH

    def forget(self, owner: Owner) -> None:
        """Nobody has these keys any more, and no message is proven until there are new ones."""
        self._replaced.pop(owner, None)
        self._ledger.set_keys(*owner, self.fresh(owner))

    def adopt(self, owner: Owner, keys: WorkingKeys, *, reset: bool = False) -> None:
        """Use them from now on; after a reset the old ones for a little while too."""
        for one in [owner] if self.at_sign_on else self.owners:
            self._adopt(one, keys, reset=reset)

    def _adopt(self, owner: Owner, keys: WorkingKeys, *, reset: bool) -> None:
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

    def resets(self, owner: Owner, *, wrong: bool) -> list[Reset]:
        """The key resets that bring fresh keys: one where the layout has both, else the MAC key's
        and then the PIN key's. ``wrong``: with a check value that is not the key's, or another key
        where there is none."""
        fresh, old = self.fresh(owner), self.newest(owner)
        if self._one is None:
            fields = self.fields(owner, fresh, wrong=wrong)
            return [Reset(keys=fresh, proof=fresh.mak, fields=fields)]
        mak = structs.replace(old, mak=fresh.mak) if old else fresh
        return [
            self._single(owner, KeyName.MAK, fresh.mak, mak, wrong=wrong),
            self._single(owner, KeyName.PIK, fresh.pik, fresh, wrong=wrong),
        ]

    def _single(
        self, owner: Owner, name: KeyName, key: bytes, after: WorkingKeys, *, wrong: bool
    ) -> Reset:
        key_field, layout = self._fitting(len(key))
        block = bytearray(layout.length)
        self._lay(owner, block, key, layout.key, layout.key_kcv, wrong=wrong)
        if wrong and layout.key_kcv is None:
            block[0] ^= 0xFF
        fields = _written(key_field, bytes(block))
        values = {"key_block": block.hex().upper()}
        part = key_field.which
        if part is not None:
            said = next(text for text, named in key_field.names.items() if named is name)
            size = self._dialect.fields[part.field].max
            fields[part.field] = (part.at * "0" + said).ljust(size, "0")
            values["key_kind"] = said
        return Reset(keys=after, proof=key, fields=fields, values=values)

    def _fitting(self, size: int) -> tuple[KeyField, KeyLayout]:
        """The layout of one key that has its size."""
        assert self._one is not None  # only then keys come one by one
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
