"""New working keys of one key set: imported, proven, stored; until then the old set stays whole.

Installing is a compare-and-set on the generation (rule 16 of docs/payment-law.md): two nodes that
bring keys at once cannot leave a mixture.
"""

from channels.iso8583.dialect import KeyName
from channels.iso8583.keyblock import KeyBlock, same_kcv
from switch.observe.crash import crash_point
from switch.ports import Context, LogicalTerminal, WorkingKeys

PIK_TYPE = "001"
"""Key type of a PIK at the HSM: zone PIN key (ZPK)."""
MAK_TYPE = "003"
"""Key type of a MAK at the HSM: TAK."""


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

    async def load(self) -> None:
        """The newest stored set. Raises JournalDown."""
        self.newest = await self._context.keys.load(self._identity)

    async def install(self, block: KeyBlock) -> bool:
        """A sign-on's whole set, each key with its check value. False when another node installed
        this generation first: its keys are loaded, and the next sign-on makes ours the newest
        again. Raises KeysRefusedError, KeyServiceError, JournalDown."""
        if not (block.pik and block.mak):
            raise KeysRefusedError("a key is missing: old keys stay")
        return await self._store(
            block,
            await self._import(PIK_TYPE, block.pik, block.pik_kcv, must=True),
            await self._import(MAK_TYPE, block.mak, block.mak_kcv, must=True),
        )

    async def install_pushed(self, block: KeyBlock, *, proven: bool) -> frozenset[KeyName]:
        """What a key reset of the bank brings, one key or both; the other stays. A message that has
        ``proven`` itself by its MAC may leave check values out. Raises as :meth:`install`."""
        kinds = frozenset(
            name for name, key in ((KeyName.PIK, block.pik), (KeyName.MAK, block.mak)) if key
        )
        pik = mak = ""
        if block.pik:
            pik = await self._import(PIK_TYPE, block.pik, block.pik_kcv, must=not proven)
        if block.mak:
            mak = await self._import(MAK_TYPE, block.mak, block.mak_kcv, must=not proven)
        if not await self._store(block, pik, mak) and not await self._store(block, pik, mak):
            raise KeysRefusedError("other nodes install keys all the time")
        return kinds

    async def proof(self, block: KeyBlock) -> str:
        """The MAC key that a key reset and its answer are under: the very key it brings, a PIN key
        too, so that it proves itself. Imported for that alone and never stored as one. Raises
        KeyServiceError."""
        service = self._context.key_service
        key, _ = await service.import_key(MAK_TYPE, self._tmk, block.mak or block.pik)
        return key

    async def _store(self, block: KeyBlock, pik: str, mak: str) -> bool:
        """Compare and set; after a defeat the newest stored set is known."""
        crash_point("K17 keys verified, not installed")
        old = self.newest or WorkingKeys(
            generation=0, pik="", mak="", pik_kcv="", mak_kcv="", installed_at=0
        )
        cryptogram = block.pik if pik else old.pik_cryptogram
        keys = WorkingKeys(
            generation=old.generation + 1,
            pik=pik or old.pik,
            mak=mak or old.mak,
            pik_kcv=block.pik_kcv if pik else old.pik_kcv,
            mak_kcv=block.mak_kcv if mak else old.mak_kcv,
            installed_at=self._context.timeline.now_ms(),
            pik_cryptogram=cryptogram if self._keeps_cryptogram else "",
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
