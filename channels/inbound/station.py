"""One terminal at our door: the keys we gave it and its batch (rules 15 and 16).

Keys and batch live in the database, so that any node serves any terminal. Of the keys a copy is
held here, that is read again when a request does not fit it.
"""

from msgspec import Struct

from channels.inbound.config import StationConfig
from channels.iso8583.dialect import Dialect, KeyField, KeyLayout, Span
from channels.iso8583.errors import LocalError
from switch.observe.logs import get_logger
from switch.ports import Context, IssuedKey, LogicalTerminal, WorkingKeys

_log = get_logger("inbound")

MAC_TYPE = "003"
_KCV_CHARS = 8
_INSTALL_TRIES = 3


BATCH_TRUST_MS = 1_000
"""So long a node may take payments into a batch that another node has closed. A terminal that has
just settled names the next batch itself; one that does not is found by comparing totals."""


class NewKeys(Struct, frozen=True, kw_only=True):
    """A key block for a sign-on answer: the field, and its value in hex."""

    field: str
    block: str

    def __repr__(self) -> str:
        return "<NewKeys>"


class Station:
    """See the module. ``name`` is the door's: with F42 and F41 it names keys, batch, payments."""

    def __init__(
        self,
        name: str,
        config: StationConfig,
        dialect: Dialect,
        pin_key_type: str,
        context: Context,
    ) -> None:
        self.config = config
        self.identity = LogicalTerminal(
            bank=name, merchant=config.merchant, terminal=config.terminal
        )
        self.label = f"{name}/{config.merchant}/{config.terminal}"
        """What the engine knows it by."""
        self._dialect = dialect
        self._pin_key_type = pin_key_type
        self._context = context
        self._keys: WorkingKeys | None = None
        self._older: WorkingKeys | None = None
        self._batch = ""
        self._batch_until = 0

    # ---- keys ------------------------------------------------------------------------------------

    async def keys(self) -> tuple[WorkingKeys, ...]:
        """Newest first; a request that was made just before a sign-on proves itself by the older
        set. Raises JournalDown."""
        if self._keys is None:
            self._keys = await self._context.keys.load(self.identity)
        return tuple(keys for keys in (self._keys, self._older) if keys is not None)

    async def newer_keys(self) -> WorkingKeys | None:
        """What another node has given it since; None: nothing. Raises JournalDown."""
        stored = await self._context.keys.load(self.identity)
        held = self._keys.generation if self._keys is not None else 0
        if stored is None or stored.generation == held:
            return None
        self._older, self._keys = self._keys, stored
        return stored

    async def sign_on(self) -> NewKeys | None:
        """Fresh keys from the HSM, stored before they are given away. None: others sign it on
        again and again meanwhile. Raises KeyServiceError, JournalDown."""
        service, tmk = self._context.key_service, self.config.tmk
        pik = await service.issue_key(self._pin_key_type, tmk)
        mak = await service.issue_key(MAC_TYPE, tmk)
        for _ in range(_INSTALL_TRIES):
            newest = await self._context.keys.load(self.identity)
            keys = WorkingKeys(
                generation=(newest.generation if newest else 0) + 1,
                pik=pik.key,
                mak=mak.key,
                pik_kcv=pik.check_value[:_KCV_CHARS],
                mak_kcv=mak.check_value[:_KCV_CHARS],
                installed_at=self._context.timeline.now_ms(),
                pik_type=self._pin_key_type,
            )
            if await self._context.keys.install(self.identity, keys):
                self._older, self._keys = newest, keys
                return _key_block(self._dialect, pik, mak)
            _log.warning("keys_installed_elsewhere", door=self.identity.bank, invariant="I13")
        return None

    # ---- batch -----------------------------------------------------------------------------------

    async def batch(self) -> str:
        """The open batch, as the database has it. Raises JournalDown."""
        batch = await self._context.numbers.open_batch(self.identity)
        if not batch:
            # Its STANs are the terminal's own; taking one of ours opens the first batch.
            batch = (await self._context.numbers.reserve(self.identity, 1)).batch
        self._batch = batch
        self._batch_until = self._context.timeline.now_ms() + BATCH_TRUST_MS
        return batch

    async def in_batch(self, batch: str) -> bool:
        """Whether this is the open batch. Another node may have settled it a moment ago: a copy
        of ours says so for BATCH_TRUST_MS only, and never that it is not. Raises JournalDown."""
        if batch and batch == self._batch and self._context.timeline.now_ms() < self._batch_until:
            return True
        return bool(batch) and batch == await self.batch()

    async def close_batch(self, batch: str) -> None:
        """The next one is open from here on; once. Raises JournalDown."""
        if await self.in_batch(batch):
            following = f"{int(batch) % 999_999 + 1:06d}"
            await self._context.numbers.adopt_batch(self.identity, following)
            self._batch = ""


def _key_block(dialect: Dialect, pik: IssuedKey, mak: IssuedKey) -> NewKeys:
    """By the dialect's first layout that has room for both keys. Raises LocalError."""
    pik_hex, mak_hex = pik.cryptogram.removeprefix("X"), mak.cryptogram.removeprefix("X")
    for key_field in dialect.keys:
        for layout in key_field.layouts:
            if _holds(layout.pik, pik_hex) and _holds(layout.mak, mak_hex):
                return NewKeys(field=key_field.field, block=_laid_out(key_field, layout, pik, mak))
    raise LocalError(dialect.keys[0].field, "no layout of the dialect holds two double-length keys")


def _holds(span: Span | None, cryptogram: str) -> bool:
    return span is not None and 2 * span.size == len(cryptogram)


def _laid_out(key_field: KeyField, layout: KeyLayout, pik: IssuedKey, mak: IssuedKey) -> str:
    block = ["0"] * (2 * layout.length)
    for span, text in (
        (layout.pik, pik.cryptogram.removeprefix("X")),
        (layout.pik_kcv, pik.check_value),
        (layout.mak, mak.cryptogram.removeprefix("X")),
        (layout.mak_kcv, mak.check_value),
    ):
        if span is not None:
            block[2 * span.at : 2 * (span.at + span.size)] = text[: 2 * span.size]
    return key_field.marker + "".join(block)
