"""New working keys of one key set: imported, proven, stored; until then the old set stays whole.

Installing is a compare-and-set on the generation (rule 16 of docs/payment-law.md): two nodes that
bring keys at once cannot leave a mixture.
"""

from collections.abc import Mapping

from channels.iso8583.dialect import KeyName
from channels.iso8583.keyblock import KeyBlock, same_kcv
from switch.observe.crash import crash_point
from switch.ports import Context, LogicalTerminal, WorkingKeys

PIK_TYPE = "001"
"""Key type of a PIK at the HSM: zone PIN key (ZPK)."""
MAK_TYPE = "003"
"""Key type of a MAK at the HSM: TAK."""

Imported = Mapping[KeyName, str]
"""Keys under our LMK."""
Brought = frozenset[KeyName]

_TRIES = 2
"""Of one reset, when another node installs keys at the same time."""


class KeysRefusedError(Exception):
    """The keys are not usable; the old set stays. The text names the rule."""


class NewKeys:
    """The key set of ``identity``, under the master key ``tmk``. ``keeps_cryptogram``: the PIK is
    needed as the bank sent it, for the pad of the kiosk that the terminal is dedicated to."""

    def __init__(
        self, identity: LogicalTerminal, tmk: str, context: Context, *, keeps_cryptogram: bool
    ) -> None:
        self.newest: WorkingKeys | None = None
        """The set this process knows as the newest."""
        self._identity = identity
        self._tmk = tmk
        self._context = context
        self._keeps_cryptogram = keeps_cryptogram

    @property
    def generation(self) -> int:
        """Of the newest set; 0: none."""
        return self.newest.generation if self.newest is not None else 0

    async def load(self) -> None:
        """The newest stored set. Raises JournalDown."""
        self.newest = await self._context.keys.load(self._identity)

    async def install(self, block: KeyBlock) -> bool:
        """A sign-on's whole set, each key with its check value. False when another node installed
        this generation first: its keys are loaded, and the next sign-on makes ours the newest
        again. Raises KeysRefusedError, KeyServiceError, JournalDown."""
        if not (block.pik and block.mak):
            raise KeysRefusedError("a key is missing: old keys stay")
        return await self._store(block, await self._imported(block, must=True), "")

    async def install_pushed(self, block: KeyBlock, *, proven: bool, sent: str) -> Brought:
        """What a key reset of the bank brings, one key or both; the other stays. A message that has
        ``proven`` itself by its MAC may leave check values out. ``sent`` is its mark
        (:func:`channels.iso8583.clocks.sent_mark`): what is older than the newest reset of a key is
        refused, so that bytes of yesterday never bring yesterday's keys back; what is in use
        already is no new generation. Raises as :meth:`install`."""
        brought = await self._imported(block, must=not proven)
        await self.load()  # another node may have taken a newer one
        for _ in range(_TRIES):
            fresh = self._fresh(brought, sent)
            if not fresh or await self._store(block, fresh, sent):
                return frozenset(brought)
        raise KeysRefusedError("other nodes install keys all the time")

    def _fresh(self, brought: Imported, sent: str) -> Imported:
        """Those of the keys that are not in use already."""
        old = self.newest
        if old is None:
            return brought
        held = {KeyName.PIK: (old.pik, old.pik_reset), KeyName.MAK: (old.mak, old.mak_reset)}
        fresh = {
            name: key
            for name, key in brought.items()
            if key != held[name][0] and not (sent and sent == held[name][1])
        }
        if sent and any(sent < held[name][1] for name in fresh):
            raise KeysRefusedError("older than the newest key reset that was taken: the keys stay")
        return fresh

    async def proof(self, block: KeyBlock) -> str:
        """The MAC key that a key reset and its answer are under: the very key it brings, a PIN key
        too, so that it proves itself. Imported for that alone and never stored as one. Raises
        KeyServiceError."""
        service = self._context.key_service
        key, _ = await service.import_key(MAK_TYPE, self._tmk, block.mak or block.pik)
        return key

    async def _imported(self, block: KeyBlock, *, must: bool) -> Imported:
        """Its keys under our LMK. ``must``: each has a check value."""
        keys: dict[KeyName, str] = {}
        if block.pik:
            keys[KeyName.PIK] = await self._import(PIK_TYPE, block.pik, block.pik_kcv, must=must)
        if block.mak:
            keys[KeyName.MAK] = await self._import(MAK_TYPE, block.mak, block.mak_kcv, must=must)
        return keys

    async def _store(self, block: KeyBlock, new: Imported, sent: str) -> bool:
        """Compare and set; after a defeat the newest stored set is known. A key that stays keeps
        its age, and the set is as old as its older key."""
        crash_point("K17 keys verified, not installed")
        pik, mak = new.get(KeyName.PIK, ""), new.get(KeyName.MAK, "")
        now_ms = self._context.timeline.now_ms()
        old = self.newest or WorkingKeys(
            generation=0, pik="", mak="", pik_kcv="", mak_kcv="", installed_at=0
        )
        cryptogram = block.pik if pik else old.pik_cryptogram
        pik_at = now_ms if pik else old.pik_at or old.installed_at
        mak_at = now_ms if mak else old.mak_at or old.installed_at
        ages = ((pik or old.pik, pik_at), (mak or old.mak, mak_at))
        keys = WorkingKeys(
            generation=old.generation + 1,
            pik=pik or old.pik,
            mak=mak or old.mak,
            pik_kcv=block.pik_kcv if pik else old.pik_kcv,
            mak_kcv=block.mak_kcv if mak else old.mak_kcv,
            installed_at=min(at for key, at in ages if key),
            pik_cryptogram=cryptogram if self._keeps_cryptogram else "",
            pik_at=pik_at,
            mak_at=mak_at,
            pik_reset=sent if pik and sent else old.pik_reset,
            mak_reset=sent if mak and sent else old.mak_reset,
        )
        if not await self._context.keys.install(self._identity, keys):
            await self.load()
            return False
        crash_point("K17 keys installed, not used")
        self.newest = keys
        return True

    async def _import(self, key_type: str, cryptogram: str, kcv: str, *, must: bool) -> str:
        """The key under our LMK, its check value compared in all digits both sides have."""
        service = self._context.key_service
        key, short = await service.import_key(key_type, self._tmk, cryptogram)
        if not kcv and not must:
            return key
        whole = await service.check_value(key_type, key)
        if not (same_kcv(short, kcv) and same_kcv(whole, kcv)):
            raise KeysRefusedError(f"check value of the {key_type} key differs: old keys stay")
        return key
